#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Inline ephemeral volumes with real FUSE mounts of a real NFS server: publish by itself, read, refuse, a restart of
# stowage-node and its crash between two steps, stats, two pods, a frozen server, unpublish; nothing is left, no data is
# touched. What it is with the mount service in another container: node-mount-service.sh.
set -euo pipefail
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"
NODE_KIT_NO_NODE=1 node_kit_start
NODE_FLAGS=(--mount-mode fuse --inline-dir "$WORK/plugins/inline" --inline-shares '127.0.0.1:/export/datasets')
stowage_start node "$WORK" "${NODE_FLAGS[@]}"

mkdir -p "$WORK/export/datasets/x/deep" "$WORK/export/secret"
echo dataset >"$WORK/export/datasets/x/deep/file"
echo secret >"$WORK/export/secret/file"
touch "$WORK/export/datasets/plain"
ln -s ../secret "$WORK/export/datasets/link"

ID_A=csi-$(printf 'a%.0s' {1..64})
ID_B=csi-$(printf 'b%.0s' {1..64})

# publish ID TARGET MOUNT_FROM [true|false: read-only] [MORE: ,"key":"value"…]
publish() {
    node_csi NodePublishVolume "{\"volume_id\":\"$1\",\"target_path\":\"$2\",\"readonly\":${4:-false},
        \"volume_capability\":$(node_capability SINGLE_NODE_MULTI_WRITER),
        \"volume_context\":{\"server\":\"127.0.0.1\",\"share\":\"/export\",\"mountFrom\":\"$3\",\"nfsPort\":\"$NFS_PORT\",
        \"mountPort\":\"$MNT_PORT\",\"csi.storage.k8s.io/ephemeral\":\"${EPHEMERAL:-true}\",\"csi.storage.k8s.io/pod.name\":\"p\",
        \"csi.storage.k8s.io/pod.namespace\":\"ns\"${5:-}}}"
}
unpublish() { VOLUME=$1 node_unpublish "$2"; }

refused() { # CODE WORDS COMMAND…
    local code=$1 words=$2
    shift 2
    if "$@" >/dev/null 2>"$WORK/error"; then fail "not refused: $*"; fi
    grep -q "$code" "$WORK/error" || fail "not $code: $(cat "$WORK/error")"
    grep -q -- "$words" "$WORK/error" || fail "does not say '$words': $(cat "$WORK/error")"
}
nothing_is_left() {
    [ -z "$(node_mounts)" ] || fail "mounts are left: $(node_mounts)"
    wait_until 5 no_daemons || fail "daemons are left: $(node_daemons)"
    [ -z "$(find "$WORK/node" -name '*.json')" ] || fail "a record is left: $(find "$WORK/node" -name '*.json')"
    [ -z "$(find "$WORK/plugins" "$WORK/pods" -mindepth 1 ! -name inline)" ] ||
        fail "directories are left: $(find "$WORK/plugins" "$WORK/pods" -mindepth 1)"
}
no_daemons() { [ -z "$(node_daemons)" ]; }

mkdir -p "$WORK/plugins"
echo "what is not allowed, unknown or not there is refused, and nothing is made"
refused PERMISSION_DENIED '--inline-shares' publish "$ID_A" "$WORK/pods/a" /secret
refused PERMISSION_DENIED '127.0.0.1:/export ' publish "$ID_A" "$WORK/pods/a" /
refused NOT_FOUND "missing.*" publish "$ID_A" "$WORK/pods/a" /datasets/missing
refused NOT_FOUND "must exist" publish "$ID_A" "$WORK/pods/a" /datasets/missing
refused "" "Not a directory" publish "$ID_A" "$WORK/pods/a" /datasets/plain
refused "" "Not a directory" publish "$ID_A" "$WORK/pods/a" /datasets/link
refused INVALID_ARGUMENT "'\.\.'" publish "$ID_A" "$WORK/pods/a" /datasets/../secret
refused INVALID_ARGUMENT "mountFrom" publish "$ID_A" "$WORK/pods/a" /datasets false ',"subDir":"x"'
refused INVALID_ARGUMENT "known are: server, share, mountFrom" publish "$ID_A" "$WORK/pods/a" /datasets false ',"x":"y"'
refused INVALID_ARGUMENT "X-mount" publish "$ID_A" "$WORK/pods/a" /datasets false ',"mountOptions":"X-mount.mkdir"'
EPHEMERAL=false refused FAILED_PRECONDITION staging_target_path publish "$ID_A" "$WORK/pods/a" /datasets
nothing_is_left
[ ! -e "$WORK/export/datasets/missing" ] || fail "the directory was made"

