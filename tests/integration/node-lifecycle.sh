#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-node with real FUSE mounts of a real NFS server: stage, publish (twice, read-only), stats, expand, a restart of
# the node process under I/O, a daemon that is killed and repaired, unpublish, unstage; nothing is left.
set -euo pipefail
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"
node_kit_start --mount-mode fuse --http 127.0.0.1:0

echo "stage and publish, ten times each"
for _ in $(seq 10); do
    node_stage
done >/dev/null
[ "$(node_mounts | wc -l)" = 1 ] || fail "staging ten times made $(node_mounts | wc -l) mounts"
for _ in $(seq 10); do
    node_publish "$WORK/pods/a"
done >/dev/null
node_publish "$WORK/pods/b" true >/dev/null
[ "$(node_mounts | wc -l)" = 3 ] || fail "expected 3 mounts, found: $(node_mounts)"
[ "$(node_daemons | wc -l)" = 1 ] || fail "expected one daemon, found: $(node_daemons)"

echo "data goes to the server; a read-only target refuses writes"
echo hello >"$WORK/pods/a/greeting"
[ "$(cat "$WORK/export/volume-1/greeting")" = hello ] || fail "the file did not reach the server"
[ "$(cat "$WORK/pods/b/greeting")" = hello ] || fail "the read-only target does not show the file"
if touch "$WORK/pods/b/no" 2>/dev/null; then fail "the read-only target took a write"; fi

echo "stats and expand"
grep -q '"total"' <<<"$(node_stats "$WORK/pods/a")" || fail "no usage: $(node_stats "$WORK/pods/a")"
grep -q 2147483648 <<<"$(node_expand "$WORK/pods/a" 2147483648)" || fail "expand does not return what was asked for"
if node_stats some/path 2>/dev/null; then fail "stats of a wrong path"; fi
if node_expand "$WORK/pods" 1 2>/dev/null; then fail "expand at a wrong path"; fi

echo "wrong requests change nothing"
if node_publish "$WORK/pods/a" true 2>/dev/null; then fail "published read-only over read-write"; fi
if VOLUME=v-bbbbbbbbbbbbbbbbbbbbbbbbbb${VOLUME:28} node_stage 2>/dev/null; then fail "two volumes on one staging path"; fi
if node_unstage 2>/dev/null; then fail "unstaged while published"; fi
if node_publish "$WORK/pods/a/inside" 2>/dev/null; then fail "published inside of a volume"; fi
[ "$(node_mounts | wc -l)" = 3 ] || fail "a refused request changed mounts: $(node_mounts)"

echo "one writer: the second target is refused"
if node_publish "$WORK/pods/c" false SINGLE_NODE_SINGLE_WRITER 2>"$WORK/error"; then fail "second single writer"; fi
grep -qi 'FAILED_PRECONDITION\|SINGLE_WRITER' "$WORK/error" || fail "unclear: $(cat "$WORK/error")"
[ ! -e "$WORK/pods/c" ] || fail "a refused publish left its directory"

echo "a restart of stowage-node under I/O"
daemon=$(node_daemons)
(
    lines=0
    until [ -e "$WORK/enough" ]; do
        echo line >>"$WORK/pods/a/log" || exit 1
        lines=$((lines + 1))
    done
    echo "$lines" >"$WORK/written"
) &
writer=$!
wait_until 10 test -s "$WORK/export/volume-1/log" || fail "no I/O"
node_restart
touch "$WORK/enough"
wait "$writer" || fail "a write failed while stowage-node restarted"
[ "$(wc -l <"$WORK/pods/a/log")" = "$(cat "$WORK/written")" ] || fail "lines were lost"
[ "$(node_daemons)" = "$daemon" ] || fail "the daemon did not survive"
node_stage >/dev/null
node_publish "$WORK/pods/a" >/dev/null
[ "$(node_daemons)" = "$daemon" ] || fail "staging again started another daemon"
[ "$(node_mounts | wc -l)" = 3 ] || fail "staging again changed the mounts: $(node_mounts)"

echo "a daemon that is killed is noticed, told and replaced"
kill -KILL "$daemon"
wait_until 10 grep -q 'daemon died' "$WORK/node.log" || fail "nobody noticed"
grep -q '"abnormal": *true' <<<"$(node_stats "$WORK/pods/a")" || fail "stats do not tell: $(node_stats "$WORK/pods/a")"
node_publish "$WORK/pods/a" >/dev/null
[ "$(cat "$WORK/pods/a/greeting")" = hello ] || fail "not repaired"
[ "$(cat "$WORK/pods/b/greeting")" = hello ] || fail "the other target was not repaired"
if touch "$WORK/pods/b/no" 2>/dev/null; then fail "the repaired target is no longer read-only"; fi
grep -q '"abnormal": *true' <<<"$(node_stats "$WORK/pods/a")" && fail "still abnormal after the repair"

echo "killed while stowage-node was away"
stowage_stop node "$WORK"
kill -KILL "$(node_daemons)"
stowage_start node "$WORK" "${NODE_FLAGS[@]}"
node_stage >/dev/null
[ "$(cat "$WORK/pods/a/greeting")" = hello ] || fail "not repaired after the restart"

echo "unpublish and unstage, ten times each"
for _ in $(seq 10); do
    node_unpublish "$WORK/pods/a"
    node_unpublish "$WORK/pods/b"
done >/dev/null
[ ! -e "$WORK/pods/a" ] || fail "unpublish left its directory"
for _ in $(seq 10); do
    node_unstage
done >/dev/null
[ -z "$(node_mounts)" ] || fail "mounts are left: $(node_mounts)"
no_daemons() { [ -z "$(node_daemons)" ]; }
wait_until 5 no_daemons || fail "daemons are left: $(node_daemons)"
[ -z "$(find "$WORK/node" -name '*.json')" ] || fail "a record is left"
echo "all of it worked"
