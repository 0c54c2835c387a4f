#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The life of volumes that are directories with a project quota, on the pool at POOL_AT. Run by tests/integration/local-quota.sh.
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/local-kit.sh"
MIB=1048576
chmod 755 "$WORK" # users must reach what is published there
local_kit_start

# As a user: ext4 lets a process with CAP_SYS_RESOURCE past the limit, which pods do not have.
as_user() { setpriv --reuid=1000 --regid=1000 --clear-groups --bounding-set=-all --inh-caps=-all "$@"; }

echo "a volume of 100 MiB: df says so, and so do its statistics"
id=$(local_create data $((100 * MIB)))
[ "$(local_create data $((100 * MIB)))" = "$id" ] || fail "the same name gave another volume"
local_stage "$id" >/dev/null
local_stage "$id" >/dev/null
local_publish "$id" "$WORK/pods/a" >/dev/null
local_publish "$id" "$WORK/pods/b" mount true >/dev/null
if touch "$WORK/pods/b/no" 2>/dev/null; then fail "the read-only target took a write"; fi
[ "$(total_of "$WORK/pods/a")" = $((100 * MIB)) ] || fail "df shows $(total_of "$WORK/pods/a") bytes of 100 MiB"
grep -q "\"total\": *\"\?$((100 * MIB))" <<<"$(local_csi NodeGetVolumeStats "{\"volume_id\":\"$id\",\"volume_path\":\"$WORK/pods/a\"}")" ||
    fail "statistics do not agree with df"

fill_to_the_limit() { # DIRECTORY BYTES: what was written, which must be within 1 % below the limit
    local written
    if as_user dd if=/dev/zero of="$1/fill" bs=64k count=$(($2 / 65536 + 1024)) 2>"$WORK/error"; then fail "the limit of $2 bytes did not hold"; fi
    grep -qE 'No space left|quota exceeded' "$WORK/error" || fail "neither ENOSPC nor EDQUOT: $(cat "$WORK/error")"
    written=$(stat -c %s "$1/fill")
    echo "  written until refused: $written of $2 bytes"
    if [ "$written" -gt "$2" ] || [ "$written" -lt $(($2 * 99 / 100)) ]; then fail "$written bytes went into $2"; fi
    rm "$1/fill"
}
echo "writing past the limit is refused within 1 %"
fill_to_the_limit "$WORK/pods/a" $((100 * MIB))

echo "expanded while it is mounted"
local_csi ControllerExpandVolume "{\"volume_id\":\"$id\",\"capacity_range\":{\"required_bytes\":$((150 * MIB))}}" >/dev/null
local_csi NodeExpandVolume "{\"volume_id\":\"$id\",\"volume_path\":\"$WORK/pods/a\"}" >/dev/null
[ "$(total_of "$WORK/pods/a")" = $((150 * MIB)) ] || fail "df shows $(total_of "$WORK/pods/a") bytes of 150 MiB"
node_grow() { # BYTES: as kubelet asks, which has no controller to ask
    local_csi NodeExpandVolume "{\"volume_id\":\"$id\",\"volume_path\":\"$WORK/pods/a\",\"capacity_range\":{\"required_bytes\":$1}}"
}
node_grow $((200 * MIB)) >/dev/null
local_refused OUT_OF_RANGE node_grow $((1 << 50))
[ "$(total_of "$WORK/pods/a")" = $((200 * MIB)) ] || fail "df shows $(total_of "$WORK/pods/a") bytes of 200 MiB"
fill_to_the_limit "$WORK/pods/a" $((200 * MIB))

echo "snapshot, restored; clone: whole, and each with a limit of its own"
echo kept >"$WORK/pods/a/file"
mkdir "$WORK/pods/a/folder" && ln "$WORK/pods/a/file" "$WORK/pods/a/folder/link" && ln -s ../file "$WORK/pods/a/folder/soft"
as_user touch "$WORK/pods/a/of-user"
snapshot=$(local_snapshot first "$id")
echo changed >"$WORK/pods/a/file"
restored=$(local_create restored $((200 * MIB)) mount ",\"volume_content_source\":{\"snapshot\":{\"snapshot_id\":\"$snapshot\"}}")
clone=$(local_create clone $((300 * MIB)) mount ",\"volume_content_source\":{\"volume\":{\"volume_id\":\"$id\"}}")
for volume in "$restored" "$clone"; do
    local_stage "$volume" >/dev/null
    local_publish "$volume" "$WORK/pods/$volume" >/dev/null
done
[ "$(cat "$WORK/pods/$restored/file")" = kept ] || fail "the snapshot has not what the volume had"
[ "$(cat "$WORK/pods/$clone/file")" = changed ] || fail "the clone has not what the volume has"
[ "$(stat -c %h "$WORK/pods/$restored/folder/link")" = 2 ] || fail "a hard link became a copy"
[ "$(stat -c %u "$WORK/pods/$restored/of-user")" = 1000 ] || fail "the owner of a file was lost"
[ "$(total_of "$WORK/pods/$clone")" = $((300 * MIB)) ] || fail "df of the clone shows $(total_of "$WORK/pods/$clone")"
fill_to_the_limit "$WORK/pods/$clone" $((300 * MIB)) 2>/dev/null

echo "what a directory cannot be is refused"
local_refused INVALID_ARGUMENT local_create raw $((10 * MIB)) block
FS_TYPE=btrfs local_refused INVALID_ARGUMENT local_create other $((10 * MIB))
local_refused INVALID_ARGUMENT local_create full $((10 * MIB)) mount ',"parameters":{"provisioning":"full"}'
local_refused INVALID_ARGUMENT local_create kind $((10 * MIB)) mount ',"parameters":{"allocation":"image"}'
local_refused FAILED_PRECONDITION local_delete "$id"

echo "kill -9: mounts go on, limits hold, volumes are found again"
local_kill
echo written >"$WORK/pods/a/while-it-was-away"
mkdir -p "$POOL/.stowage/data/.aaaaaaaaaaaaaaaaaaaaaaaaaa.new/tree/below" # what a kill in the middle of a copy leaves
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
[ ! -e "$POOL/.stowage/data/.aaaaaaaaaaaaaaaaaaaaaaaaaa.new" ] || fail "half a volume was left"
local_unpublish "$id" "$WORK/pods/a" >/dev/null
local_unpublish "$id" "$WORK/pods/b" >/dev/null
local_unstage "$id" >/dev/null
local_stage "$id" >/dev/null
local_publish "$id" "$WORK/pods/a" >/dev/null
[ "$(cat "$WORK/pods/a/while-it-was-away")" = written ] || fail "a file is gone"
fill_to_the_limit "$WORK/pods/a" $((200 * MIB))

limits() { xfs_quota -f -x -c 'report -p -n -N' "$POOL" | awk '/^#[1-9]/ && $4 > 0'; }
[ "$(limits | wc -l)" = 3 ] || fail "three volumes have these limits: $(limits)"

echo "everything is deleted: neither data nor limits are left"
for volume in "$id" "$clone" "$restored"; do
    [ "$volume" = "$id" ] && target=a || target=$volume
    local_unpublish "$volume" "$WORK/pods/$target" >/dev/null
    local_unstage "$volume" >/dev/null
    local_delete "$volume" >/dev/null
done
local_csi DeleteSnapshot "{\"snapshot_id\":\"$snapshot\"}" >/dev/null
left=$(find "$POOL/.stowage/data" "$POOL/.stowage/records" -mindepth 1)
[ -z "$left" ] || fail "left: $left"
[ -z "$(limits)" ] || fail "limits are left: $(limits)"
echo "passed: volumes with a project quota"