echo "published ten times: one mount, one daemon, and the data"
for _ in $(seq 10); do publish "$ID_A" "$WORK/pods/a" /datasets/x true; done >/dev/null
publish "$ID_B" "$WORK/pods/b" datasets/x/ false ',"mountOptions":"nconnect=2,noatime","MOUNTMODE":"fuse"' >/dev/null
[ "$(node_mounts | wc -l)" = 4 ] || fail "expected two mounts a volume: $(node_mounts)"
[ "$(node_daemons | wc -l)" = 2 ] || fail "expected a daemon a volume: $(node_daemons)"
[ "$(cat "$WORK/pods/a/deep/file")" = dataset ] || fail "the data is not there"
if touch "$WORK/pods/a/no" 2>/dev/null; then fail "the read-only volume took a write"; fi
echo written >"$WORK/pods/b/by-b"
[ "$(cat "$WORK/export/datasets/x/by-b")" = written ] || fail "the write did not reach the server"
grep -q '"total"' <<<"$(VOLUME=$ID_A node_stats "$WORK/pods/a")" || fail "no usage"
refused ALREADY_EXISTS "" publish "$ID_A" "$WORK/pods/a" /datasets/x false

echo "a restart of stowage-node, also with the share no longer allowed"
daemons=$(node_daemons)
node_restart
publish "$ID_A" "$WORK/pods/a" /datasets/x true >/dev/null
[ "$(node_daemons)" = "$daemons" ] || fail "other daemons than before"
stowage_stop node "$WORK"
stowage_start node "$WORK" --mount-mode fuse --inline-dir "$WORK/plugins/inline"
refused PERMISSION_DENIED '--inline-shares' publish "$ID_B" "$WORK/pods/b" /datasets/x
[ "$(cat "$WORK/pods/b/by-b")" = written ] || fail "what was published does not work any more"
grep -q '"total"' <<<"$(VOLUME=$ID_B node_stats "$WORK/pods/b")" || fail "no usage after the restart"
for _ in $(seq 3); do unpublish "$ID_B" "$WORK/pods/b"; done >/dev/null
[ "$(node_daemons | wc -l)" = 1 ] || fail "unpublish left its daemon: $(node_daemons)"
unpublish "$ID_A" "$WORK/pods/a" >/dev/null
nothing_is_left
node_restart

echo "a daemon that dies is told, and replaced with the next publish"
publish "$ID_A" "$WORK/pods/a" /datasets/x true >/dev/null
kill -KILL "$(node_daemons)"
wait_until 10 grep -q 'daemon died' "$WORK/node.log" || fail "nobody noticed"
grep -q '"abnormal": *true' <<<"$(VOLUME=$ID_A node_stats "$WORK/pods/a")" || fail "stats do not tell"
publish "$ID_A" "$WORK/pods/a" /datasets/x true >/dev/null
[ "$(cat "$WORK/pods/a/deep/file")" = dataset ] || fail "not repaired"

echo "the pod went while stowage-node was killed: its start takes the rest away"
{ kill -KILL "$(stowage_pid node "$WORK")" && wait "$(stowage_pid node "$WORK")"; } 2>/dev/null || true
umount -l "$WORK/pods/a"
rmdir "$WORK/pods/a"
stowage_stop node "$WORK"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
nothing_is_left

echo "a frozen server: publish fails in time and leaves nothing, unpublish succeeds"
publish "$ID_A" "$WORK/pods/a" /datasets/x true >/dev/null
kill -STOP "$NFS_PID"
late() { # LIMIT_MS COMMAND…: in time? prints what it took; its own result in RESULT
    local limit=$1 started ms
    shift
    started=$(date +%s%N)
    RESULT=0
    "$@" >/dev/null 2>"$WORK/error" || RESULT=$?
    ms=$((($(date +%s%N) - started) / 1000000))
    printf '  %-20s %5d ms (limit %d)\n' "$1" "$ms" "$limit"
    [ "$ms" -gt "$limit" ]
}
if late 5000 publish "$ID_B" "$WORK/pods/b" /datasets/x; then fail "a publish waits for the frozen server"; fi
[ "$RESULT" != 0 ] || fail "published from a frozen server"
if late 5000 publish "$ID_A" "$WORK/pods/a" /datasets/x true; then fail "a repeated publish waits"; fi
[ "$RESULT" = 0 ] || fail "the repeated publish fails: $(cat "$WORK/error")"
if late 30000 unpublish "$ID_A" "$WORK/pods/a"; then fail "an unpublish waits"; fi
[ "$RESULT" = 0 ] || fail "unpublish fails: $(cat "$WORK/error")"
if late 5000 unpublish "$ID_B" "$WORK/pods/b"; then fail "an unpublish waits"; fi
kill -CONT "$NFS_PID"
nothing_is_left
[ "$(cat "$WORK/export/datasets/x/deep/file")$(cat "$WORK/export/secret/file")" = datasetsecret ] || fail "data was touched"
echo "all of it worked"
