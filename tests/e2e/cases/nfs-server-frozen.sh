#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The NFS server freezes: pods can be deleted, events tell why others wait, and all is well when it is back.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
writer_start one node-1 data
bound data
thaw() { signal_all ganesha.nfsd CONT || true; }
at_end 'thaw'
signal_all ganesha.nfsd STOP
pod late node-2 data
step_started=$(now_ms)
k delete pod one --timeout 90s >/dev/null || fail "the pod cannot be deleted while the server is frozen"
ok "a pod that writes is deleted while the server is frozen"
expect_event late 'MountVolume.*(NFS|server|DeadlineExceeded|did not)' 120
ok "the event of a new pod tells: $(k get events --field-selector involvedObject.name=late -o 'jsonpath={.items[-1:].message}' | tail -c 160)"
thaw
POD_TIMEOUT=240s running late
in_pod late 'test -s /data/writer-one && echo on >/data/later'
ok "the server is back: the new pod runs"
