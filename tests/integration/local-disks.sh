#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Local volumes that are whole disks (loop devices here): which one is taken and which never, what a deleted one leaves, a
# disk that is pulled and comes back under another name, kill -9 while disks are copied and erased.
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/local-kit.sh"
MIB=1048576
FILES=$WORK/files DISKS=$WORK/disks
mkdir -p "$FILES" "$DISKS"

plug() { # NAME: the loop device of its file gets a link among the disks
    ln -sfn "$(losetup --find --show "$FILES/$1.img")" "$DISKS/$1"
}
unplug() {
    losetup --detach "$(readlink "$DISKS/$1")"
    rm "$DISKS/$1"
}
unplug_all() {
    local rc=$? link
    umount "$WORK/mounted" "$WORK/by-hand" 2>/dev/null || true
    for link in "$DISKS"/*; do [ ! -L "$link" ] || losetup --detach "$(readlink "$link")" || true; done
    KIT_RC=$rc local_kit_stop
}
make_disk() { truncate -s "$2M" "$FILES/$1.img" && plug "$1"; }
disk_of() { sed -n '1s/^file://p' "$WORK/state/pools/fast/.stowage/data/$(key_of "$1")" | sed 's|.*/||; s|\.img$||'; }
key_of() { local key=${1#?-} && printf '%s' "${key%@*}"; }
is_zero() { cmp -s -n "$2" "$1" /dev/zero; }

make_disk small 100
make_disk large 300
make_disk huge 500
make_disk foreign 120
make_disk written 140
mkfs.ext4 -q -F "$DISKS/foreign"
printf somebody >"$FILES/written.raw" && dd if="$FILES/written.raw" of="$DISKS/written" conv=notrunc status=none
make_disk mounted 130
mkfs.ext4 -q -F "$DISKS/mounted" && mkdir "$WORK/mounted" && mount "$(readlink "$DISKS/mounted")" "$WORK/mounted"
sync
POOL_KIND=device POOL_AT="$DISKS/*" local_kit_start --state-dir "$WORK/state"
trap unplug_all EXIT

echo "a volume is the smallest disk that is large enough; what shows anything is nobody's to take"
# XFS: growing a mounted ext4, as for a copy on a larger disk, is not allowed in every container.
id=$(FS_TYPE=xfs local_create one $((110 * MIB)))
[ "$(disk_of "$id")" = large ] || fail "110 MiB are on $(disk_of "$id")"
[ "$(FS_TYPE=xfs local_create one $((110 * MIB)))" = "$id" ] || fail "the same name gave another volume"
local_refused OUT_OF_RANGE local_csi CreateVolume "{\"name\":\"limit\",\"capacity_range\":{\"required_bytes\":$((110 * MIB)),
    \"limit_bytes\":$((120 * MIB))},\"volume_capabilities\":[$(local_capability)]}"
grep -q '"available_capacity": *"\?'"$((600 * MIB))" <<<"$(local_csi GetCapacity '{}')" || fail "capacity: $(local_csi GetCapacity '{}')"
grep -q "$((500 * MIB))" <<<"$(local_csi GetCapacity '{}')" || fail "largest: $(local_csi GetCapacity '{}')"
raw=$(local_create two $((200 * MIB)) block)
local_refused RESOURCE_EXHAUSTED local_create three $((110 * MIB))
grep -qE 'wipefs|blkdiscard' "$WORK/error" || fail "the remedy is not told: $(cat "$WORK/error")"

echo "a file system on it, a device file, both as large as the disk"
local_stage "$id" >/dev/null
local_publish "$id" "$WORK/pods/a" >/dev/null
echo kept >"$WORK/pods/a/file"
local_stage "$raw" block >/dev/null
local_publish "$raw" "$WORK/pods/raw" block >/dev/null
[ "$(blockdev --getsize64 "$WORK/pods/raw")" = $((500 * MIB)) ] || fail "the device has another size"
head -c 9000000 /dev/urandom | tee "$WORK/random" | dd of="$WORK/pods/raw" bs=1M seek=100 conv=fsync status=none
local_refused OUT_OF_RANGE local_csi ControllerExpandVolume "{\"volume_id\":\"$id\",\"capacity_range\":{\"required_bytes\":$((400 * MIB))}}"
if dd if=/dev/zero of="$WORK/pods/a/big" bs=1M count=400 2>"$WORK/error"; then fail "400 MiB went into 300"; fi
grep -q 'No space left' "$WORK/error" || fail "no ENOSPC: $(cat "$WORK/error")"
rm "$WORK/pods/a/big"

echo "a disk is pulled: said at once; back under another name it has its data"
local_unpublish "$id" "$WORK/pods/a" >/dev/null
local_unstage "$id" >/dev/null
before=$(readlink "$DISKS/large")
unplug large
local_refused "plug it in again" local_stage "$id"
grep -q '"abnormal": *true' <<<"$(local_csi ControllerGetVolume "{\"volume_id\":\"$id\"}")" || fail "a volume without its disk is healthy"
losetup --find "$FILES/foreign.img" # takes the number that is free now
plug large
[ "$(readlink "$DISKS/large")" != "$before" ] || fail "the test did not give it another name"
losetup --detach "$(losetup --associated "$FILES/foreign.img" --noheadings --output NAME | grep -vx "$(readlink "$DISKS/foreign")")"
local_stage "$id" >/dev/null
local_publish "$id" "$WORK/pods/a" >/dev/null
[ "$(cat "$WORK/pods/a/file")" = kept ] || fail "the file is gone"

echo "a snapshot is a disk too; a deleted one is zeros when it goes"
make_disk spare 320
snapshot=$(local_snapshot first "$id")
[ "$(disk_of "$snapshot")" = spare ] || fail "the snapshot is on $(disk_of "$snapshot")"
local_unpublish "$raw" "$WORK/pods/raw" >/dev/null
local_unstage "$raw" >/dev/null
local_delete "$raw" >/dev/null
is_zero "$DISKS/huge" $((500 * MIB)) || fail "the disk of a deleted volume holds data"
restored=$(FS_TYPE=xfs local_create restored $((110 * MIB)) mount ",\"volume_content_source\":{\"snapshot\":{\"snapshot_id\":\"$snapshot\"}}")
local_stage "$restored" >/dev/null
[ "$(cat "$WORK/staging/$restored/file")" = kept ] || fail "the snapshot has not what the volume had"
local_unstage "$restored" >/dev/null
local_csi DeleteSnapshot "{\"snapshot_id\":\"$snapshot\"}" >/dev/null
local_delete "$restored" >/dev/null

echo "kill -9 while disks are copied and erased: every disk is free or a volume's, and free ones are zeros"
claims() { find "$WORK/state/pools/fast/.stowage/data" -type f -printf '%f\n' | sort; }
records() { find "$WORK/state/pools/fast/.stowage/records" -type f -printf '%f\n' | sed 's/\.json$//' | sort; }
for round in $(seq "${ROUNDS:-12}"); do
    (
        for n in 1 2 3 4 5 6; do
            clone=$(FS_TYPE=xfs local_create "clone-$round-$n" $((110 * MIB)) mount ",\"volume_content_source\":{\"volume\":{\"volume_id\":\"$id\"}}") || exit 0
            local_delete "$clone" >/dev/null || exit 0
        done
    ) >/dev/null 2>&1 &
    worker=$!
    sleep "0.0$((RANDOM % 9 + 1))"
    local_kill
    wait "$worker" || true
    stowage_start node "$WORK" "${NODE_FLAGS[@]}"
    for volume in $(local_csi ListVolumes '{}' | grep -o '"volume_id": *"[^"]*"' | sed 's/.*"\(v-[^"]*\)"/\1/' | sort -u); do
        [ "$volume" = "$id" ] || local_delete "$volume" >/dev/null
    done
    [ "$(claims)" = "$(records)" ] || fail "claims and records differ after round $round: $(diff <(claims) <(records))"
    is_zero "$DISKS/spare" $((320 * MIB)) || fail "spare is free and holds data after round $round"
    is_zero "$DISKS/huge" $((500 * MIB)) || fail "huge is free and holds data after round $round"
done
[ "$(cat "$WORK/pods/a/file")" = kept ] || fail "the file is gone"

echo "a pool that says so wipes what nobody uses, and nothing that is mounted"
local_unpublish "$id" "$WORK/pods/a" >/dev/null
local_unstage "$id" >/dev/null
POOL_KIND="device+wipe"
stowage_stop node "$WORK"
POOL_AT="$DISKS/*" local_kit_start --state-dir "$WORK/state"
trap unplug_all EXIT
wiped=$(local_create wiped $((115 * MIB)))
[ "$(disk_of "$wiped")" = foreign ] || fail "115 MiB are on $(disk_of "$wiped")"
other=$(local_create other $((125 * MIB)))
[ "$(disk_of "$other")" = written ] || fail "125 MiB are on $(disk_of "$other")"
[ -d "$WORK/mounted/lost+found" ] || fail "a mounted disk was taken"

echo "onDelete: retain keeps the disk and what is on it out of reach"
local_csi ControllerModifyVolume "{\"volume_id\":\"$id\",\"mutable_parameters\":{\"onDelete\":\"retain\"}}" >/dev/null
for volume in "$id" "$wiped" "$other"; do local_delete "$volume" >/dev/null; done
[ -z "$(claims)$(records)" ] || fail "left: $(claims) $(records)"
mkdir "$WORK/by-hand" && mount -o ro "$(readlink "$DISKS/large")" "$WORK/by-hand"
[ "$(cat "$WORK/by-hand/file")" = kept ] || fail "the retained disk lost its file"
umount "$WORK/by-hand"
again=$(local_create again $((290 * MIB)))
[ "$(disk_of "$again")" = spare ] || fail "290 MiB are on $(disk_of "$again"), large is retained"
local_delete "$again" >/dev/null
echo "passed: volumes that are whole disks"
