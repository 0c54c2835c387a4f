#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Node-group volumes on a real GlusterFS of two bricks that stowage-node mounts itself: once for two volumes, through a restart
# of the node process, until the last one is unstaged.
set -euo pipefail
# shellcheck source=tests/support/gluster-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/gluster-kit.sh"
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"

[ -e /dev/fuse ] || skip "no /dev/fuse"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/stowage-gluster.XXXXXX")
NFS_PID=""
clean_up() {
    local rc=$?
    stowage_stop node "$WORK" || true
    stowage_end_mounts "$WORK" 2>/dev/null || true
    gluster_stop
    rm -rf "$WORK"
    exit "$rc"
}
trap clean_up EXIT
mkdir -p "$WORK/staging" "$WORK/disk" "$WORK/gluster-root"
gluster_start || fail "no GlusterFS"
mount.glusterfs "$GLUSTER:/data" "$WORK/gluster-root" || fail "the volume cannot be mounted"
mkdir "$WORK/gluster-root/one" "$WORK/gluster-root/two"

start_node() {
    stowage_start node "$WORK" --node-id node-1 --node-group a --cache-dir "$WORK/disk/cache" --origin-dir "$WORK/origins"
}
origins() { grep -c " $WORK/origins/.* fuse.glusterfs " /proc/mounts || true; }
call() { # METHOD DIRECTORY [JSON]
    node_csi "$1" "$(jq -nc --arg dir "$2" --arg path "$WORK/staging/$2" --arg source "$GLUSTER:/data" '{volume_id: $dir, staging_target_path: $path} +
        if $ARGS.named.dir and ("'"$1"'" == "NodeStageVolume") then {volume_capability: {mount: {}, access_mode: {mode: "MULTI_NODE_MULTI_WRITER"}},
        volume_context: {nodeGroup: "a", cacheMode: "ttl", origin: "mount", originType: "glusterfs", originSource: $source, subDir: $dir}} else {} end')"
}
stage() { mkdir -p "$WORK/staging/$1" && call NodeStageVolume "$1" >/dev/null; }
unstage() { call NodeUnstageVolume "$1" >/dev/null; }

start_node
echo "two volumes, one mount of the origin"
stage one
stage two
[ "$(origins)" = 1 ] || fail "$(origins) mounts of the origin: $(cat /proc/mounts)"
echo data >"$WORK/staging/one/file"
[ "$(cat "$WORK/gluster-root/one/file")" = data ] || fail "GlusterFS has other data"
echo other >"$WORK/gluster-root/two/file"
[ "$(cat "$WORK/staging/two/file")" = other ] || fail "the volume has other data"
findmnt -no FSTYPE "$WORK/staging/one" | grep -qx fuse.stowage || fail "not mounted by stowage-cachefs"

echo "a volume that is not there is told"
refused() { stage nowhere 2>"$WORK/out"; }
if refused; then fail "a directory that does not exist is staged"; fi
[ "$(origins)" = 1 ] || fail "a volume that failed took the others' origin away"

echo "through a restart of the node process, until the last volume goes"
stowage_stop node "$WORK"
start_node
[ "$(cat "$WORK/staging/one/file")" = data ] || fail "a restart cost the mount"
unstage one
[ "$(origins)" = 1 ] || fail "the origin went with the first volume"
[ "$(cat "$WORK/staging/two/file")" = other ] || fail "the other volume is gone"
stage one
[ "$(origins)" = 1 ] || fail "the origin is mounted twice"
unstage two
unstage one
[ "$(origins)" = 0 ] || fail "the origin stays: $(grep origins /proc/mounts)"
[ -z "$(find "$WORK/origins" -mindepth 1)" ] || fail "left behind: $(find "$WORK/origins")"
echo passed
