#!/usr/bin/env bash
# Volumes with a cache on the node's disk, beside the file system that the cache lies on (warm reads), beside libnfs (cold
# ones), and beside rclone, JuiceFS and our own mount without a cache. Server, caches and what is compared are on one file
# system, a new one on a loop device: what others do to the disk's own, and how that was made, is not compared. Everything
# runs in namespaces of the bench's own (processes, mounts, network), which take all along when they end.
#
# usage: bench/cache.sh [--quick] [--plain] [--no-peers] [SECTION…]        (through bench/run.sh)
#   SECTION    warm, peers, cold, epochs, weight, outages (default: all)
#   --quick    a tenth of the data and short measurements: to see that all works, the figures are rough
#   --plain    our mount without a cache in the place of the cached one
#   --no-peers the same as all sections but peers
#   CACHE_DIR: a directory on the disk to measure (default /var/tmp); CACHE_FS: ext4 (default) or xfs, on the loop device, or
#   none: CACHE_DIR itself; CACHE_ROUNDS; CACHE_SECONDS: of one measurement
#
# Every round measures all sides one after the other, in turns; a ratio is the median of the rounds' ratios.
# shellcheck disable=SC2317 # sections, measurements and what they use are called by their names
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
# shellcheck source=bench/cache/sides.sh
. "$ROOT/bench/cache/sides.sh"

QUICK=0 PLAIN=0 PEERS=1 SECTIONS=""
for argument in "$@"; do
    case $argument in
    -h | --help) show_help && exit 0 ;;
    --quick) QUICK=1 ;;
    --plain) PLAIN=1 ;;
    --no-peers) PEERS=0 ;;
    warm | peers | cold | epochs | weight | outages) SECTIONS+=" $argument" ;;
    *) show_help >&2 && exit 2 ;;
    esac
done
SECTIONS=${SECTIONS:-warm peers cold epochs weight outages}
[ "$PEERS" = 1 ] || SECTIONS=${SECTIONS/peers/}
BIN=${STOWAGE_BUILD_DIR:-$ROOT/build/release}/bin
ROUNDS=${CACHE_ROUNDS:-7} SECONDS_EACH=${CACHE_SECONDS:-1} MIB=1024 SMALL=2000 TREE=50000 PEER_TREE=5000 EPOCHS=4 OUTAGE_S=15 DISK_GIB=24
if [ "$QUICK" = 1 ]; then
    ROUNDS=${CACHE_ROUNDS:-3} SECONDS_EACH=${CACHE_SECONDS:-0.3} MIB=128 SMALL=400 TREE=5000 PEER_TREE=1000 EPOCHS=3 OUTAGE_S=10 DISK_GIB=5
fi
CONNECTIONS=4
READERS=32 # of cold small files

# --- outside: what must be built, and what is left behind -----------------------------------------------------------

outside() {
    local rc=0
    [ "$(id -u)" = 0 ] || die "needs root: it mounts"
    export juicefs=
    case $SECTIONS in *peers*) find_juicefs || juicefs= ;; esac # the inside has no network
    WORK=$(mktemp -d "${CACHE_DIR:-/var/tmp}/stowage-cache.XXXXXX")
    chmod 755 "$WORK"
    export WORK
    trap outside_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    CACHE_INSIDE=1 unshare --net --pid --fork --kill-child --mount --propagation private --mount-proc "$0" "$@" &
    INSIDE=$!
    wait "$INSIDE" || rc=$?
    exit "$rc"
}
outside_end() {
    trap - EXIT INT TERM
    kill -KILL "$INSIDE" 2>/dev/null || true # its child goes with it, and with that one all the others
    wait "$INSIDE" 2>/dev/null || true
    wait_until 20 rm -rf --one-file-system "$WORK" || note "cannot remove $WORK"
}
if [ "${CACHE_INSIDE:-}" != 1 ]; then outside "$@"; fi

# --- inside ---------------------------------------------------------------------------------------------------------

# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"
mount -t tmpfs -o mode=755 none /run # rpcbind's socket is there
mkdir -p /run/lock
ip link set lo up
ip address add 192.0.2.1/32 dev lo # without another address than 127.0.0.1 the server resolves none
FILE_SYSTEM=${CACHE_FS:-ext4}
if [ "$FILE_SYSTEM" != none ]; then
    fallocate -l "${DISK_GIB}G" "$WORK/disk"
    "mkfs.$FILE_SYSTEM" -q "$WORK/disk"
    mkdir "$WORK/on"
    mount -o loop,noatime "$WORK/disk" "$WORK/on" # the device goes with the mount, and that with the namespace
    losetup --direct-io=on "$(df --output=source "$WORK/on" | tail -n 1)"
    WORK=$WORK/on
fi
FIGURES=$WORK/figures RESULTS=$WORK/results
: >"$RESULTS"

# turns FIGURE UNIT BASE ROUNDS SIDE…: `measure_FIGURE SIDE ROUND` prints a value. The next round begins with the next side:
# none is always the one that finds the machine as the same other left it.
turns() {
    local figure=$1 unit=$2 base=$3 rounds=$4 round i side value
    shift 4
    for round in $(seq "$rounds"); do
        for i in $(seq 0 $(($# - 1))); do
            side=${*:1+(i + round) % $#:1}
            value=$("measure_$figure" "$side" "$round") || die "$figure of $side failed (above)"
            say "$figure $unit $base $round $side $value" >>"$FIGURES"
        done
    done
}
single() { say "$1 $2 - 1 - $3" >>"$FIGURES"; }
report() {
    [ -s "$FIGURES" ] || return 0
    "$ROOT/bench/cache/report.py" "$FIGURES" "$RESULTS"
    : >"$FIGURES"
}
reader() { "$BIN/bench-cache-read" "$@"; }
drop_pages() {
    sync --file-system "$WORK"
    echo 1 >/proc/sys/vm/drop_caches
}
as_ms() { awk -v s="$1" 'BEGIN { printf "%d", s * 1000 }'; }
# times COMMAND…: how many seconds it takes
times() {
    local started
    started=$(date +%s%N)
    "$@" >/dev/null
    awk -v ns=$(($(date +%s%N) - started)) 'BEGIN { printf "%.3f\n", ns / 1e9 }'
}
tar_read() { tar -C "$1" -cf - "${@:2}" | cat; } # GNU tar reads nothing when it finds that it writes to /dev/null
tar_stat() { tar -C "$1" -cf /dev/null "${@:2}"; }

# --- warm reads: buffered with the page cache hot and cold, and direct

measure_warm_seq_buffered_hot() { reader seq "$(side_path "$1")/big" "$SECONDS_EACH"; }
measure_warm_seq_direct_hot() { reader seq "$(side_path "$1")/big" "$SECONDS_EACH" direct; }
measure_warm_seq_buffered_cold() { drop_pages && reader seq "$(side_path "$1")/big" 0; }
measure_warm_seq_direct_cold() { drop_pages && reader seq "$(side_path "$1")/big" 0 direct; }
measure_warm_rand_qd1() { reader rand "$(side_path "$1")/big" "$SECONDS_EACH" direct; }
measure_warm_rand_qd1_pages() { reader rand "$(side_path "$1")/big" "$SECONDS_EACH"; }
measure_warm_rand_qd32() {
    fio --name=qd32 --filename="$(side_path "$1")/big" --readonly --rw=randread --bs=4k --iodepth=32 --numjobs=4 --size="${MIB}M" \
        --direct=1 --ioengine=libaio --invalidate=0 --group_reporting --time_based --runtime="$(as_ms "$SECONDS_EACH")ms" \
        --output-format=json >"$WORK/fio.json"
    python3 -c 'import json, sys; job = json.load(open(sys.argv[1]))["jobs"][0]; assert not job["error"]; print(job["read"]["iops"])' \
        "$WORK/fio.json"
}
measure_mmap_hot() { reader mmap "$(side_path "$1")/big" "$SECONDS_EACH"; }
measure_mmap_cold() { drop_pages && reader mmap "$(side_path "$1")/big" 0; }
measure_small() { reader small "$(side_path "$1")/small" "$SECONDS_EACH"; }
measure_tree() { times tar_read "$(side_path "$1")" tree; }
measure_tree_cold() {
    drop_pages && echo 2 >/proc/sys/vm/drop_caches # names and attributes, too
    measure_tree "$1"
}
measure_tree_stat() { times tar_stat "$(side_path "$1")" tree; }

# Once through, by what finds every wrong byte; a second time, so that what is complete is opened as such.
fill() {
    local side=$1 part
    for part in big held small; do diff -rq "$WORK/native/$part" "$WORK/m/$side/$part" || die "$side: $part differs from the original"; done
    (cd "$WORK/native/tree" && printf '%s\n' * | xargs -P 4 -I{} diff -rq "$WORK/native/tree/{}" "$WORK/m/$side/tree/{}") ||
        die "$side: the tree differs from the original"
    reader all "$WORK/m/$side/small" 4 1 >/dev/null
    complete "$side"
}
# What reads have left out (the disk was slower than the server) is fetched by a warm-up; what an open has seen as incomplete
# stays so until it is closed, of which the kernel tells a moment later.
complete() {
    [ "$PLAIN" = 1 ] || "$BIN/stowage" cache warm --wait "$WORK/m/$1/big" >/dev/null || die "big cannot be warmed up"
    sleep 1
}

section_warm() {
    local figure side mode modes="ttl immutable strict" smalls=()
    [ "$PLAIN" = 0 ] || modes=ttl
    cached_flags "$WORK/cache" ttl
    stowage_start stowage "${flags[@]}"
    fill stowage
    # What needs hot pages comes first, for later ones drop them. Read in by both alike: pages that a writer has left lie in
    # folios of the size of its writes, which is what mmap and copies would measure.
    drop_pages
    for side in native stowage; do reader seq "$(side_path "$side")/big" 0 >/dev/null; done
    for figure in warm_seq_buffered_hot warm_seq_direct_hot; do turns "$figure" MB/s native "$ROUNDS" native stowage; done
    turns warm_rand_qd1_pages op/s native "$ROUNDS" native stowage
    turns mmap_hot fault/s native "$ROUNDS" native stowage
    for figure in warm_seq_buffered_cold warm_seq_direct_cold; do turns "$figure" MB/s native "$ROUNDS" native stowage; done
    for figure in warm_rand_qd1 warm_rand_qd32; do turns "$figure" op/s native "$ROUNDS" native stowage; done
    turns mmap_cold fault/s native "$ROUNDS" native stowage
    report
    for mode in $modes; do # they share what is cached
        cached_flags "$WORK/cache" "$mode"
        stowage_start "stowage_$mode" "${flags[@]}"
        reader all "$WORK/m/stowage_$mode/small" 4 1 >/dev/null
        smalls+=("stowage_$mode")
    done
    reader all "$WORK/native/small" 4 1 >/dev/null
    turns small file/s native "$ROUNDS" native "${smalls[@]}"
    for mode in $modes; do side_stop "stowage_$mode"; done
    cached_flags "$WORK/cache" ttl
    stowage_start stowage_read_only "${flags[@]}" --read-only # the kernel does not ask for attributes after each read
    for side in native stowage stowage_read_only; do measure_tree "$side" >/dev/null; done
    for figure in tree tree_stat tree_cold; do turns "$figure" s native "$ROUNDS" native stowage stowage_read_only; done
    side_stop stowage_read_only
    side_stop stowage
    report
}

# --- peers

measure_peer_seq_hot() { measure_warm_seq_buffered_hot "$1"; }
measure_peer_seq_cold() { measure_warm_seq_buffered_cold "$1"; }
measure_peer_rand_qd1() { measure_warm_rand_qd1_pages "$1"; } # through the page cache: not every peer has direct I/O
measure_peer_small() { measure_small "$1"; }
measure_peer_tree() { times tar_read "$(side_path "$1")" "${peer_parts[@]}"; }

section_peers() {
    local rounds=$((ROUNDS / 2 > 1 ? ROUNDS / 2 : 2)) sides=(native) side figure part peer_parts=()
    for part in $(seq -f '%02.0f' 0 $((PEER_TREE / 1000 - 1))); do peer_parts+=("tree/$part"); done
    say "# peers read $PEER_TREE files of the tree"
    if [ "$PLAIN" = 0 ]; then
        cached_flags "$WORK/cache" ttl
        stowage_start stowage "${flags[@]}"
        sides+=(stowage)
    fi
    stowage_start plain && sides+=(plain)
    if rclone_start; then sides+=(rclone); fi
    if juicefs_start; then # it has no origin: the files are its own
        (cd "$WORK/native" && cp -r --parents big small "${peer_parts[@]}" "$WORK/m/juicefs") && sides+=(juicefs)
    fi
    for side in "${sides[@]}"; do
        tar_read "$(side_path "$side")" big small "${peer_parts[@]}" >/dev/null
    done
    turns peer_seq_hot MB/s native "$rounds" "${sides[@]}"
    turns peer_rand_qd1 op/s native "$rounds" "${sides[@]}"
    turns peer_small file/s native "$rounds" "${sides[@]}"
    turns peer_tree s native "$rounds" "${sides[@]}"
    turns peer_seq_cold MB/s native "$rounds" "${sides[@]}"
    for side in "${sides[@]:1}"; do side_stop "$side"; done
    rm -rf --one-file-system "$WORK/peers"
    report
}

# --- cold reads, while the cache is filled

libnfs() { "$BIN/bench-cache-libnfs" "$1" 127.0.0.1 /export "$NFS_PORT" "$MNT_PORT" "$2" "$3"; }
cold() { # SIDE COMMAND…: with a mount whose cache is empty; its path is put in the place of "@"
    local side=$1 flags=()
    shift
    [ "$side" = plain ] || cached_flags "$WORK/cold" ttl
    stowage_start "$side" "${flags[@]}"
    "${@//@/$WORK/m/$side}"
    side_stop "$side"
    rm -rf "$WORK/cold"
}
measure_cold_seq_loopback() { if [ "$1" = libnfs ]; then libnfs seq $CONNECTIONS /big; else cold "$1" reader seq @/big 0; fi; }
measure_cold_seq_10g() { measure_cold_seq_loopback "$@"; }
measure_cold_small() { if [ "$1" = libnfs ]; then libnfs small $READERS /small; else cold "$1" reader all @/small $READERS "$2"; fi; }
section_cold() {
    local sides=(libnfs stowage plain)
    [ "$PLAIN" = 0 ] || sides=(libnfs stowage)
    cat "$WORK/export/big" "$WORK"/export/small/* >/dev/null # the server's disk is not compared
    turns cold_seq_loopback MB/s libnfs "$ROUNDS" "${sides[@]}"
    turns cold_small file/s libnfs "$ROUNDS" "${sides[@]}"
    if command -v tc >/dev/null; then
        tc qdisc add dev lo root tbf rate 10gbit burst 1mb latency 50ms
        turns cold_seq_10g MB/s libnfs "$ROUNDS" "${sides[@]}"
        tc qdisc del dev lo root
    else
        say "# no figures at 10 Gbit/s: tc is not installed (apt-get install iproute2)"
    fi
    report
}

# shellcheck source=bench/cache/life.sh
. "$ROOT/bench/cache/life.sh"

main() { # one function, so that bash has read all of this script before it runs for minutes
    local section side rc=0
    "$ROOT/bench/cache/make_set.py" "$WORK/native" "$MIB" "$SMALL" "$TREE"
    cp -a "$WORK/native" "$WORK/export"
    sleep 11 # what changed a moment ago is not cached: see --cache-settle
    nfs_server_start "$WORK/nfs" "$WORK/export" || die "no NFS server"
    # shellcheck disable=SC1091
    . "$WORK/nfs/env"
    say "# load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
    say "# file system: $(df --output=fstype,source "$WORK" | tail -n 1); $MIB MiB in one file, $SMALL files of 128 KiB, a tree of $TREE files"
    [ "$PLAIN" = 0 ] || say "# --plain: what is called stowage is the mount without a cache"
    for section in $SECTIONS; do # in a sub-shell with -e of its own: the others go on when one fails
        (
            trap 'for side in "${!PID[@]}"; do side_stop "$side"; done' EXIT
            "section_$section"
        ) &
        wait "$!" || { rc=1 && note "section $section failed (above)"; }
    done
    say "# load after: $(cut -d ' ' -f 1-3 /proc/loadavg)"
    "$ROOT/bench/cache/report.py" --aims "$RESULTS"
    nfs_server_stop "$WORK/nfs"
    return "$rc"
}
main
