#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The NFS server is restarted while pods write: they wait, go on, and miss no line.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
writer_start one node-1 data
writer_start two node-2 data
server=$(pods_of nfs | head -n 1)
system delete "$server" --timeout 120s >/dev/null
ready statefulset/stowage-nfs
ok "the server's pod is replaced"
writer_check one
writer_check two
ok "both writers go on; no error, no line missing"
