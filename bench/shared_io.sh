#!/usr/bin/env bash
# The FUSE mount beside libnfs (a pipelined loop, one context and thread a connection) and beside our own lib/nfs, with as
# many connections to the same server: sequential and random transfers, small files, a large directory.
#
# usage: bench/shared_io.sh        (through bench/run.sh)
#   SHARED_IO_MIB: file size (default 1024); SHARED_IO_FILES: small files (default 10000);
#   SHARED_IO_ENTRIES: entries of the large directory (default 100000); SHARED_IO_ROUNDS (default 3)
#
# Every round measures all sides one after the other; a ratio is FUSE to libnfs, the median of the rounds' ratios.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/support/cachefs-kit.sh"
MIB=${SHARED_IO_MIB:-1024}
FILES=${SHARED_IO_FILES:-10000}
ENTRIES=${SHARED_IO_ENTRIES:-100000}
ROUNDS=${SHARED_IO_ROUNDS:-3}
CONNECTIONS=4

cachefs_kit_start
cachefs_server stop # what it serves is in memory: neither the disk nor ext4's search for inodes is compared here
mount -t tmpfs -o size=4g,nr_inodes=1m none "$EXPORT"
cachefs_server start
mkdir -p "$EXPORT/bench/many"
(cd "$EXPORT/bench/many" && seq -f 'entry-%06.0f' "$ENTRIES" | xargs touch)
cachefs_mount a --connections "$CONNECTIONS" || fail "no mount"
rss() { awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$(cat "$WORK/a.pid")/status"; }
idle_rss=$(rss)

for round in $(seq "$ROUNDS"); do
    "$BIN/bench-libnfs-loop" 127.0.0.1 /export "$NFS_PORT" "$MNT_PORT" "$CONNECTIONS" bench "$MIB" "$FILES" "$ENTRIES" |
        sed "s/^/libnfs $round /" >>"$WORK/figures"
    "$BIN/bench-shared-io" raw 127.0.0.1 /export "$NFS_PORT" "$MNT_PORT" "$CONNECTIONS" bench "$MIB" "$FILES" "$ENTRIES" |
        sed "s/^/raw $round /" >>"$WORK/figures"
    "$BIN/bench-shared-io" posix "$WORK/a/bench" "$MIB" "$FILES" "$ENTRIES" |
        sed "s/^/fuse $round /" >>"$WORK/figures"
done
python3 - "$WORK/figures" <<'PY'
import statistics
import sys

figures, units = {}, {}
for line in open(sys.argv[1]):
    side, round_, name, value, unit = line.split()
    figures.setdefault(name, {}).setdefault(round_, {})[side] = float(value)
    units[name] = unit
for name, rounds in figures.items():
    for side in ("fuse", "libnfs", "raw"):
        print(f"shared-io.{name}_{side} {statistics.median(r[side] for r in rounds.values()):.0f} {units[name]}")
    print(f"shared-io.{name}_ratio {statistics.median(r['fuse'] / r['libnfs'] for r in rounds.values()):.2f} ratio")
PY
echo "shared-io.idle_rss $idle_rss MiB"
echo "shared-io.busy_rss $(rss) MiB"
cachefs_umount a
cachefs_server stop
umount "$EXPORT"
