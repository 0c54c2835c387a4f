# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests of stowage-node: an NFS server, one volume's directory on it, and the node process, in a mount namespace of
# the test's own, so that no mount can be left behind on the machine.
#
#   node_kit_start [FLAG...]     needs root; sets WORK, VOLUME, CONTEXT (JSON), STAGING; FLAGS go to the node
#   NODE_KIT_NO_NODE=1           before it: the test starts the node itself
#   CAPABILITY_FLAGS             mount options of every capability, as JSON texts: '"vers=3","ro"'
#   node_csi METHOD JSON         one call, as it is; prints the reply
#   node_stage / node_publish TARGET [true|false: read-only] [ACCESS MODE] / node_unpublish TARGET / node_unstage
#   node_stats PATH              the reply as JSON on one line
#   node_daemons                 pids of the FUSE daemons below WORK

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
# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"

fail() {
    echo "FAILED: $*"
    exit 1
}

node_kit_stop() {
    [ -z "${NFS_PID:-}" ] || kill -CONT "$NFS_PID" 2>/dev/null || true # umount would wait for a frozen server
    stowage_stop node "$WORK" || true
    stowage_end_mounts "$WORK" 2>/dev/null || true
    nfs_server_stop "$WORK/nfs"
    rm -rf "$WORK"
}

node_kit_start() {
    local tool
    for tool in ganesha.nfsd rpcbind; do
        command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
    done
    [ -e /dev/fuse ] || { echo "skipped: no /dev/fuse"; exit 77; }
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/stowage-node.XXXXXX")
    trap node_kit_stop EXIT
    mkdir -p "$WORK/export/volume-1" "$WORK/staging" "$WORK/pods"
    nfs_server_start "$WORK/nfs" "$WORK/export" || fail "no NFS server"
    # shellcheck source=/dev/null
    . "$WORK/nfs/env"
    NODE_FLAGS=("$@")
    [ -n "${NODE_KIT_NO_NODE:-}" ] || stowage_start node "$WORK" "$@"
    STAGING=$WORK/staging/volume-1
    mkdir "$STAGING"
    # shellcheck disable=SC2153 # of nfs/env
    VOLUME="v-aaaaaaaaaaaaaaaaaaaaaaaaaa@127.0.0.1:$NFS_PORT:$MNT_PORT/export"
    CONTEXT=$(printf '{"server":"127.0.0.1","share":"/export","subDir":"volume-1","nfsPort":"%s","mountPort":"%s"}' \
        "$NFS_PORT" "$MNT_PORT")
}

node_restart() {
    stowage_stop node "$WORK"
    stowage_start node "$WORK" "${NODE_FLAGS[@]}"
}

node_csi() {
    "$BIN/stowage" csi "$1" "$2" --no-wait --timeout 40 --node "$WORK/node.sock"
}

node_capability() {
    printf '{"mount":{"mount_flags":[%s]},"access_mode":{"mode":"%s"}}' "${CAPABILITY_FLAGS:-}" \
        "${1:-MULTI_NODE_MULTI_WRITER}"
}

node_stage() {
    node_csi NodeStageVolume "{\"volume_id\":\"$VOLUME\",\"staging_target_path\":\"$STAGING\",
        \"volume_capability\":$(node_capability),\"volume_context\":$CONTEXT}"
}

node_publish() {
    node_csi NodePublishVolume "{\"volume_id\":\"$VOLUME\",\"staging_target_path\":\"$STAGING\",\"target_path\":\"$1\",
        \"readonly\":${2:-false},\"volume_capability\":$(node_capability "${3:-}"),\"volume_context\":$CONTEXT}"
}

node_unpublish() {
    node_csi NodeUnpublishVolume "{\"volume_id\":\"$VOLUME\",\"target_path\":\"$1\"}"
}

node_unstage() {
    node_csi NodeUnstageVolume "{\"volume_id\":\"$VOLUME\",\"staging_target_path\":\"$STAGING\"}"
}

node_stats() {
    node_csi NodeGetVolumeStats "{\"volume_id\":\"$VOLUME\",\"volume_path\":\"$1\"}" | tr -d '\n'
}

node_expand() {
    node_csi NodeExpandVolume \
        "{\"volume_id\":\"$VOLUME\",\"volume_path\":\"$1\",\"capacity_range\":{\"required_bytes\":$2}}" | tr -d '\n'
}

node_daemons() {
    local pid
    for pid in /proc/[0-9]*; do
        [ "$(cat "$pid/comm" 2>/dev/null)" = stowage-cachefs ] || continue
        if tr '\0' ' ' 2>/dev/null <"$pid/cmdline" | grep -qF -- "$WORK/"; then
            echo "${pid#/proc/}"
        fi
    done
}

# Does anything below WORK still stand in the mount table?
node_mounts() {
    awk -v dir="$WORK/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo
}
