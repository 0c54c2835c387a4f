#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The disk of a cache is too small, filled by others, slow, stuck, read-only, gone: programs see no error and no wrong byte, reads go to the
# origin, the figures tell. Each on a file system of the test's own, on a loop device.
# usage: cachefs-bad-disk.sh [NAME]: only disks whose name contains NAME
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
ONLY=${1:-}
[ -e /dev/loop-control ] || { echo "skipped: no loop devices"; exit 77; }
cachefs_kit_start mkfs.ext4 losetup pgrep getfattr findmnt
HELPER=$ROOT/tests/integration/cachefs_bad_disk.py
bad_disk() { python3 "$HELPER" "$@"; }


keep_status() { return "$1"; }
loops() { losetup -l -n -O NAME,BACK-FILE | awk -v dir="$WORK/" 'index($2, dir) == 1 { print $1 }'; } # also of what was unmounted lazily

disk_stop() {
    local rc=$? pid
    trap - EXIT INT TERM
    set +e
    for pid in "$WORK"/*.pid; do # the daemons first: they keep the disks
        [ -e "$pid" ] || continue
        cachefs_detach "${pid%.pid}"
        kill -TERM "$(cat "$pid")"
    done 2>/dev/null
    wait_for 10 no_mounts
    umount -l "$WORK"/disk-* 2>/dev/null
    umount -l "$WORK"/below-* 2>/dev/null
    wait_for 10 no_loops || { echo "FAILED: left behind: $(loops)"; rc=1; }
    keep_status "$rc"
    cachefs_kit_stop
}
no_loops() { [ -z "$(loops)" ]; }
no_mounts() { ! pgrep -f "^$BIN/stowage-cachefs --mount-point $WORK/" >/dev/null; }
wait_for() { # SECONDS COMMAND…
    local end=$((SECONDS + $1))
    shift
    while [ "$SECONDS" -lt "$end" ]; do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}
trap disk_stop EXIT INT TERM

# disk_make NAME TYPE MIB: $WORK/disk-NAME, on a loop device whose file is on $WORK/below-NAME, a file system of its own. When that
# one is shut down, the disk gives EIO.
disk_make() {
    disk_mount_image "$WORK/$1.img" "$WORK/below-$1" ext4 $(($3 + 100))
    disk_mount_image "$WORK/below-$1/disk" "$WORK/disk-$1" "$2" "$3"
}
disk_mount_image() { # FILE DIR TYPE MIB
    local loop
    mkdir -p "$2"
    truncate -s "$4M" "$1"
    case $3 in
    ext4) mkfs.ext4 -q -F -m0 -E lazy_itable_init=0 "$1" ;;
    xfs) mkfs.xfs -q -f "$1" ;;
    esac
    loop=$(losetup --find --show --direct-io=on "$1")
    mount -o "$([ "$3" = ext4 ] && echo errors=remount-ro || echo rw)" "$loop" "$2"
    losetup --detach "$loop" # once nobody uses it
}
disk_end() { # NAME: its mount, and it
    cachefs_umount "$1"
    disk_umount "$1"
    rm -f "$WORK/stop-$1"
}
disk_umount() {
    umount -l "$WORK/disk-$1" 2>/dev/null || true
    umount -l "$WORK/below-$1" 2>/dev/null || true
    rm -f "$WORK/$1.img"
}
disk_mount() { # NAME FLAG…
    local name=$1
    shift
    cachefs_mount "$name" --cache-dir "$WORK/disk-$name" --cache-settle 2 --max-ends 2 "$@" || fail "no mount: $(cat "$WORK/$name.log")"
}
is_sick() { bad_disk status "$WORK/$1" | grep -q '"sick": true'; }
is_complete() { getfattr --only-values -n stowage.cache.status "$1" 2>/dev/null | grep -q '"state":"complete"'; }
cached_again() { # read by the daemon, not out of the kernel's memory
    dd if="$WORK/$1/small7" of=/dev/null bs=1M iflag=direct status=none || fail "small7 of $1 cannot be read"
    is_complete "$WORK/$1/small7"
}
never_ended() { if grep -E 'ended and is started again|given up' "$WORK/$1.log"; then fail "the daemon of $1 ended"; fi; }

load_start() { # NAME none|errors: readers, and some who keep files of the cache open
    cat "$WORK/$1"/small* "$WORK/$1"/small* >/dev/null
    rm -f "$WORK/stop-$1"
    bad_disk load "$WORK/$1" "$EXPORT" "$WORK/stop-$1" "$2" &
    LOAD=$!
    bad_disk holders "$WORK/$1" "$EXPORT" "$WORK/stop-$1" 20 >"$WORK/holders-$1" &
    HOLD=$!
    sleep 1
}
load_end() { # NAME [errors]: may the open files have met errors?
    sleep 3
    if [ -e "$EXPORT/new-$1" ]; then cmp "$EXPORT/new-$1" "$WORK/$1/new-$1" || fail "a new file on $1"; fi
    touch "$WORK/stop-$1"
    wait "$LOAD" || fail "readers of $1 met an error"
    wait "$HOLD" || fail "who had files of $1 open met wrong bytes, or could not open them again"
    cat "$WORK/holders-$1"
    [ "${2:-}" = errors ] || grep -q ' 0 errors' "$WORK/holders-$1" || fail "files of $1 that were open gave errors"
}

wanted() { [ -z "$ONLY" ] || [[ $1 == *"$ONLY"* ]] && RAN=$((${RAN:-0} + 1)); }

# ---- too small

too_small() { # NAME TYPE MIB KEEP FLAG…
    local name=$1 keep=$4
    wanted "$name" || return 0
    echo "$name: a disk of $3 MiB ($2), $4 % to be kept free"
    disk_make "$1" "$2" "$3"
    shift 4
    disk_mount "$name" --cache-keep-free "$keep" "$@"
    bad_disk twice "$WORK/$name" "$EXPORT" "$WORK/disk-$name" "$keep"
    load_start "$name" none
    dd if=/dev/zero of="$WORK/disk-$name/others" bs=1M status=none 2>/dev/null || true # until nothing is left
    bad_disk status "$WORK/$name"
    load_end "$name"
    wait_for 30 has_free "$name" $((keep > 20 ? 20 : keep)) || fail "no room is given back: $(bad_disk status "$WORK/$name")"
    rm "$WORK/disk-$name/others"
    "$BIN/stowage" cache evict "$WORK/$name" >/dev/null # what is here stays, also when it is not what we ask for
    wait_for 60 cached_again "$name" || fail "nothing is cached when there is room again: $(bad_disk status "$WORK/$name")"
    never_ended "$name"
    disk_end "$name"
}

has_free() { df --output=size,avail "$WORK/disk-$1" | awk -v keep="$2" 'NR == 2 { exit $2 * 100 < $1 * (keep - 0.2) }'; }

# ---- slow

# Readers go at the disk's pace then, so that one reading of a file makes its copy whole; while it is stuck, at the origin's.
too_slow() {
    local name=slow large
    wanted "$name" || return 0
    echo "$name: a disk behind a faster origin, with memory for 4 MiB"
    disk_make "$name" ext4 400
    disk_mount "$name" --cache-memory 4194304
    exec {large}<"$WORK/$name/large" # its last close would fetch what is missing
    cmp - "$EXPORT/large" <&"$large" || fail "wrong bytes"
    wait_for 20 is_complete "$WORK/$name/large" || fail "read once, and not stored: $(getfattr --only-values -n stowage.cache.status "$WORK/$name/large")"
    exec {large}<&-
    "$BIN/stowage" cache evict "$WORK/$name" >/dev/null
    wait_for 20 no_copy "$WORK/$name/large" || fail "the copy does not go"
    exec {large}<"$WORK/$name/large"
    head -c 1M <&"$large" | cmp -n 1048576 - "$EXPORT/large" || fail "wrong bytes"
    fsfreeze --freeze "$WORK/disk-$name"
    timeout 60 cmp -i 0:1048576 - "$EXPORT/large" <&"$large" || { fsfreeze --unfreeze "$WORK/disk-$name"; fail "not read while the disk is stuck"; }
    fsfreeze --unfreeze "$WORK/disk-$name"
    exec {large}<&-
    never_ended "$name"
    disk_end "$name"
}
no_copy() { ! is_complete "$1"; }

# ---- gone

goes_bad() { # NAME HOW errors|none FLAG…: the disk of a running mount
    local name=$1 how=$2 may=$3
    shift 3
    echo "$name: $how"
    disk_mount "$name" "$@"
    load_start "$name" "$may"
    sync -f "$WORK/disk-$name" # what is mapped there is clean, so that the next store to it asks the file system
    "$how" "$name"
    head -c 300000 /dev/urandom >"$EXPORT/new-$name" # something to be stored
    load_end "$name" "$may"
    wait_for 15 is_sick "$name" || fail "the figures do not tell: $(bad_disk status "$WORK/$name")"
    bad_disk status "$WORK/$name"
    never_ended "$name"
}
shut_down() { bad_disk break "$WORK/disk-$1"; }
read_only() { echo 1 >"/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE "$WORK/disk-$1")")/trigger_fs_error"; }
gives_eio() { bad_disk break "$WORK/below-$1"; }
taken_away() { umount -l "$WORK/disk-$1" && gives_eio "$1"; }

another_disk() { # NAME TYPE MIB: the daemon is told to look again
    disk_umount "$1"
    disk_make "$@"
    kill -HUP "$(cat "$WORK/$1.pid")"
    wait_for 30 handed_over "$1" || fail "not handed over: $(tail -n 3 "$WORK/$1.log")"
    wait_for 60 cached_again "$1" || fail "not cached on another disk: $(tail -n 3 "$WORK/$1.log")"
    disk_end "$1"
}
handed_over() { grep -q 'took the mount over' "$WORK/$1.log"; }

echo "the files"
bad_disk make "$EXPORT"
head -c 200M /dev/urandom >"$EXPORT/large"
sleep 3
too_small small ext4 64 10
too_small small-served ext4 64 10 --no-passthrough
if command -v mkfs.xfs >/dev/null; then too_small small-xfs xfs 300 50; fi

too_slow

for flags in "" --no-passthrough; do
    may=$([ -n "$flags" ] && echo none || echo errors)
    for type in ext4 xfs; do
        command -v "mkfs.$type" >/dev/null || continue
        for how in shut_down read_only gives_eio taken_away; do
            name=$type-$how$flags
            if [ "$type-$how" = xfs-read_only ] || ! wanted "$name"; then continue; fi
            disk_make "$name" "$type" 400
            # shellcheck disable=SC2086 # none or one
            goes_bad "$name" "$how" "$may" $flags
            another_disk "$name" "$type" 400
        done
    done
done
[ "${RAN:-0}" -gt 0 ] || fail "no disk is called '$ONLY'"
