#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A kubelet is killed and started again: pods keep their volumes, and it can tear them down.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
writer_start one node-1 data
machine_run node-1 kill -KILL "$(daemon_pid node-1 kubelet)"
ok "the kubelet is killed"
daemon_again node-1 kubelet
node_wait node-1
writer_check one
ok "it is back; the writer never stopped"
pod two node-1 data
running two
gone pod one two
staged() { machine_run node-1 grep -c " /var/lib/kubelet/.*$(volume_of data)" /proc/self/mountinfo; }
unstaged() { [ "$(staged)" = 0 ]; }
wait_until 60 unstaged || fail "node-1 still has $(staged) mounts of the volume"
ok "nothing of the volume is mounted after its last pod"
