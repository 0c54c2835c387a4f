#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Local volumes on a real pool with real loop devices: a life of a volume with its data, as a file system and as a block
# device; limits; growing; snapshots and clones while it is written; what survives kill -9, a reboot and a reinstall.
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/local-kit.sh"
MIB=1048576
can_grow_ext4 || FS_TYPE=xfs
local_pool_on 3G "${POOL_TYPE:-xfs}"
# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh" # for a free port
HTTP_PORT=$(nfs_server_free_port 29480)
local_kit_start --http "127.0.0.1:$HTTP_PORT"

echo "a volume keeps its data, shows its size, and has no more"
id=$(local_create data $((400 * MIB)))
[ "$(local_create data $((400 * MIB)))" = "$id" ] || fail "the same name gave another volume"
local_stage "$id" >/dev/null
local_stage "$id" >/dev/null
local_publish "$id" "$WORK/pods/a" >/dev/null
local_publish "$id" "$WORK/pods/a" >/dev/null
local_publish "$id" "$WORK/pods/b" mount true >/dev/null
echo kept >"$WORK/pods/a/file"
if touch "$WORK/pods/b/no" 2>/dev/null; then fail "the read-only target took a write"; fi
size=$(total_of "$WORK/pods/a")
if [ "$size" -le $((310 * MIB)) ] || [ "$size" -gt $((400 * MIB)) ]; then fail "df shows $size bytes of 400 MiB"; fi
grep -q "\"total\": *\"\?$size" <<<"$(local_csi NodeGetVolumeStats "{\"volume_id\":\"$id\",\"volume_path\":\"$WORK/pods/a\"}")" ||
    fail "statistics do not agree with df"
if dd if=/dev/zero of="$WORK/pods/a/big" bs=1M count=500 2>"$WORK/error"; then fail "500 MiB went into 400"; fi
grep -q 'No space left' "$WORK/error" || fail "no ENOSPC: $(cat "$WORK/error")"
rm "$WORK/pods/a/big"

echo "growing while it is used: by the node alone, as kubelet asks, and beyond what there is room for"
node_grow() { # ID PATH MIB
    local_csi NodeExpandVolume "{\"volume_id\":\"$1\",\"volume_path\":\"$2\",\"capacity_range\":{\"required_bytes\":$(($3 * MIB))}}"
}
for _ in 1 2; do node_grow "$id" "$WORK/pods/a" 500 >/dev/null; done
size=$(total_of "$WORK/pods/a")
if [ "$size" -le $((410 * MIB)) ] || [ "$size" -gt $((500 * MIB)) ]; then fail "df shows $size bytes of 500 MiB"; fi
local_refused OUT_OF_RANGE node_grow "$id" "$WORK/pods/a" 100000
grep -q "pool 'fast'.*room for" "$WORK/error" || fail "the refusal does not tell the room: $(cat "$WORK/error")"
node_grow "$id" "$WORK/pods/a" 400 | grep -q "\"capacity_bytes\": *\"\?$((500 * MIB))" || fail "it shrank, or the refused size was kept"
[ "$(total_of "$WORK/pods/a")" = "$size" ] || fail "a refused size changed the file system"

echo "growing while it is used: by the controller, then the node"
local_csi ControllerExpandVolume "{\"volume_id\":\"$id\",\"capacity_range\":{\"required_bytes\":$((600 * MIB))}}" |
    grep -q '"node_expansion_required": *true' || fail "the node is not asked to grow it"
local_csi NodeExpandVolume "{\"volume_id\":\"$id\",\"volume_path\":\"$WORK/pods/a\"}" >/dev/null
[ "$(total_of "$WORK/pods/a")" -gt $((510 * MIB)) ] || fail "df shows $(total_of "$WORK/pods/a") bytes of 600 MiB"
[ "$(cat "$WORK/pods/a/file")" = kept ] || fail "growing lost the file"

echo "a snapshot and a clone while it is written are whole, and stay as they were"
(
    n=0
    until [ -e "$WORK/enough" ]; do
        n=$((n + 1))
        echo "$n" >"$WORK/pods/a/counter.new" && mv "$WORK/pods/a/counter.new" "$WORK/pods/a/counter" || exit 1
    done
) &
writer=$!
wait_until 10 test -s "$WORK/pods/a/counter" || fail "no counter"
snapshot=$(local_snapshot snap "$id")
[ "$(local_snapshot snap "$id")" = "$snapshot" ] || fail "the same name gave another snapshot"
clone=$(local_create clone $((600 * MIB)) mount ",\"volume_content_source\":{\"volume\":{\"volume_id\":\"$id\"}}")
touch "$WORK/enough"
wait "$writer" || fail "a write failed during the snapshot"
echo changed >"$WORK/pods/a/file"
restored=$(local_create restored $((700 * MIB)) mount ",\"volume_content_source\":{\"snapshot\":{\"snapshot_id\":\"$snapshot\"}}")
for copy in "$clone" "$restored"; do
    local_stage "$copy" >/dev/null
    [ "$(cat "$WORK/staging/$copy/file")" = kept ] || fail "the copy does not hold what was there"
    [ -s "$WORK/staging/$copy/counter" ] || fail "the copy has a torn file"
done
[ "$(total_of "$WORK/staging/$restored")" -gt $((610 * MIB)) ] || fail "the larger copy did not grow"
local_refused FAILED_PRECONDITION local_delete "$clone"

