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
# Past the scheduler, on the same node: the kubelet and the driver refuse. By the scheduler, for the other node: it refuses.
pod two node-1 data
pod three "" data "" 'nodeSelector: {kubernetes.io/hostname: node-2}'
expect_event two 'ReadWriteOncePod' 90
expect_event three 'ReadWriteOncePod' 90
expect "phases" "$(k get pods two three -o 'jsonpath={.items[*].status.phase}')" "Pending Pending"
ok "two others wait, on the same node and on another, and their events say why"
gone pod three
gone pod one
POD_TIMEOUT=180s running two
ok "the next has it once the first is gone"
