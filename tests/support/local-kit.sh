# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests of local volumes: a pool (at POOL_AT, of kind POOL_KIND, where these are set), and stowage-node that serves it, in a mount namespace of the test's own.
#
#   local_kit_start [FLAG...]        needs root and loop devices; sets WORK and POOL (a directory); FLAGS go to the node
#   local_pool_on SIZE TYPE          before it: POOL is a file system of its own, of SIZE and TYPE (ext4|xfs)
#   local_csi METHOD JSON            one call, as it is; prints the reply on one line
#   local_create NAME BYTES [mount|block] [more JSON, beginning with a comma]     prints the id
#   local_stage ID [mount|block] / local_publish ID TARGET [mount|block] [true: read-only] / local_unpublish ID TARGET
#   local_unstage ID / local_delete ID / local_snapshot NAME ID / local_refused CODE COMMAND…
#   local_loops                      loop devices of the pool
#   local_kill                       kill -9 of the node process

ROOT=${ROOT:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")}

# In a mount namespace of its own from here on.
if [ "${STOWAGE_OWN_MOUNTS:-}" != 1 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "skipped: needs root"
        exit 77
    fi
    STOWAGE_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi

# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"

fail() {
    echo "FAILED: $*"
    exit 1
}

WORK=$(mktemp -d "${TMPDIR:-/tmp}/stowage-local.XXXXXX")
POOL=${POOL_AT:-$WORK/pool}
mkdir -p "$WORK/pool" "$WORK/staging" "$WORK/pods"

local_kit_stop() {
    local rc=${KIT_RC:-$?} device
    trap - EXIT
    stowage_stop node "$WORK" || true
    unmount_below "$WORK/staging" || true
    unmount_below "$WORK/pods" || true
    for device in $(local_loops); do
        echo "FAILED: $device was left behind"
        losetup --detach "$device" || true
        rc=1
    done
    unmount_below "$WORK" || true
    [ -n "${KEEP:-}" ] || rm -rf --one-file-system "$WORK"
    exit "$rc"
}

local_pool_on() {
    truncate -s "$1" "$WORK/pool.img"
    case $2 in
    ext4) mkfs.ext4 -q -F -m0 "$WORK/pool.img" ;;
    xfs) mkfs.xfs -q -f "$WORK/pool.img" ;;
    esac
    mount -o loop "$WORK/pool.img" "$POOL"
}

local_kit_start() {
    local tool
    for tool in mkfs.ext4 mkfs.xfs losetup; do
        command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
    done
    [ -e /dev/loop-control ] || { echo "skipped: no loop devices"; exit 77; }
    trap local_kit_stop EXIT
    NODE_FLAGS=(--node-id node-1 --mount-mode fuse --pool "fast=${POOL_KIND:-image}:${POOL_AT:-$POOL}" --local-socket "$WORK/local.sock" "$@")
    stowage_start node "$WORK" "${NODE_FLAGS[@]}"
}

local_restart() {
    stowage_stop node "$WORK"
    stowage_start node "$WORK" "${NODE_FLAGS[@]}"
}

local_kill() {
    local pid
    pid=$(stowage_pid node "$WORK")
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true # the shell says nothing of it then
    wait_until 10 local_gone "$pid"
    rm -f "$WORK/node.pid"
}
local_gone() { ! kill -0 "$1" 2>/dev/null; }

local_csi() {
    "$BIN/stowage" csi "$1" "$2" --no-wait --timeout 60 --controller "$WORK/local.sock" --node "$WORK/local.sock" | tr -d '\n'
}

# The reply's own id stands before those of what it was made from.
first_value() { grep -o "\"$1\": *\"[^\"]*\"" <<<"$2" | sed -n '1s/.*"\([^"]*\)"$/\1/p'; }

local_capability() {
    local type=
    [ "${1:-mount}" = block ] || type=${FS_TYPE:+\"fs_type\":\"$FS_TYPE\"}
    printf '{"%s":{%s},"access_mode":{"mode":"%s"}}' "${1:-mount}" "$type" "${ACCESS_MODE:-SINGLE_NODE_WRITER}"
}

local_create() {
    local reply
    reply=$(local_csi CreateVolume "{\"name\":\"$1\",\"capacity_range\":{\"required_bytes\":$2},
        \"volume_capabilities\":[$(local_capability "${3:-mount}")]${4:-}}") || return 1
    first_value volume_id "$reply"
}

local_stage() {
    mkdir -p "$WORK/staging/$1"
    local_csi NodeStageVolume "{\"volume_id\":\"$1\",\"staging_target_path\":\"$WORK/staging/$1\",
        \"volume_capability\":$(local_capability "${2:-mount}")}"
}

local_publish() {
    local_csi NodePublishVolume "{\"volume_id\":\"$1\",\"staging_target_path\":\"$WORK/staging/$1\",
        \"target_path\":\"$2\",\"readonly\":${4:-false},\"volume_capability\":$(local_capability "${3:-mount}")}"
}

local_unpublish() { local_csi NodeUnpublishVolume "{\"volume_id\":\"$1\",\"target_path\":\"$2\"}"; }
local_unstage() {
    local_csi NodeUnstageVolume "{\"volume_id\":\"$1\",\"staging_target_path\":\"$WORK/staging/$1\"}"
}
local_delete() { local_csi DeleteVolume "{\"volume_id\":\"$1\"}"; }
local_snapshot() {
    local reply
    reply=$(local_csi CreateSnapshot "{\"name\":\"$1\",\"source_volume_id\":\"$2\"}") || return 1
    first_value snapshot_id "$reply"
}

# local_refused CODE COMMAND…: it must fail with this code; its message is in $WORK/error.
local_refused() {
    local code=$1
    shift
    if "$@" >/dev/null 2>"$WORK/error"; then fail "not refused: $*"; fi
    grep -q "$code" "$WORK/error" || fail "$* was not refused with $code: $(cat "$WORK/error")"
}

local_loops() { losetup --list --noheadings --output NAME,BACK-FILE | awk -v dir="$POOL/" 'index($2, dir) == 1 { print $1 }'; }

total_of() { df --block-size=1 --output=size "$1" | tail -n 1 | tr -d ' '; }
