#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The NFS server is frozen (SIGSTOP) while pods wait for it: every Node RPC answers within 5 s, unpublish and unstage
# succeed within 30 s, and once the server is back no process, thread or mount is left. Prints the times as a table.
set -euo pipefail
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"
METRICS=127.0.0.1:$(nfs_server_free_port 24180)
node_kit_start --mount-mode fuse --http "$METRICS"

LIMIT_MS=5000
REMOVE_LIMIT_MS=30000
late=0

# timed LABEL LIMIT_MS yes|no|any COMMAND…: runs it, prints its time and result; `yes` must succeed, `no` must fail.
timed() {
    local label=$1 limit=$2 expected=$3 started ms rc=0 result=ok
    shift 3
    started=$(date +%s%N)
    "$@" >"$WORK/out" 2>"$WORK/error" || rc=$?
    ms=$((($(date +%s%N) - started) / 1000000))
    [ "$rc" = 0 ] || result=$(sed 's/^stowage csi: [A-Za-z]*: //' "$WORK/error" | head -c 100)
    printf '%-44s %6d ms  (limit %5d)  %s\n' "$label" "$ms" "$limit" "$result"
    [ "$ms" -le "$limit" ] || late=$((late + 1))
    case $expected in
    yes) [ "$rc" = 0 ] || fail "$label: $(cat "$WORK/error")" ;;
    no) [ "$rc" != 0 ] || fail "$label succeeded against a frozen server" ;;
    esac
}

# I/O of a pod that waits for the server; in the background, its pid in POD_PIDS.
POD_PIDS=()
pod_waits() {
    setsid dd if="$1/big" of=/dev/null bs=1M >/dev/null 2>&1 &
    POD_PIDS+=($!)
    setsid ls -l "$1/unseen-$RANDOM" >/dev/null 2>&1 &
    POD_PIDS+=($!)
}

threads() { find "/proc/$(stowage_pid node "$WORK")/task" -mindepth 1 -maxdepth 1 | wc -l; }
children() { cat "/proc/$(stowage_pid node "$WORK")/task/"*/children 2>/dev/null | tr ' ' '\n' | grep -c . || true; }
abandoned() { curl -fsS "http://$METRICS/metrics" | awk '$1 == "stowage_children_abandoned" { print $2 }'; }
none_abandoned() { [ "$(abandoned)" = 0 ]; }

mkdir "$WORK/export/volume-2" "$WORK/staging/volume-2"
head -c 20000000 /dev/urandom >"$WORK/export/volume-1/big"
node_stage >/dev/null
node_publish "$WORK/pods/a" >/dev/null
node_stats "$WORK/pods/a" >/dev/null
node_csi NodeGetCapabilities '{}' >/dev/null

echo "--- frozen, and back with the volume in use"
kill -STOP "$NFS_PID"
pod_waits "$WORK/pods/a"
timed "NodeGetVolumeStats (target)" $LIMIT_MS yes node_stats "$WORK/pods/a"
grep -q '"abnormal": *true' "$WORK/out" || fail "stats of a frozen server are not abnormal: $(cat "$WORK/out")"
timed "NodeGetVolumeStats (again)" $LIMIT_MS yes node_stats "$WORK/pods/a"
kill -CONT "$NFS_PID"
wait "${POD_PIDS[0]}" || fail "the read that waited did not end well"
POD_PIDS=()
wait_until 10 none_abandoned || fail "children are left after the server came back"
grep -q '"abnormal": *true' <<<"$(node_stats "$WORK/pods/a")" && fail "still abnormal: $(node_stats "$WORK/pods/a")"
threads_before=$(threads)

echo "--- frozen, every call"
kill -STOP "$NFS_PID"
pod_waits "$WORK/pods/a"
timed "NodeGetInfo" $LIMIT_MS yes node_csi NodeGetInfo '{}'
timed "NodeGetVolumeStats (target)" $LIMIT_MS yes node_stats "$WORK/pods/a"
timed "NodeGetVolumeStats (staging)" $LIMIT_MS yes node_stats "$STAGING"
timed "NodeExpandVolume" $LIMIT_MS yes node_expand "$WORK/pods/a" 2147483648
timed "NodeStageVolume (staged already)" $LIMIT_MS yes node_stage
timed "NodePublishVolume (published already)" $LIMIT_MS yes node_publish "$WORK/pods/a"
timed "NodePublishVolume (second target)" $LIMIT_MS any node_publish "$WORK/pods/b"
second() { VOLUME=v-bbbbbbbbbbbbbbbbbbbbbbbbbb${VOLUME:28} STAGING=$WORK/staging/volume-2 "$@"; }
timed "NodeStageVolume (new volume)" $LIMIT_MS no second node_stage
timed "NodeUnstageVolume (new volume)" $LIMIT_MS yes second node_unstage
timed "NodeUnpublishVolume (second target)" $REMOVE_LIMIT_MS yes node_unpublish "$WORK/pods/b"
timed "NodeUnpublishVolume (pod still waits)" $REMOVE_LIMIT_MS yes node_unpublish "$WORK/pods/a"
timed "NodeUnstageVolume (pod still waits)" $REMOVE_LIMIT_MS yes node_unstage
timed "NodeUnpublishVolume (again)" $LIMIT_MS yes node_unpublish "$WORK/pods/a"
timed "NodeUnstageVolume (again)" $LIMIT_MS yes node_unstage
[ -z "$(node_mounts)" ] || fail "mounts are left: $(node_mounts)"

echo "--- the server is back"
kill -CONT "$NFS_PID"
wait_until 10 none_abandoned || fail "children are left: $(abandoned)"
wait_until 10 test -z "$(node_daemons)" || fail "daemons are left: $(node_daemons)"
[ "$(children)" = 0 ] || fail "stowage-node still has $(children) children"
fewer_threads() { [ "$(threads)" -le "$threads_before" ]; }
wait_until 10 fewer_threads || fail "threads: $threads_before before, $(threads) now"
for pid in "${POD_PIDS[@]}"; do
    gone() { ! kill -0 "$pid" 2>/dev/null || [ "$(awk '{ print $3 }' "/proc/$pid/stat")" = Z ]; }
    wait_until 10 gone || fail "process $pid that waited for the server is still there"
done
node_stage >/dev/null
node_publish "$WORK/pods/a" >/dev/null
cmp "$WORK/pods/a/big" "$WORK/export/volume-1/big" || fail "the volume does not work any more"
node_unpublish "$WORK/pods/a" >/dev/null
node_unstage >/dev/null
[ "$late" = 0 ] || fail "$late calls took longer than their limit"
echo "every call was in time; nothing is left"
