#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The store, on a shared volume, is killed, upgraded with the driver below it, and drained, while a client writes: nothing that was acknowledged is lost, the client goes on.
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
for part in lepton store; do
    # shellcheck source=/dev/null # both are here
    . "$ROOT/tests/e2e/lib/$part.sh"
done
case_begin
lepton_image
step_started=$(now_ms)

store_begin
store_install --set store.persistence.storageClassName=$CLASS,store.backup.enabled=false
store_load_start load
ok "a pod writes values, messages and objects to a store on a volume of class $CLASS"

for starts in 1 2; do
    signal_all stowage-sidecar KILL || fail "there is no stowage-sidecar to kill"
    started_again() { [ "$(store_starts)" = "$starts" ]; }
    wait_until 60 started_again || fail "the container is not started again"
    store_load_goes_on load
done
ok "killed twice with SIGKILL: the client goes on (longest wait $(store_load_wait load) s, of which 10 are the kubelet's before a second restart)"

before=$(store_uid)
store_install --set store.persistence.storageClassName=$CLASS,store.backup.enabled=false,store.persistence.size=2Gi \
    --set logLevel=debug # which replaces the node plugin and the controller, too
[ "$(store_uid)" != "$before" ] || fail "the upgrade replaced nothing, so it proved nothing"
store_load_goes_on load
grown() { [ "$(system get pvc stowage-store -o 'jsonpath={.status.capacity.storage}')" = 2Gi ]; }
wait_until 60 grown || fail "the claim does not grow: $(system describe pvc stowage-store | tail -n 5)"
ok "upgraded: a claim of 2Gi, another pod, on $(system get pod stowage-store-0 -o 'jsonpath={.spec.nodeName}'), the client goes on (longest wait $(store_load_wait load) s)"

node=$(system get pod stowage-store-0 -o 'jsonpath={.spec.nodeName}') before=$(store_uid)
at_end "kubectl uncordon $node >/dev/null || true"
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --pod-selector app.kubernetes.io/component=store --timeout 60s >/dev/null 2>&1 ||
    fail "the drain does not end"
ready statefulset/stowage-store
[ "$(system get pod stowage-store-0 -o 'jsonpath={.spec.nodeName}')" != "$node" ] || fail "the store is still on $node"
store_load_goes_on load
ok "drained: it is on the other node, with its data, the client goes on (longest wait $(store_load_wait load) s)"

result=$(store_load_end load) || fail "$result"
[ "$(jq '.again > 0 and .acked > 1000' <<<"$result")" = true ] || fail "too little was tried: $result"
expect "lost, doubled or out of order" "$(jq -c .wrong <<<"$result")" "[]"
ok "$(jq -r '"\(.acked) writes acknowledged, \(.again) sent again, none lost, no message twice; the longest wait was \(.gap_s) s"' <<<"$result")"
