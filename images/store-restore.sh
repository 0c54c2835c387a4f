#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes a store's data from a backup before the store starts, once: again only after DATA_DIR/store.before-NAME has been removed. What
# was there before is kept in that folder. Tokens, the key of links, and files stay as they are. May be killed at any point and run again.
# The chart runs it as an init container.
#
# usage: store-restore BACKUP DATA_DIR
set -euo pipefail
umask 077

backup=$1 data=$2
before=$data/store.before-${backup##*/}
[ ! -e "$before/restored" ] || exit 0
if [ ! -r "$backup/store.db" ]; then
    echo "there is no backup '$backup'; these are: $(find "${backup%/*}" -mindepth 2 -maxdepth 2 -name store.db -printf '%h\n' | sed 's|.*/||' | sort | tr '\n' ' ')" >&2
    exit 1
fi
mkdir -p "$before"
if [ -e "$data/store" ] && [ ! -e "$before/store" ]; then mv -- "$data/store" "$before/store"; fi
# It appears whole or not at all: if it is there now, an earlier run was ended after that.
[ -e "$data/store" ] || stowage-sidecar --restore "$backup" --data-dir "$data"
sync "$data"
touch "$before/restored"
echo "the store begins with $backup; what was there before is in $before"
