#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The disk of a pool goes away under its volumes: every call answers in time and says so, nothing acknowledged is lost,
# and when the disk is back (mounted again, stowage-node restarted) everything is there.
#
# POOL_TYPE: xfs (default) or ext4.
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/local-kit.sh"
MIB=1048576
BOUND=${BOUND:-30} # seconds that a call may take
command -v xfs_io >/dev/null || skip "xfs_io is not installed"
TYPE=${POOL_TYPE:-xfs}
local_pool_on 2G "$TYPE"
local_kit_start

# bounded CODE COMMAND…: refused with this code, in time.
bounded() {
    local began=$SECONDS
    local_refused "$@"
    [ $((SECONDS - began)) -lt "$BOUND" ] || fail "took $((SECONDS - began)) s: $*"
}
condition() { local_csi ControllerGetVolume "{\"volume_id\":\"$1\"}"; }
bytes_of() { cksum <"$1"; }

echo "two volumes with data, one of them in use by a pod, and a snapshot"
used=$(local_create used $((64 * MIB)))
idle=$(local_create idle $((64 * MIB)))
for id in "$used" "$idle"; do
    local_stage "$id" >/dev/null
    dd if=/dev/urandom of="$WORK/staging/$id/data" bs=1M count=8 conv=fsync 2>/dev/null
done
local_publish "$used" "$WORK/pods/used" >/dev/null
snapshot=$(local_snapshot snap "$used")
kept_used=$(bytes_of "$WORK/staging/$used/data") kept_idle=$(bytes_of "$WORK/staging/$idle/data")
local_unstage "$idle" >/dev/null
grep -q '"abnormal": *true' <<<"$(condition "$idle")" && fail "a healthy volume is called abnormal"

echo "the disk is pulled: new volumes, staging, snapshots, growing and deleting are refused in time and by name"
xfs_io -x -c 'shutdown' "$POOL"
bounded "fast\|$POOL" local_create another $((64 * MIB))
bounded "fast\|$POOL\|/dev/loop" local_stage "$idle"
bounded "fast\|$POOL\|cannot be frozen" local_snapshot snap-2 "$used"
bounded "fast\|$POOL" local_csi ControllerExpandVolume "{\"volume_id\":\"$idle\",\"capacity_range\":{\"required_bytes\":$((96 * MIB))}}"
bounded "fast\|$POOL" local_delete "$idle"
bounded "fast\|$POOL" local_csi DeleteSnapshot "{\"snapshot_id\":\"$snapshot\"}"
began=$SECONDS
reply=$(condition "$idle" 2>&1) || true
[ $((SECONDS - began)) -lt "$BOUND" ] || fail "ControllerGetVolume took $((SECONDS - began)) s"
# ext4 goes on telling of files that it knows: what it says of them is no sign.
[ "$TYPE" != xfs ] || grep -q '"abnormal": *true' <<<"$reply" || fail "the volume is not called abnormal: $reply"
local_csi ListVolumes '{}' | grep -q "$used" || fail "the volume is not listed any more"

echo "its pod can go"
local_unpublish "$used" "$WORK/pods/used" >/dev/null || fail "the pod's target cannot be unpublished"
local_unstage "$used" >/dev/null || fail "the volume cannot be unstaged"
[ -z "$(findmnt --noheadings --output TARGET "$WORK/staging/$used" || true)" ] || fail "it is still mounted"

echo "stowage-node starts without the disk: nothing of the pool is forgotten, and nothing is deleted that it knows"
stowage_stop node "$WORK"
for device in $(local_loops); do losetup --detach "$device"; done
umount "$POOL" || umount --lazy "$POOL"
chmod 0 "$POOL" && mv "$POOL" "$POOL.away"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
grep -q '"local pool cannot be used' "$WORK/node.log" || fail "the missing pool was not told of"
bounded "fast" local_create another $((64 * MIB))
bounded "fast" local_delete "$idle"
bounded "fast" local_csi DeleteSnapshot "{\"snapshot_id\":\"$snapshot\"}"
bounded "fast" local_stage "$idle"
bounded "fast" condition "$idle"

echo "the disk is back: every volume has what was synced, the snapshot too"
stowage_stop node "$WORK"
mv "$POOL.away" "$POOL" && chmod 755 "$POOL"
mount -o loop "$WORK/pool.img" "$POOL"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
for id in "$used" "$idle"; do
    if grep -q '"abnormal": *true' <<<"$(condition "$id")"; then fail "$id is still called abnormal"; fi
    local_stage "$id" >/dev/null
done
[ "$(bytes_of "$WORK/staging/$used/data")" = "$kept_used" ] || fail "the used volume lost its data"
[ "$(bytes_of "$WORK/staging/$idle/data")" = "$kept_idle" ] || fail "the idle volume lost its data"
restored=$(local_create restored $((64 * MIB)) mount ",\"volume_content_source\":{\"snapshot\":{\"snapshot_id\":\"$snapshot\"}}")
local_stage "$restored" >/dev/null
[ "$(bytes_of "$WORK/staging/$restored/data")" = "$kept_used" ] || fail "the snapshot lost its data"

echo "everything is deleted: nothing is left"
local_csi DeleteSnapshot "{\"snapshot_id\":\"$snapshot\"}" >/dev/null
for id in "$used" "$idle" "$restored"; do
    local_unstage "$id" >/dev/null
    local_delete "$id" >/dev/null
done
left=$(find "$POOL/.stowage/data" "$POOL/.stowage/records" -type f)
[ -z "$left" ] || fail "left: $left"
