#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ReadWriteOncePod: a second pod does not get the volume while the first has it, and gets it afterwards.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data 1Gi "" ReadWriteOncePod
pod one node-1 data
bound data
running one
ok "the first pod has it"
# nodeName goes past the scheduler, so this tests the kubelet and the driver, not the scheduler's plugin.
pod two node-1 data
pod three node-2 data
expect_event two '.+' 60
sleep_until_refused() { has_event two 'ReadWriteOncePod|in use|already' && has_event three 'ReadWriteOncePod|in use|already'; }
wait_until 90 sleep_until_refused || fail "no event tells why pods two and three wait: $(k get events -o 'jsonpath={.items[*].message}')"
expect "phases" "$(k get pods two three -o 'jsonpath={.items[*].status.phase}')" "Pending Pending"
ok "two others wait, on the same node and on another, and their events say why"
gone pod three
gone pod one
POD_TIMEOUT=180s running two
ok "the next has it once the first is gone"
