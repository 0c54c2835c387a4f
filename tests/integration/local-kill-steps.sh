#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of stowage-node at every step of every call for local volumes: before the first, second, … system call that changes
# something (files, loop devices, mounts, file systems), until the call ends first. After each the call is repeated, or what it
# began is taken back; data, sizes and mounts are right, and nothing is left.
#
# POOL_TYPE: xfs (default: copies share blocks) or ext4. OPS: only these calls.
set -euo pipefail
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/local-kit.sh"
MIB=1048576 TYPE=${POOL_TYPE:-xfs} STEPS_MAX=150
command -v strace >/dev/null || skip "strace is not installed, which counts the steps"
STEPS=fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,fallocate
STEPS+=,ioctl,mount,umount2,fchmod
strace -f -qq -e trace=$STEPS -o /dev/null true 2>/dev/null || skip "no process may be traced here"
can_grow_ext4 || export FS_TYPE=xfs
SIZE=$((320 * MIB)) GROWN=$((400 * MIB))
local_pool_on 3G "$TYPE"
local_kit_start --inline-pools fast

# killed_at N COMMAND…: the command, the node being killed before its N-th step. False: the node lived, and the command succeeded.
killed_at() {
    local n=$1 pid tracer
    shift
    pid=$(stowage_pid node "$WORK")
    strace -f -qq -p "$pid" -e trace=$STEPS -e inject=$STEPS:signal=KILL:when="$n" -o "$WORK/trace" &
    tracer=$!
    wait_until 10 traced "$pid" || fail "strace does not attach"
    "$@" >/dev/null 2>"$WORK/error"
    local rc=$?
    if [ "$rc" != 0 ]; then wait_until 2 gone "$pid" || true; fi
    kill "$tracer" 2>/dev/null
    wait_until 3 gone "$tracer" || kill -KILL "$tracer" # it may wait for a thread that ended beside the one it killed
    wait "$tracer" 2>/dev/null
    if gone "$pid"; then
        wait "$pid" 2>/dev/null || true
        rm -f "$WORK/node.pid"
        stowage_start node "$WORK" "${NODE_FLAGS[@]}" || fail "it does not start after step $n: $*"
        return 0
    fi
    [ "$rc" != 0 ] # a tool that the node had started was killed in its place: the call failed, and is repeated as well
}
traced() { # every thread: the one that will work is among them
    local status
    for status in /proc/"$1"/task/*/status; do grep -q '^TracerPid:[[:space:]]*[1-9]' "$status" || return 1; done
}
gone() { [ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# --- the calls: what is there before, the call, and what must hold after it was repeated -----------------------------

handle=csi-steps target=$WORK/pods/uid-1/volumes/kubernetes.io~csi/scratch/mount
volume() { id=$(local_create data $SIZE) && local_stage "$id" >/dev/null && echo kept >"$WORK/staging/$id/file" && sync -f "$WORK/staging/$id"; }
idle() { volume && local_unstage "$id" >/dev/null; }
holds() { # the file, and that it can be written: nothing is frozen
    [ "$(cat "$WORK/staging/$1/file")" = kept ] && timeout 5 touch "$WORK/staging/$1/touched"
}
total_is() { [ "$(total_of "$1")" -gt $(($2 * 7 / 10)) ] && [ "$(total_of "$1")" -le "$2" ]; }
grow_call() { local_csi "$1" "{\"volume_id\":\"$id\"$3,\"capacity_range\":{\"required_bytes\":$2}}"; }
node_path() { printf ',"volume_path":"%s"' "$WORK/staging/$id"; }

before_create() { :; }
call_create() { local_create data $SIZE; }
after_create() { id=$(local_create data $SIZE) && local_stage "$id" && total_is "$WORK/staging/$id" $SIZE; }

before_stage() { id=$(local_create data $SIZE); }
call_stage() { local_stage "$id"; }
after_stage() { local_stage "$id" && total_is "$WORK/staging/$id" $SIZE && touch "$WORK/staging/$id/a"; }

before_publish() { volume; }
call_publish() { local_publish "$id" "$WORK/pods/a"; }
after_publish() { local_publish "$id" "$WORK/pods/a" && [ "$(cat "$WORK/pods/a/file")" = kept ] && local_unpublish "$id" "$WORK/pods/a"; }

before_unpublish() { volume && local_publish "$id" "$WORK/pods/a"; }
call_unpublish() { local_unpublish "$id" "$WORK/pods/a"; }
after_unpublish() { local_unpublish "$id" "$WORK/pods/a" && [ ! -e "$WORK/pods/a" ] && holds "$id"; }

before_expand() { volume; }
call_expand() { grow_call ControllerExpandVolume $GROWN ''; }
after_expand() { call_expand && grow_call NodeExpandVolume $GROWN "$(node_path)" && total_is "$WORK/staging/$id" $GROWN && holds "$id"; }

before_node_expand() { volume; }
call_node_expand() { grow_call NodeExpandVolume $GROWN "$(node_path)"; }
after_node_expand() { call_node_expand && [ "$(total_of "$WORK/staging/$id")" -gt $((325 * MIB)) ] && holds "$id"; }

before_snapshot() { volume; }
call_snapshot() { local_snapshot snap "$id"; }
after_snapshot() { holds "$id" && snap=$(local_snapshot snap "$id") && after_restore && holds "$id"; }

before_snapshot_idle() { idle; }
call_snapshot_idle() { local_snapshot snap "$id"; }
after_snapshot_idle() { snap=$(local_snapshot snap "$id") && after_restore; }

before_restore() { idle && snap=$(local_snapshot snap "$id"); }
call_restore() { local_create restored $SIZE mount ",\"volume_content_source\":{\"snapshot\":{\"snapshot_id\":\"$snap\"}}"; }
after_restore() { copy=$(call_restore) && local_stage "$copy" && holds "$copy"; }

before_unstage() { volume; }
call_unstage() { local_unstage "$id"; }
after_unstage() { local_unstage "$id" && [ -z "$(local_loops)" ] && local_stage "$id" && holds "$id"; }

before_delete() { idle; }
call_delete() { local_delete "$id"; }
after_delete() { local_delete "$id"; }

before_delete_snapshot() { idle && snap=$(local_snapshot snap "$id"); }
call_delete_snapshot() { local_csi DeleteSnapshot "{\"snapshot_id\":\"$snap\"}"; }
after_delete_snapshot() { call_delete_snapshot && local_stage "$id" && holds "$id"; }

before_inline_publish() { mkdir -p "$(dirname "$target")"; }
call_inline_publish() {
    local_csi NodePublishVolume "{\"volume_id\":\"$handle\",\"target_path\":\"$target\",\"volume_capability\":$(local_capability mount),
        \"volume_context\":{\"csi.storage.k8s.io/ephemeral\":\"true\",\"size\":\"320Mi\"}}"
}
after_inline_publish() { call_inline_publish && total_is "$target" $SIZE && touch "$target/a"; }

before_inline_unpublish() { before_inline_publish && call_inline_publish && touch "$target/a"; }
call_inline_unpublish() { local_csi NodeUnpublishVolume "{\"volume_id\":\"$handle\",\"target_path\":\"$target\"}"; }
after_inline_unpublish() { call_inline_unpublish && [ ! -e "$target" ]; }

# What a client does that wants none of it any more; everything may be there or not.
ids() { local_csi "$1" '{}' | grep -o "\"$2\": *\"[^\"]*\"" | sed 's/.*"\([vs]-[^"]*\)"$/\1/' | sort -u; }
take_back() {
    local one
    call_inline_unpublish >/dev/null || return 1
    rm -rf "$WORK/pods/uid-1"
    for one in $(ids ListVolumes volume_id); do
        local_unpublish "$one" "$WORK/pods/a" >/dev/null && local_unstage "$one" >/dev/null && local_delete "$one" >/dev/null || return 1
        rmdir "$WORK/staging/$one" 2>/dev/null || true
    done
    for one in $(ids ListSnapshots snapshot_id); do local_csi DeleteSnapshot "{\"snapshot_id\":\"$one\"}" >/dev/null || return 1; done
}
left() {
    find "$POOL/.stowage/data" "$POOL/.stowage/records" -type f
    local_loops
    awk -v dir="$WORK/" 'index($5, dir) == 1 && $5 != dir "pool" { print $5 }' /proc/self/mountinfo
}

# every_step CALL again|back
every_step() {
    local n
    for n in $(seq $STEPS_MAX); do
        "before_$1" >/dev/null 2>"$WORK/error" || fail "$1: what it needs cannot be made: $(cat "$WORK/error")"
        killed_at "$n" "call_$1" || break
        [ "$2" = back ] || "after_$1" >/dev/null 2>"$WORK/error" || fail "$1, killed before step $n: $(cat "$WORK/error")"
        take_back 2>"$WORK/error" || fail "$1, killed before step $n, cannot be taken back: $(cat "$WORK/error")"
        [ -z "$(left)" ] || fail "$1, killed before step $n: left: $(left)"
    done
    [ "$n" -lt $STEPS_MAX ] || fail "$1 does not end within $STEPS_MAX steps"
    [ "$n" -gt 1 ] || fail "$1 has no step at which it could be killed"
    take_back || fail "$1 cannot be taken back"
    [ -z "$(left)" ] || fail "$1: left: $(left)"
    echo "$1: killed at each of $((n - 1)) steps, then $2"
}

for call in ${OPS:-create stage publish unpublish expand node_expand snapshot snapshot_idle restore unstage delete delete_snapshot inline_publish inline_unpublish}; do
    every_step "$call" again
    case $call in create | stage | snapshot | restore | inline_publish) every_step "$call" back ;; esac
done
