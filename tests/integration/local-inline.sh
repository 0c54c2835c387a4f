#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Inline volumes of local pools: made with the pod's target, of its size, gone with it; kept over kill -9 and reboot; what is not
# allowed or cannot be published leaves nothing; kill -9 at any moment leaks nothing.
#
# ROUNDS: kills (default 20).
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/local-kit.sh"
MIB=1048576 ROUNDS=${ROUNDS:-20}
local_pool_on 2G "${POOL_TYPE:-xfs}"
local_kit_start --inline-pools fast

# As kubelet names things: the pod's directory, the target in it, and the handle made of both.
pod_dir() { echo "$WORK/pods/uid-$1"; }
target_of() { echo "$(pod_dir "$1")/volumes/kubernetes.io~csi/scratch/mount"; }
handle_of() { echo "csi-$(printf '%s' "$1" | sha256sum | cut -d ' ' -f 1)"; }
inline_publish() { # NAME ATTRIBUTES [MORE]
    mkdir -p "$(dirname "$(target_of "$1")")"
    local_csi NodePublishVolume "{\"volume_id\":\"$(handle_of "$1")\",\"target_path\":\"$(target_of "$1")\",
        \"volume_capability\":$(local_capability mount),
        \"volume_context\":{\"csi.storage.k8s.io/ephemeral\":\"true\",\"csi.storage.k8s.io/pod.name\":\"$1\"${2:+,$2}}${3:-}}"
}
inline_unpublish() { local_csi NodeUnpublishVolume "{\"volume_id\":\"$(handle_of "$1")\",\"target_path\":\"$(target_of "$1")\"}"; }
left() {
    find "$POOL/.stowage/data" "$POOL/.stowage/records" -type f
    local_loops
}
nothing_left() { [ -z "$(left)" ] || fail "$1: left: $(left)"; }

echo "a pod's own volume: its size, its statistics, and no more than that"
size='"size":"64Mi"'
for _ in 1 2; do inline_publish a "$size" >/dev/null; done
at=$(target_of a)
total=$(total_of "$at")
if [ "$total" -gt $((64 * MIB)) ] || [ "$total" -lt $((50 * MIB)) ]; then fail "df shows $total bytes of 64 MiB"; fi
grep -q "\"total\": *\"\?$total" <<<"$(local_csi NodeGetVolumeStats "{\"volume_id\":\"$(handle_of a)\",\"volume_path\":\"$at\"}")" ||
    fail "statistics do not agree with df"
if dd if=/dev/zero of="$at/big" bs=1M count=100 2>"$WORK/error"; then fail "100 MiB went into 64"; fi
grep -q 'No space left' "$WORK/error" || fail "no ENOSPC: $(cat "$WORK/error")"
rm "$at/big"
echo kept >"$at/file" && sync -f "$at"

echo "kill -9, then a reboot: the pod's data is there"
local_kill
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
[ "$(cat "$at/file")" = kept ] || fail "the pod lost its volume"
inline_publish a "$size" >/dev/null
stowage_stop node "$WORK"
unmount_below "$WORK/pods"
for device in $(local_loops); do losetup --detach "$device"; done
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
inline_publish a "$size" >/dev/null
[ "$(cat "$at/file")" = kept ] || fail "the reboot lost the file"

echo "it goes with its pod; asking again is no failure"
for _ in 1 2; do inline_unpublish a >/dev/null; done
[ ! -e "$at" ] || fail "the target stays"
nothing_left "after unpublish"

echo "what cannot be served says why, and leaves nothing"
local_refused "'size' is missing" inline_publish b ''
local_refused "'size' is 'much'" inline_publish b '"size":"much"'
local_refused "goes with its pod" inline_publish b "$size,\"onDelete\":\"retain\""
local_refused "parameter\|not known\|unknown" inline_publish b "$size,\"poool\":\"fast\""
local_refused "no pool 'slow'" inline_publish b "$size,\"pool\":\"slow\""
local_refused "readOnly" inline_publish b "$size" ',"readonly":true'
local_refused RESOURCE_EXHAUSTED inline_publish b '"size":"1Ti"'
mkdir -p "$(target_of b)"
mount -t tmpfs none "$(target_of b)"
local_refused "tmpfs mount" inline_publish b "$size"
umount "$(target_of b)"
nothing_left "after refusals"

echo "kill -9 while volumes come and go: $ROUNDS times; the calls are repeated as kubelet does, and nothing is left"
work() { # until the node is killed
    local n=0
    while n=$((n + 1)); do
        echo "$1-$n" >>"$WORK/pods-made"
        inline_publish "$1-$n" '"size":"32Mi"' >/dev/null 2>&1 || return 0
        echo mine >"$(target_of "$1-$n")/file" || return 0
        [ $((n % 3)) = 0 ] || inline_unpublish "$1-$n" >/dev/null 2>&1 || return 0
    done
}
for round in $(seq "$ROUNDS"); do
    : >"$WORK/pods-made"
    work "$round" &
    worker=$!
    sleep "0.$((RANDOM % 6 + 1))"
    local_kill
    wait "$worker" || true
    stowage_start node "$WORK" "${NODE_FLAGS[@]}"
    while read -r name; do
        inline_unpublish "$name" >/dev/null || fail "$name cannot be unpublished after the kill"
        [ ! -e "$(target_of "$name")" ] || fail "the target of $name stays"
    done <"$WORK/pods-made"
    nothing_left "round $round"
    rm -rf --one-file-system "$WORK"/pods/uid-*
done

echo "a pod that is gone without a call: its volume goes at the next start; not where kubelet's directory is not there"
inline_publish lost "$size" >/dev/null
inline_publish here "$size" >/dev/null
stowage_stop node "$WORK"
unmount_below "$WORK/pods"
for device in $(local_loops); do losetup --detach "$device"; done
mv "$WORK/pods" "$WORK/pods-away"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
[ "$(find "$POOL/.stowage/records" -type f | wc -l)" = 2 ] || fail "volumes went although nobody can tell of their pods"
stowage_stop node "$WORK"
mv "$WORK/pods-away" "$WORK/pods"
rm -rf "$(pod_dir lost)"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
[ "$(find "$POOL/.stowage/records" -type f | wc -l)" = 1 ] || fail "not the lost one alone went: $(left)"
grep -q 'pod that is gone' "$WORK/node.log" || fail "the log does not tell of it"
inline_unpublish here >/dev/null
nothing_left "at the end"

echo "pools that nobody allowed"
stowage_stop node "$WORK"
stowage_start node "$WORK" "${NODE_FLAGS[@]:0:${#NODE_FLAGS[@]}-2}"
local_refused "PERMISSION_DENIED.*inlineVolumes.allowedPools" inline_publish c "$size"
nothing_left "after the last refusal"