echo "kill -9, then a reinstall with an empty state directory: everything is known, pods go on"
local_kill
rm -rf "$WORK/node" && mkdir "$WORK/node"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
[ "$(cat "$WORK/pods/a/file")" = changed ] || fail "the pod lost its volume"
[ "$(local_csi ListVolumes '{}' | grep -o '"capacity_bytes"' | wc -l)" = 3 ] || fail "not all volumes: $(local_csi ListVolumes '{}')"
[ "$(local_csi ListSnapshots '{}' | grep -o '"snapshot_id"' | wc -l)" = 1 ] || fail "not all snapshots"
local_publish "$id" "$WORK/pods/c" >/dev/null
local_refused FAILED_PRECONDITION local_unstage "$id"

echo "a reboot: mounts and loop devices are gone, the data is not"
stowage_stop node "$WORK"
unmount_below "$WORK/pods"
unmount_below "$WORK/staging"
for device in $(local_loops); do losetup --detach "$device"; done
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
local_stage "$id" >/dev/null
[ "$(cat "$WORK/staging/$id/file")" = changed ] || fail "the reboot lost the file"

echo "one writer: the second target is refused"
ACCESS_MODE=SINGLE_NODE_SINGLE_WRITER local_publish "$id" "$WORK/pods/a" >/dev/null
ACCESS_MODE=SINGLE_NODE_SINGLE_WRITER local_refused FAILED_PRECONDITION local_publish "$id" "$WORK/pods/d"
local_unpublish "$id" "$WORK/pods/a" >/dev/null
local_unpublish "$id" "$WORK/pods/a" >/dev/null

echo "block access: the same device after a restart of the node"
raw=$(local_create raw $((64 * MIB)) block)
local_stage "$raw" block >/dev/null
local_publish "$raw" "$WORK/pods/raw" block >/dev/null
[ -b "$WORK/pods/raw" ] || fail "no block device at the target"
[ "$(blockdev --getsize64 "$WORK/pods/raw")" = $((64 * MIB)) ] || fail "the device has another size"
printf 'raw bytes' | dd of="$WORK/pods/raw" bs=1M seek=63 conv=notrunc,fsync 2>/dev/null
local_restart
node_grow "$raw" "$WORK/pods/raw" 96 >/dev/null
[ "$(blockdev --getsize64 "$WORK/pods/raw")" = $((96 * MIB)) ] || fail "the device did not grow"
local_unpublish "$raw" "$WORK/pods/raw" >/dev/null
local_unstage "$raw" >/dev/null
local_stage "$raw" block >/dev/null
local_publish "$raw" "$WORK/pods/raw" block >/dev/null
[ "$(dd if="$WORK/pods/raw" bs=1M skip=63 count=1 2>/dev/null | head -c 9)" = "raw bytes" ] || fail "the bytes are lost"
local_refused FAILED_PRECONDITION local_stage "$raw" mount # what is there is nobody's file system to overwrite
local_unpublish "$raw" "$WORK/pods/raw" >/dev/null
[ ! -e "$WORK/pods/raw" ] || fail "the target file stays"
local_unstage "$raw" >/dev/null

echo "what a volume was formatted with and does not show any more is never overwritten"
local_unstage "$clone" >/dev/null
key=${clone#v-}
dd if=/dev/zero of="$POOL/.stowage/data/${key%@*}" bs=1M count=8 conv=notrunc 2>/dev/null
local_refused DATA_LOSS local_stage "$clone"

echo "room: what is promised counts, whether it was written or not"
room=$(local_csi GetCapacity '{}' | sed -n 's/.*"available_capacity": *"\?\([0-9]*\).*/\1/p')
[ "$room" -gt 0 ] || fail "no room in a pool of 3 GiB"
local_refused RESOURCE_EXHAUSTED local_create much $((room + 64 * MIB))
most=$(local_create most $((room - 64 * MIB)))
local_refused RESOURCE_EXHAUSTED local_create more $((512 * MIB))
local_delete "$most" >/dev/null

echo "metrics tell of the pool"
metrics=$(curl -fsS "http://127.0.0.1:$HTTP_PORT/metrics")
grep -q '^stowage_local_pool_up{pool="fast",kind="image"} 1$' <<<"$metrics" || fail "the pool is not up: $metrics"
grep -qE '^stowage_local_pool_available_bytes\{pool="fast",kind="image"\} [1-9]' <<<"$metrics" || fail "no room: $metrics"
grep -qE '^stowage_local_volumes\{pool="fast",kind="image"\} [1-9]' <<<"$metrics" || fail "no volumes: $metrics"

echo "requests that cannot be served say why"
local_refused "no parameter\|unknown\|not known" local_create x $MIB mount ',"parameters":{"poool":"fast"}'
local_refused "has no pool" local_create x $MIB mount ',"parameters":{"pool":"slow"}'
ACCESS_MODE=MULTI_NODE_MULTI_WRITER local_refused "on one node" local_create x $MIB
FS_TYPE=ntfs local_refused "ext4 or xfs" local_create x $MIB
local_refused RESOURCE_EXHAUSTED local_create x $MIB mount \
    ',"accessibility_requirements":{"requisite":[{"segments":{"topology.local.csi.stowage.dev/node":"node-2"}}]}'

echo "onDelete: retain keeps the image"
kept=$(local_create keep $((64 * MIB)) mount ',"parameters":{"onDelete":"retain"}')
local_delete "$kept" >/dev/null
key=${kept#v-}
[ -s "$POOL/.stowage/retained/${key%@*}" ] || fail "the image was not retained"

echo "everything is deleted: nothing is left"
local_unstage "$restored" >/dev/null
local_unstage "$id" >/dev/null
for volume in "$id" "$clone" "$restored" "$raw"; do local_delete "$volume" >/dev/null; done
local_csi DeleteSnapshot "{\"snapshot_id\":\"$snapshot\"}" >/dev/null
left=$(find "$POOL/.stowage/data" "$POOL/.stowage/records" -type f)
[ -z "$left" ] || fail "left: $left"
[ -z "$(local_loops)" ] || fail "loop devices are left: $(local_loops)"
