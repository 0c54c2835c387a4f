#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon of a mount dies or is replaced under load: programs see a pause and nothing else. 20 kills and 20 hand-overs
# under fio with verification and under programs that check every answer against a model; a daemon that dies while the
# server is frozen, an unmount meanwhile, a keeper that is killed, a program that may not take over.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
cachefs_kit_start fio pgrep
python3 - <<'PY' || { echo "skipped: the kernel sends no request again (FUSE_NOTIFY_RESEND, Linux 6.9)"; exit 77; }
import os, sys
sys.exit(tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) < (6, 9))
PY
ROUNDS=${STOWAGE_KEEPER_ROUNDS:-20}
PROGRAM=$WORK/stowage-cachefs
cp "$BIN/stowage-cachefs" "$PROGRAM"
mkdir "$WORK/bin" "$EXPORT/volume"
mv "$PROGRAM" "$WORK/bin/"
BIN=$WORK/bin

keeper_of() { cat "$WORK/$1.pid"; }
daemon_of() { pgrep -P "$(keeper_of "$1")"; }
# new_daemon NAME OLD: waits until another daemon than OLD serves
new_daemon() {
    local pid
    for _ in $(seq 200); do
        pid=$(daemon_of "$1" || true)
        [ -n "$pid" ] && [ "$pid" != "$2" ] && return 0
        sleep 0.05
    done
    fail "no daemon followed $2: $(tail -n 3 "$WORK/$1.log")"
}
count_of() { grep -c "\"event\":\"$2\"" "$WORK/$1.log" || true; }
stall_of() { sed -n 's/.*"longest_stall_ms":\([0-9]*\).*/\1/p' "$WORK/$1.log" | tail -n 1; }

# under_load NAME WHAT TIMES: runs WHAT so often while programs work on the mount
under_load() {
    local name=$1 what=$2 times=$3 load fio i seconds
    seconds=$((times * 2))
    rm -f "$WORK/stop"
    python3 "$ROOT/tests/integration/cachefs_keeper.py" "$WORK/$name" "$WORK/stop" &
    load=$!
    fio --name=v --filename="$WORK/$name/fio-$what" --rw=randrw --bsrange=4k-128k --size=48M --verify=crc32c \
        --verify_backlog=64 --verify_fatal=1 --verify_state_save=0 --ioengine=psync --fsync=200 --time_based --runtime="$seconds" \
        >"$WORK/fio.log" 2>&1 &
    fio=$!
    for i in $(seq "$times"); do
        sleep "0.$((i * 7 % 10))$((i % 7))" # everywhere in what the programs do
        "$what" "$name"
        sleep 1
        kill -0 "$load" 2>/dev/null || break
    done
    local wrong=
    wait "$fio" || wrong="fio: $(tail -n 20 "$WORK/fio.log")"
    touch "$WORK/stop"
    wait "$load" || wrong="$wrong a program saw something that must not be"
    [ -z "$wrong" ] || fail "$wrong; the log: $(tail -n 12 "$WORK/$name.log")"
    echo "  longest time without a daemon: $(stall_of "$name") ms"
}

kill_daemon() {
    local old
    old=$(daemon_of "$1")
    kill -KILL "$old"
    new_daemon "$1" "$old"
}
hand_over() {
    local old
    old=$(daemon_of "$1")
    kill -HUP "$(keeper_of "$1")"
    new_daemon "$1" "$old"
}

cachefs_mount a --sub-dir volume --max-ends 64 || fail "no mount"
echo "memory: keeper $(awk '/^VmRSS/ { print $2 }' "/proc/$(keeper_of a)/status") KiB," \
    "daemon $(awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_of a)/status") KiB"

echo "$ROUNDS times the daemon is killed"
under_load a kill_daemon "$ROUNDS"
[ "$(count_of a "took the mount over")" = "$ROUNDS" ] || fail "$(count_of a "took the mount over") daemons followed"

echo "$ROUNDS times a new program takes over"
under_load a hand_over "$ROUNDS"
[ "$(count_of a "handing over")" = "$ROUNDS" ] || fail "$(count_of a "handing over") hand-overs"
find "$EXPORT" -name '.nfs*' | grep . && fail "names of unlinked files stayed behind"

few=$((ROUNDS / 2))
mkdir "$WORK/cache" "$EXPORT/cached" "$EXPORT/volume4"
cachefs_mount c --sub-dir cached --max-ends 64 --cache-dir "$WORK/cache" --cache-settle 2 || fail "no cached mount"
for what in kill_daemon hand_over; do
    echo "$what on a cached mount, $few times"
    under_load c "$what" "$few"
