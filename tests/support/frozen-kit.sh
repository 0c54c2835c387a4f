# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests of stowage-node while its NFS server is frozen (SIGSTOP): calls with their times, and what is left of them.
# Sourced after tests/support/node-kit.sh; the node must serve its metrics at METRICS (HOST:PORT).
#
#   timed LABEL LIMIT_MS yes|no|any COMMAND…   runs it, prints its time and result; `yes` must succeed, `no` must fail
#   frozen_calls                               every Node call, once, while the server is frozen; removes the volume
#   frozen_check_left THREADS                  after the server is back: fails if a child, process or thread is left
#   pod_waits DIRECTORY                        I/O of a pod that waits for the server, in the background
#   node_threads / node_children / node_abandoned
# POD_PIDS: what pod_waits started. LATE: how many calls took longer than their limit.

LIMIT_MS=5000
REMOVE_LIMIT_MS=30000
LATE=0
POD_PIDS=()

timed() {
    local label=$1 limit=$2 expected=$3 started ms rc=0 result=ok
    shift 3
    started=$(date +%s%N)
    "$@" >"$WORK/out" 2>"$WORK/error" || rc=$?
    ms=$((($(date +%s%N) - started) / 1000000))
    [ "$rc" = 0 ] || result=$(sed 's/^stowage csi: [A-Za-z]*: //' "$WORK/error" | head -c 100)
    printf '%-44s %6d ms  (limit %5d)  %s\n' "$label" "$ms" "$limit" "$result"
    [ "$ms" -le "$limit" ] || LATE=$((LATE + 1))
    case $expected in
    yes) [ "$rc" = 0 ] || fail "$label: $(cat "$WORK/error")" ;;
    no) [ "$rc" != 0 ] || fail "$label succeeded against a frozen server" ;;
    esac
}

pod_waits() {
    setsid dd if="$1/big" of=/dev/null bs=1M >/dev/null 2>&1 &
    POD_PIDS+=($!)
    setsid ls -l "$1/unseen-$RANDOM" >/dev/null 2>&1 &
    POD_PIDS+=($!)
}

node_threads() { find "/proc/$(stowage_pid node "$WORK")/task" -mindepth 1 -maxdepth 1 | wc -l; }
node_children() { cat "/proc/$(stowage_pid node "$WORK")/task/"*/children 2>/dev/null | tr ' ' '\n' | grep -c . || true; }
node_abandoned() { curl -fsS "http://$METRICS/metrics" | awk '$1 == "stowage_children_abandoned" { print $2 }'; }
none_abandoned() { [ "$(node_abandoned)" = 0 ]; }
stats_are_abnormal() { grep -q '"abnormal": *true' "$WORK/out" || fail "not abnormal: $(cat "$WORK/out")"; }
second_volume() { VOLUME=v-bbbbbbbbbbbbbbbbbbbbbbbbbb${VOLUME:28} STAGING=$WORK/staging/volume-2 "$@"; }

no_daemons() { [ -z "$(node_daemons)" ]; }
threads_at_most() { [ "$(node_threads)" -le "$1" ]; }
process_gone() { ! kill -0 "$1" 2>/dev/null || [ "$(awk '{ print $3 }' "/proc/$1/stat")" = Z ]; }

frozen_calls() {
    mkdir -p "$WORK/staging/volume-2"
    timed "NodeGetInfo" $LIMIT_MS yes node_csi NodeGetInfo '{}'
    timed "NodeGetVolumeStats (target)" $LIMIT_MS yes node_stats "$WORK/pods/a"
    stats_are_abnormal
    timed "NodeGetVolumeStats (staging)" $LIMIT_MS yes node_stats "$STAGING"
    timed "NodeExpandVolume" $LIMIT_MS yes node_expand "$WORK/pods/a" 2147483648
    timed "NodeStageVolume (staged already)" $LIMIT_MS yes node_stage
    timed "NodePublishVolume (published already)" $LIMIT_MS yes node_publish "$WORK/pods/a"
    timed "NodePublishVolume (second target)" $LIMIT_MS any node_publish "$WORK/pods/b"
    timed "NodeStageVolume (new volume)" $LIMIT_MS no second_volume node_stage
    timed "NodeUnstageVolume (new volume)" $LIMIT_MS yes second_volume node_unstage
    timed "NodeUnpublishVolume (second target)" $REMOVE_LIMIT_MS yes node_unpublish "$WORK/pods/b"
    timed "NodeUnpublishVolume (pod still waits)" $REMOVE_LIMIT_MS yes node_unpublish "$WORK/pods/a"
    timed "NodeUnstageVolume (pod still waits)" $REMOVE_LIMIT_MS yes node_unstage
    timed "NodeUnpublishVolume (again)" $LIMIT_MS yes node_unpublish "$WORK/pods/a"
    timed "NodeUnstageVolume (again)" $LIMIT_MS yes node_unstage
    [ -z "$(node_mounts)" ] || fail "mounts are left: $(node_mounts)"
}

frozen_check_left() {
    local threads=$1 pid
    wait_until 20 none_abandoned || fail "children are left: $(node_abandoned)"
    wait_until 10 no_daemons || fail "daemons are left: $(node_daemons)"
    [ "$(node_children)" = 0 ] || fail "stowage-node still has $(node_children) children"
    wait_until 10 threads_at_most "$threads" || fail "threads: $threads before, $(node_threads) now"
    for pid in "${POD_PIDS[@]}"; do
        wait_until 20 process_gone "$pid" || fail "process $pid that waited for the server is still there"
    done
    POD_PIDS=()
    [ -z "$(node_mounts)" ] || fail "mounts are left: $(node_mounts)"
}
