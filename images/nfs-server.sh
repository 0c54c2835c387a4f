#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs nfs-ganesha in the foreground with rpcbind beside it, without which it does not serve NFSv3.
#
# usage: nfs-server [CONFIG]   (default /etc/ganesha/ganesha.conf)
# EXPORT_DIR and RECOVERY_DIR, when set, are made if they are missing.
set -eu
config=${1:-/etc/ganesha/ganesha.conf}
mkdir -p /run/rpcbind /run/ganesha ${EXPORT_DIR:+"$EXPORT_DIR"} ${RECOVERY_DIR:+"$RECOVERY_DIR"}
rpcbind -w
exec ganesha.nfsd -F -f "$config" -L STDOUT -p /run/ganesha/ganesha.pid
