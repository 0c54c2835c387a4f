#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The NFS server is frozen (SIGSTOP) while pods wait for it: every Node RPC answers within 5 s, unpublish and unstage
# succeed within 30 s, and once the server is back no process, thread or mount is left. Prints the times as a table.
# This is the FUSE mount; kernel-nfs-frozen.sh does the same with the kernel's.
set -euo pipefail
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"
# shellcheck source=tests/support/frozen-kit.sh
. "$ROOT/tests/support/frozen-kit.sh"
METRICS=127.0.0.1:$(nfs_server_free_port 24180)
node_kit_start --mount-mode fuse --http "$METRICS"

head -c 20000000 /dev/urandom >"$WORK/export/volume-1/big"
mkdir "$WORK/export/volume-2"
node_stage >/dev/null
node_publish "$WORK/pods/a" >/dev/null
node_stats "$WORK/pods/a" >/dev/null
node_csi NodeGetCapabilities '{}' >/dev/null

echo "--- frozen, and back with the volume in use"
kill -STOP "$NFS_PID"
pod_waits "$WORK/pods/a"
timed "NodeGetVolumeStats (target)" $LIMIT_MS yes node_stats "$WORK/pods/a"
stats_are_abnormal
timed "NodeGetVolumeStats (again)" $LIMIT_MS yes node_stats "$WORK/pods/a"
kill -CONT "$NFS_PID"
wait "${POD_PIDS[0]}" || fail "the read that waited did not end well"
POD_PIDS=()
wait_until 10 none_abandoned || fail "children are left after the server came back"
grep -q '"abnormal": *true' <<<"$(node_stats "$WORK/pods/a")" && fail "still abnormal: $(node_stats "$WORK/pods/a")"
threads_before=$(node_threads)

echo "--- frozen, every call"
kill -STOP "$NFS_PID"
pod_waits "$WORK/pods/a"
frozen_calls

echo "--- the server is back"
kill -CONT "$NFS_PID"
frozen_check_left "$threads_before"
node_stage >/dev/null
node_publish "$WORK/pods/a" >/dev/null
cmp "$WORK/pods/a/big" "$WORK/export/volume-1/big" || fail "the volume does not work any more"
node_unpublish "$WORK/pods/a" >/dev/null
node_unstage >/dev/null
[ "$LATE" = 0 ] || fail "$LATE calls took longer than their limit"
echo "every call was in time; nothing is left"
