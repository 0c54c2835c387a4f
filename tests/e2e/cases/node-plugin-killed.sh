#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node plugin is killed, and its pod deleted, while pods write: no error, no pause to speak of, and its next one goes on.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
writer_start one node-1 data
writer_start two node-2 data
before=$(writer_count one)
signal_all stowage-node KILL
wait_until 60 writer_passed one $((before + 20)) || fail "writer one stands still"
ok "the node plugins are killed: the writers go on"
gone_pods=$(pods_of node)
# shellcheck disable=SC2086 # a list
system delete $gone_pods --timeout 120s >/dev/null
ready daemonset/stowage-node
writer_check one
writer_check two
ok "the node plugins' pods are replaced: the writers go on, no line is missing"
pvc other
pod three node-1 other
bound other
running three
gone pod one
ok "the new ones mount and unmount"
