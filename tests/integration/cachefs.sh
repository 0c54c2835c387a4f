#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-cachefs on a real NFS server: POSIX behaviour on two mounts over NFSv3 and NFSv4, SQLite, a server that restarts
# under I/O, a frozen server, root squash, read-only, bad flags.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
cachefs_kit_start
mkdir "$EXPORT/volume"
cachefs_mount a --sub-dir volume || fail "no mount"
cachefs_mount b --sub-dir volume || fail "no second mount"

echo "what the mount looks like"
grep -q "^test-a $WORK/a fuse.stowage rw,nosuid,nodev" /proc/mounts || fail "$(grep "$WORK" /proc/mounts)"
rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$(cat "$WORK/a.pid")/status")
echo "  resident when idle: $rss KiB"

echo "every mount gets its readahead"
want=$(sed -n 's/^#define READAHEAD_KIB \([0-9]*\)$/\1/p' "$ROOT/node-plugin/cachefs/daemon.c")
[ "$want" -gt 128 ] || fail "node-plugin/cachefs/daemon.c does not say how much readahead a mount gets"
for i in $(seq 10); do
    cachefs_mount r || fail "mount $i for the readahead"
    device=$(mountpoint -d "$WORK/r")
    have=$(cat "/sys/class/bdi/$device/read_ahead_kb")
    [ "$have" = "$want" ] || fail "mount $i has a readahead of $have KiB instead of $want"
    cachefs_umount r
done

echo "POSIX, on two mounts"
python3 "$ROOT/tests/integration/cachefs_posix.py" "$WORK/a" "$WORK/b" || fail "POSIX cases"
find "$EXPORT" -name '.nfs*' | grep . && fail "names of unlinked files stayed behind"

echo "POSIX over NFSv4, on two mounts"
mkdir "$EXPORT/volume4"
cachefs_mount a4 --sub-dir volume4 --nfs-version 4 || fail "no mount over NFSv4"
cachefs_mount b4 --sub-dir volume4 --nfs-version 4 || fail "no second mount over NFSv4"
python3 "$ROOT/tests/integration/cachefs_posix.py" "$WORK/a4" "$WORK/b4" || fail "POSIX cases over NFSv4"
find "$EXPORT" -name '.nfs*' | grep . && fail "names of unlinked files stayed behind over NFSv4"
cachefs_umount b4
cachefs_umount a4

if command -v sqlite3 >/dev/null; then
    echo "SQLite"
    for i in $(seq 40); do
        m=$([ $((i % 2)) = 0 ] && echo a || echo b)
        sqlite3 "$WORK/$m/db" "create table if not exists t(x); insert into t values($i);" || fail "SQLite insert $i"
    done
    [ "$(sqlite3 "$WORK/a/db" 'select count(*), sum(x) from t; pragma integrity_check')" = $'40|820\nok' ] ||
        fail "SQLite: $(sqlite3 "$WORK/a/db" 'select count(*), sum(x) from t')"
fi

echo "the server restarts under I/O"
(dd if=/dev/urandom of="$WORK/a/restart" bs=1M count=150 conv=fsync status=none && touch "$WORK/written") &
writer=$!
for _ in $(seq 100); do
    [ -s "$EXPORT/volume/restart" ] && break
    sleep 0.05
done
cachefs_server stop
cachefs_server start
wait "$writer" || fail "a write failed over the restart"
cmp "$WORK/a/restart" "$EXPORT/volume/restart" || fail "data differ after the restart"
cmp "$WORK/b/restart" "$EXPORT/volume/restart" || fail "the other mount differs after the restart"

echo "a frozen server: a killed process ends, the unmount works"
kill -STOP "$NFS_PID"
until ! grep -hs '^State:' "/proc/$NFS_PID/task"/*/status | grep -v 'T (stopped)' >/dev/null; do sleep 0.05; done
cat "$WORK/a/new" 2>/dev/null &
reader=$!
sleep 0.3
kill -KILL "$reader"
for _ in $(seq 50); do
    kill -0 "$reader" 2>/dev/null || break
    sleep 0.1
done
if kill -0 "$reader" 2>/dev/null; then
    kill -CONT "$NFS_PID"
    fail "a killed process hangs"
fi
cachefs_umount b
kill -CONT "$NFS_PID"

echo "SIGTERM unmounts"
kill -TERM "$(cat "$WORK/a.pid")"
wait "$(cat "$WORK/a.pid")" || fail "exit code $? after SIGTERM"
rm "$WORK/a.pid"
if grep -q " $WORK/a " /proc/mounts; then fail "still mounted after SIGTERM"; fi

echo "read-only"
cachefs_mount ro --read-only || fail "no read-only mount"
if touch "$WORK/ro/x" 2>/dev/null; then fail "wrote through a read-only mount"; fi
cachefs_umount ro

echo "root squash"
cachefs_server stop
SQUASH=root_squash cachefs_server start
mkdir "$EXPORT/closed" "$EXPORT/open"
chmod 700 "$EXPORT/closed"
chmod 777 "$EXPORT/open"
echo secret >"$EXPORT/open/secret"
chmod 600 "$EXPORT/open/secret"
cachefs_mount squash || fail "no mount with root squash"
for command in "cat $WORK/squash/open/secret" "ls $WORK/squash/closed" "touch $WORK/squash/closed/x"; do
    if message=$($command 2>&1); then fail "root went through: $command"; fi
    [[ $message == *"Permission denied"* ]] || fail "$command: $message"
done
touch "$WORK/squash/open/mine"
[ "$(stat -c %u "$WORK/squash/open/mine")" != 0 ] || fail "root was not squashed"
cachefs_umount squash

echo "what cannot be mounted says why"
message=$(cachefs_mount none --sub-dir missing) && fail "mounted a missing directory"
[[ $message == "error 2 "*missing* ]] || fail "$message"
message=$(cachefs_mount up --sub-dir ../x) && fail "mounted above the share"
[[ $message == "error 22 "* ]] || fail "$message"
grep -q -- '--mount-point PATH' <<<"$("$BIN/stowage-cachefs" --help)" || fail "no help"
if "$BIN/stowage-cachefs" --bogus 2>/dev/null; then fail "took an unknown flag"; fi
rm -f "$WORK"/none.pid "$WORK"/up.pid