done
cachefs_umount c
cachefs_mount v --sub-dir volume4 --max-ends 64 --nfs-version 4 || fail "no mount over NFSv4"
for what in kill_daemon hand_over; do
    echo "$what over NFSv4, $few times"
    under_load v "$what" "$few"
done
cachefs_umount v
mkdir "$WORK/origin"
cachefs_run p --origin-path "$WORK/origin" --max-ends 64 || fail "no mount of a mounted file system"
echo "the daemon of a mounted file system is killed $few times"
under_load p kill_daemon "$few"
cachefs_umount p
find "$EXPORT" "$WORK/origin" -name '.nfs*' | grep . && fail "names of unlinked files stayed behind"

echo "written, acknowledged, killed: everything is there"
python3 - "$WORK/a/kept" "$(daemon_of a)" <<'PY'
import os, signal, sys
with open(sys.argv[1], "wb", buffering=0) as file:
    for i in range(200):
        file.write(b"%07d\n" % i * 1000)
    os.kill(int(sys.argv[2]), signal.SIGKILL)
    for i in range(200, 220):
        file.write(b"%07d\n" % i * 1000)
PY
python3 - "$EXPORT/volume/kept" <<'PY' || fail "acknowledged data is missing on the server"
import sys
sys.exit(open(sys.argv[1], "rb").read() != b"".join(b"%07d\n" % i * 1000 for i in range(220)))
PY

echo "a program that may not take over is refused beforehand"
old=$(daemon_of a)
mv "$BIN/stowage-cachefs" "$BIN/right"
printf '#!/bin/sh\necho 0-other-layout\n' >"$BIN/stowage-cachefs"
chmod +x "$BIN/stowage-cachefs"
kill -HUP "$(keeper_of a)"
for _ in $(seq 100); do
    [ "$(count_of a "the new program cannot take over; all stays as it is")" = 1 ] && break
    sleep 0.05
done
[ "$(count_of a "the new program cannot take over; all stays as it is")" = 1 ] || fail "not refused"
[ "$(daemon_of a)" = "$old" ] || fail "the daemon was replaced all the same"
mv "$BIN/right" "$BIN/stowage-cachefs"
echo still >"$WORK/a/still" || fail "the mount does not work after a refused hand-over"

echo "the server is frozen while the daemon dies"
kill -STOP "$NFS_PID"
(echo frozen >"$WORK/a/frozen" && cat "$WORK/a/frozen" >"$WORK/frozen.out") &
writer=$!
sleep 0.3
kill -KILL "$(daemon_of a)"
sleep 3
kill -CONT "$NFS_PID"
wait "$writer" || fail "a write failed over a frozen server and a dead daemon"
[ "$(cat "$WORK/frozen.out")" = frozen ] || fail "what was written came back as '$(cat "$WORK/frozen.out")'"

echo "unmounted while the server is frozen and the daemon dead"
cachefs_mount u --sub-dir volume || fail "no mount"
kill -STOP "$NFS_PID"
kill -KILL "$(daemon_of u)"
cachefs_detach "$WORK/u" || fail "cannot unmount"
sleep 0.5
kill -CONT "$NFS_PID"
cachefs_umount_wait u

echo "SIGTERM while the daemon is dead and the server frozen"
cachefs_mount t --sub-dir volume || fail "no mount"
kill -STOP "$NFS_PID"
kill -KILL "$(daemon_of t)"
kill -HUP "$(keeper_of t)"
sleep 3 # a successor that has nobody to ask hands over all the same
kill -TERM "$(keeper_of t)"
cachefs_umount_wait t
kill -CONT "$NFS_PID"
if grep -q " $WORK/t " /proc/mounts; then fail "still mounted after SIGTERM"; fi

echo "a keeper that is killed takes its daemon along"
cachefs_mount k --sub-dir volume || fail "no mount"
keeper=$(keeper_of k) daemon=$(daemon_of k)
kill -KILL "$keeper"
wait "$keeper" || true
for _ in $(seq 100); do
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.05
done
if kill -0 "$daemon" 2>/dev/null; then fail "the daemon outlived its keeper"; fi
message=$(ls "$WORK/k" 2>&1) && fail "the mount works without anybody"
[[ $message == *"not connected"* ]] || fail "$message"
cachefs_detach "$WORK/k"
rm "$WORK/k.pid"

echo "a daemon that always dies is given up"
cachefs_mount g --sub-dir volume --max-ends 3 || fail "no mount"
keeper=$(keeper_of g)
for _ in 1 2; do kill_daemon g; done
kill -KILL "$(daemon_of g)"
code=0
wait "$keeper" || code=$?
[ "$code" = 1 ] || fail "the keeper ended with $code"
cachefs_detach "$WORK/g"
rm "$WORK/g.pid"
cachefs_umount a
