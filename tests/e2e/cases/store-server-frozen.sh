#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The NFS server below the store freezes for 15 seconds, then restarts, under load: the store waits and goes on, without a restart; nothing is lost.
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
before="$(store_uid) $(store_starts)"
signal_all ganesha.nfsd STOP || fail "no ganesha to freeze"
at_end 'signal_all ganesha.nfsd CONT'
have=$(store_load_count load)
sleep 15
# A few that were on their way may still be acknowledged; then nothing is, for nothing reaches the disk.
[ "$(store_load_count load)" -lt $((have + 100)) ] || fail "writes are acknowledged while the disk is away"
signal_all ganesha.nfsd CONT
store_load_goes_on load
expect "the store's pod, and its starts" "$(store_uid) $(store_starts)" "$before"
ok "frozen for 15 s: nothing was acknowledged meanwhile, then the client goes on (longest wait $(store_load_wait load) s)"

pods=$(pods_of nfs)
system delete "$pods" --timeout 60s >/dev/null
ready statefulset/stowage-nfs
store_load_goes_on load
expect "the store's pod, and its starts" "$(store_uid) $(store_starts)" "$before"
ok "restarted: the client goes on (longest wait $(store_load_wait load) s)"
result=$(store_load_end load) || fail "$result"
expect "lost, doubled or out of order" "$(jq -c .wrong <<<"$result")" "[]"
ok "$(jq -r '"\(.acked) writes acknowledged, \(.again) sent again, none lost, no message twice"' <<<"$result")"
