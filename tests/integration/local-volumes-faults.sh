#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Local volumes on bad days: kill -9 in the middle of everything, a full pool, a pool that became read-only, one that is
# missing; and a thousand volumes made and deleted: what was acknowledged is there, nothing is left behind.
#
# ROUNDS: kills (default 20). VOLUMES: made and deleted at the end (default 1000).
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/local-kit.sh"
MIB=1048576
ROUNDS=${ROUNDS:-20} VOLUMES=${VOLUMES:-1000}
local_pool_on 2G "${POOL_TYPE:-xfs}"
local_kit_start

ids() { local_csi ListVolumes '{}' | sed 's/"volume_id"/\n&/g' | sed -n 's/^"volume_id": *"\(v-[^"]*\)".*/\1/p' | sort; }
records() { find "$POOL/.stowage/records" -type f -name '*.json' -printf '%f\n' | sed 's/\.json$//' | sort; }
images() { find "$POOL/.stowage/data" -type f -printf '%f\n' | sort; }

echo "kill -9 while volumes are made, staged, copied, grown and deleted: $ROUNDS times"
work() { # until the node is killed: appends what was acknowledged
    local n=$1 id
    while :; do
        n=$((n + 1))
        id=$(local_create "kill-$1-$n" $((32 * MIB)) 2>/dev/null) || return 0
        echo "made $id" >>"$WORK/acknowledged"
        local_stage "$id" >/dev/null 2>&1 || return 0
        echo "$id" >"$WORK/staging/$id/mine" && sync -f "$WORK/staging/$id" || return 0
        echo "wrote $id" >>"$WORK/acknowledged"
        local_snapshot "snap-$1-$n" "$id" >/dev/null 2>&1 || return 0
        if can_grow_ext4; then
            grow "$id" >/dev/null 2>&1 || return 0
        fi
        local_unstage "$id" >/dev/null 2>&1 || return 0
        [ $((n % 2)) = 0 ] || continue
        echo "deleting $id" >>"$WORK/acknowledged"
        local_delete "$id" >/dev/null 2>&1 || return 0
        echo "deleted $id" >>"$WORK/acknowledged"
    done
}
grow() {
    local_csi ControllerExpandVolume "{\"volume_id\":\"$1\",\"capacity_range\":{\"required_bytes\":$((48 * MIB))}}" &&
        local_csi NodeExpandVolume "{\"volume_id\":\"$1\",\"volume_path\":\"$WORK/staging/$1\"}" &&
        local_csi NodeExpandVolume "{\"volume_id\":\"$1\",\"volume_path\":\"$WORK/staging/$1\",\"capacity_range\":{\"required_bytes\":$((64 * MIB))}}"
}
check() {
    local verb id
    ids >"$WORK/listed"
    while read -r verb id; do
        case $verb in
        made) grep -qx "deleting $id" "$WORK/acknowledged" || grep -qx "$id" "$WORK/listed" || fail "$id was made and is gone" ;;
        deleted) ! grep -qx "$id" "$WORK/listed" || fail "$id was deleted and is there" ;;
        esac 2>/dev/null
    done < <(awk '{ print $1, $2 }' "$WORK/acknowledged")
    [ "$(records)" = "$(images)" ] || fail "records and images differ: $(diff <(records) <(images))"
}
for round in $(seq "$ROUNDS"); do
    : >"$WORK/acknowledged"
    work "$round" &
    worker=$!
    sleep "0.$((RANDOM % 8 + 1))"
    local_kill
    wait "$worker" || true
    stowage_start node "$WORK" "${NODE_FLAGS[@]}"
    check
    # Every volume whose data was synced has it, whatever was cut short afterwards; then all of them go.
    for id in $(ids); do
        if grep -qx "wrote $id" "$WORK/acknowledged"; then
            local_stage "$id" >/dev/null || fail "$id cannot be staged after the kill"
            [ "$(cat "$WORK/staging/$id/mine")" = "$id" ] || fail "$id lost its file"
        fi
        local_unstage "$id" >/dev/null
        local_delete "$id" >/dev/null
    done
    for id in $(local_csi ListSnapshots '{}' | grep -o '"snapshot_id": *"[^"]*"' | sed 's/.*"\(s-[^"]*\)"/\1/'); do
        local_csi DeleteSnapshot "{\"snapshot_id\":\"$id\"}" >/dev/null
    done
    [ -z "$(records)$(images)" ] || fail "left after round $round: $(records) $(images)"
    [ -z "$(local_loops)" ] || fail "loop devices left after round $round: $(local_loops)"
done

echo "a pool that somebody else filled: volumes are refused by name, those that are there go on"
id=$(local_create there $((64 * MIB)))
local_stage "$id" >/dev/null
fallocate -l "$(($(df --block-size=1 --output=avail "$POOL" | tail -n 1) - 32 * MIB))" "$POOL/somebody"
local_refused "pool 'fast'" local_create another $((64 * MIB))
local_refused RESOURCE_EXHAUSTED local_create another $((64 * MIB))
[ "$(local_csi GetCapacity '{}' | grep -c '"available_capacity": *"\?[1-9]')" = 0 ] || fail "room in a full pool"
ls "$WORK/staging/$id" >/dev/null || fail "the volume that was there cannot be read"
rm "$POOL/somebody"

echo "a pool that became read-only: a clear refusal, nothing is half made"
local_unstage "$id" >/dev/null
mount -o remount,ro "$POOL"
local_refused "Read-only\|read-only\|EROFS\|FAILED_PRECONDITION" local_create another $((64 * MIB))
local_refused "Read-only\|read-only\|EROFS\|FAILED_PRECONDITION" local_delete "$id"
mount -o remount,rw "$POOL"
[ "$(ids)" = "$id" ] || fail "the volume is gone"
local_delete "$id" >/dev/null

echo "a thousand volumes, made and deleted: $VOLUMES"
for n in $(seq "$VOLUMES"); do
    id=$(local_create "many-$n" $((16 * MIB)))
    [ $((n % 50)) != 0 ] || { local_stage "$id" >/dev/null && local_unstage "$id" >/dev/null; }
    local_delete "$id" >/dev/null
done
[ -z "$(records)$(images)" ] || fail "left: $(records) $(images)"
[ -z "$(local_loops)" ] || fail "loop devices left: $(local_loops)"

echo "a pool whose disk is not there: said at the start and at each use; the directory is not made"
stowage_stop node "$WORK"
stowage_start node "$WORK" "${NODE_FLAGS[@]}" --pool "gone=image:$WORK/not-there"
grep -q '"local pool cannot be used' "$WORK/node.log" || fail "the missing pool was not told of"
local_refused "not-there" local_create x $MIB mount ',"parameters":{"pool":"gone"}'
[ ! -e "$WORK/not-there" ] || fail "the directory of a missing disk was made"
