#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-cachefs on a mounted file system (ext4 on a loop device): POSIX behaviour on two mounts with handles of the kernel
# and of our own, SQLite, a file system that is frozen under I/O, users, read-only, what stays in the page cache, bad flags.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
cachefs_kit_prepare mkfs.ext4 losetup fsfreeze fincore
truncate -s 1G "$WORK/disk"
mkfs.ext4 -q -F -m0 "$WORK/disk"
mount -o loop "$WORK/disk" "$EXPORT" 2>/dev/null || { echo "skipped: no loop device"; exit 77; }

# The loop device goes with its mount.
finish() {
    local rc=$?
    fsfreeze --unfreeze "$EXPORT" 2>/dev/null || true
    for pid in "$WORK"/*.pid; do
        [ -e "$pid" ] || continue
        cachefs_detach "${pid%.pid}" || true
        wait "$(cat "$pid")" 2>/dev/null || true
    done
    umount "$EXPORT" || umount -l "$EXPORT" || rc=1
    (exit "$rc")
    cachefs_kit_stop
}
trap finish EXIT

path_mount() {
    local name=$1
    shift
    cachefs_run "$name" --origin-path "$EXPORT" "$@"
}

posix_cases() {
    python3 "$ROOT/tests/integration/cachefs_posix.py" "$WORK/$1" "$WORK/$2" || fail "POSIX cases"
    if find "$EXPORT" -name '.nfs*' | grep .; then fail "names of unlinked files stayed behind"; fi
}

mkdir "$EXPORT/volume"
path_mount a --sub-dir volume || fail "no mount"
path_mount b --sub-dir volume || fail "no second mount"
grep -q "^test-a $WORK/a fuse.stowage rw,nosuid,nodev" /proc/mounts || fail "$(grep "$WORK" /proc/mounts)"
echo "  resident when idle: $(awk '/^VmRSS/ { print $2 }' "/proc/$(cat "$WORK/a.pid")/status") KiB"

echo "POSIX, on two mounts"
posix_cases a b

echo "POSIX without CAP_DAC_READ_SEARCH, so with handles of our own, and uncached"
mkdir "$EXPORT/other"
CACHEFS_AS="setpriv --bounding-set -dac_read_search" path_mount a2 --sub-dir other || fail "no mount without the capability"
CACHEFS_AS="setpriv --bounding-set -dac_read_search" path_mount b2 --sub-dir other --origin-uncached ||
    fail "no second mount without the capability"
posix_cases a2 b2
cachefs_umount a2
cachefs_umount b2

if command -v sqlite3 >/dev/null; then
    echo "SQLite"
    for i in $(seq 40); do
        m=$([ $((i % 2)) = 0 ] && echo a || echo b)
        sqlite3 "$WORK/$m/db" "create table if not exists t(x); insert into t values($i);" || fail "SQLite insert $i"
    done
    [ "$(sqlite3 "$WORK/a/db" 'select count(*), sum(x) from t; pragma integrity_check')" = $'40|820\nok' ] ||
        fail "SQLite: $(sqlite3 "$WORK/a/db" 'select count(*), sum(x) from t')"
fi

echo "handles outlive the daemon: a killed one is replaced under open files, and the next mount has the same inodes"
before=$(stat -c %i "$WORK/a/db")
exec 5<"$WORK/a/db" 6>"$WORK/a/written"
echo before >&6
cachefs_kill a || fail "the killed daemon is not replaced"
[ "$(md5sum <&5)" = "$(md5sum <"$EXPORT/volume/db")" ] || fail "an open file is not readable after the daemon was killed"
echo after >&6
exec 5<&- 6>&-
[ "$(cat "$EXPORT/volume/written")" = $'before\nafter' ] || fail "what was written around the kill is not there"
cachefs_umount a
path_mount a --sub-dir volume || fail "no mount after the first"
[ "$(stat -c %i "$WORK/a/db")" = "$before" ] || fail "the inode number changed"

echo "users: the file system decides"
mkdir -m 700 "$EXPORT/volume/closed"
mkdir -m 777 "$EXPORT/volume/open"
echo secret >"$EXPORT/volume/open/secret"
chmod 600 "$EXPORT/volume/open/secret"
as_user() { setpriv --reuid 4321 --regid 4321 --clear-groups "$@"; }
refused_to_user() {
    if message=$(as_user "$@" 2>&1); then fail "a user went through: $*"; fi
    [[ $message == *"Permission denied"* ]] || fail "$*: $message"
}
refused_to_user cat "$WORK/a/open/secret"
refused_to_user ls "$WORK/a/closed"
refused_to_user touch "$WORK/a/closed/x"
as_user touch "$WORK/a/open/mine"
[ "$(stat -c %u:%g "$EXPORT/volume/open/mine")" = 4321:4321 ] || fail "the file is not its maker's"

echo "fsync of a file and of a directory reach the disk: a copy of it, as after a power cut, has both"
(cd "$WORK/a" && echo kept >kept && sync kept && mv kept renamed && sync .)
cp --sparse=always "$WORK/disk" "$WORK/disk.cut"
mkdir "$WORK/cut"
mount -o loop "$WORK/disk.cut" "$WORK/cut"
[ "$(cat "$WORK/cut/volume/renamed")" = kept ] || fail "what was synced is not on the disk"
umount "$WORK/cut"
rm "$WORK/disk.cut"

echo "uncached: data read through the mount do not stay in the lower page cache"
path_mount u --sub-dir volume --origin-uncached || fail "no uncached mount"
dd if=/dev/urandom of="$WORK/u/big" bs=1M count=32 conv=fsync status=none
sync
cat "$WORK/u/big" >"$WORK/copy"
cmp "$WORK/copy" "$EXPORT/volume/big" || fail "uncached data differ"
dd if="$EXPORT/volume/big" iflag=nocache count=0 status=none
cat "$WORK/b/big" >/dev/null
[ "$(fincore --noheadings --bytes --output RES "$EXPORT/volume/big" | tr -d ' ')" -gt 30000000 ] ||
    fail "a cached mount leaves nothing in the page cache: this test proves nothing"
dd if="$EXPORT/volume/big" iflag=nocache count=0 status=none
cachefs_umount u
path_mount u --sub-dir volume --origin-uncached || fail "no uncached mount again"
cat "$WORK/u/big" >/dev/null
resident=$(fincore --noheadings --bytes --output RES "$EXPORT/volume/big" | tr -d ' ')
[ "$resident" -lt 1000000 ] || fail "an uncached mount left $resident bytes in the page cache"
cachefs_umount u

echo "with a cache above: a user's reads fill it, and the next come from it; what is changed at the origin is seen"
mkdir "$WORK/cache"
path_mount c --sub-dir volume --cache-dir "$WORK/cache" --cache-settle 2 || fail "no cached mount"
mkdir -m 755 "$EXPORT/volume/set"
dd if=/dev/urandom of="$EXPORT/volume/set/one" bs=1M count=24 status=none
sum=$(md5sum <"$EXPORT/volume/set/one")
copied() { [ "$("$BIN/stowage" cache status --json "$WORK/c/set/one" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')" = complete ]; }
for _ in $(seq 100); do
    [ "$(as_user md5sum <"$WORK/c/set/one")" = "$sum" ] || fail "data differ on the way into the cache"
    copied && break
    sleep 0.1
done
copied || fail "a file that was read is not in the cache: $("$BIN/stowage" cache status --json "$WORK/c/set/one")"
[ "$(as_user md5sum <"$WORK/c/set/one")" = "$sum" ] || fail "the cache has other data"
echo changed >>"$EXPORT/volume/set/one"
[ "$(tail -c 8 "$WORK/c/set/one")" = changed ] || fail "a change of the origin is not seen"
cachefs_umount c

echo "a frozen file system: a killed process ends, reads go on, and afterwards nothing is lost"
echo before >"$WORK/b/frozen-file"
fsfreeze --freeze "$EXPORT"
dd if=/dev/zero of="$WORK/a/frozen-file" bs=1M count=4 conv=fsync status=none 2>/dev/null &
writer=$!
touch "$WORK/a/never" 2>/dev/null &
toucher=$!
sleep 0.3
cat "$WORK/b/renamed" >/dev/null || fail "no read while frozen"
kill -KILL "$toucher"
for _ in $(seq 50); do
    kill -0 "$toucher" 2>/dev/null || break
    sleep 0.1
done
if kill -0 "$toucher" 2>/dev/null; then
    fsfreeze --unfreeze "$EXPORT"
    fail "a killed process hangs"
fi
fsfreeze --unfreeze "$EXPORT"
wait "$writer" || fail "a write failed over the freeze"
[ "$(stat -c %s "$EXPORT/volume/frozen-file")" = 4194304 ] || fail "data are missing after the freeze"
cachefs_umount b

echo "SIGTERM unmounts"
kill -TERM "$(cat "$WORK/a.pid")"
wait "$(cat "$WORK/a.pid")" || fail "exit code $? after SIGTERM"
rm "$WORK/a.pid"
if grep -q " $WORK/a " /proc/mounts; then fail "still mounted after SIGTERM"; fi

echo "read-only"
path_mount ro --read-only || fail "no read-only mount"
if touch "$WORK/ro/x" 2>/dev/null; then fail "wrote through a read-only mount"; fi
cachefs_umount ro

echo "no room: the error is seen, and room that is made is used"
path_mount full --sub-dir volume || fail "no mount"
if dd if=/dev/zero of="$WORK/full/fill" bs=1M count=1500 conv=fsync status=none 2>"$WORK/full.txt"; then
    fail "1500 MiB fitted into 1 GiB"
fi
grep -q "No space left" "$WORK/full.txt" || fail "$(cat "$WORK/full.txt")"
rm "$WORK/full/fill"
dd if=/dev/zero of="$WORK/full/fits" bs=1M count=100 conv=fsync status=none || fail "no room after the removal"
cachefs_umount full

echo "what cannot be mounted says why"
message=$(path_mount none --sub-dir missing) && fail "mounted a missing directory"
[[ $message == "error 2 "*missing* ]] || fail "$message"
message=$(path_mount up --sub-dir ../x) && fail "mounted above the directory"
[[ $message == "error 22 "* ]] || fail "$message"
message=$(path_mount two --server 127.0.0.1 --share /x) && fail "mounted two origins"
[[ $message == "error 22 "*"--origin-path"* ]] || fail "$message"
message=$(cachefs_run neither) && fail "mounted nothing"
[[ $message == "error 22 "*"--origin-path"* ]] || fail "$message"
message=$(cachefs_run gone --origin-path "$WORK/gone-origin") && fail "mounted what is not there"
[[ $message == "error 2 "*gone-origin* ]] || fail "$message"
message=$(CACHEFS_AS="setpriv --bounding-set -setuid,-setgid" path_mount weak) && fail "mounted without CAP_SETUID"
[[ $message == "error 1 "*CAP_SETUID* ]] || fail "$message"
rm -f "$WORK"/{none,up,two,neither,gone,weak}.pid
