#!/usr/bin/env bash
# The FUSE mount beside libnfs (a pipelined loop, one context and thread a connection) and beside our own lib/nfs, with as
# many connections to the same server: sequential and random transfers, small files, a large directory. Then the sequential
# ones over a loopback of 10 Gbit/s, in a network namespace of the bench's own: there the network is the limit, as in the
# field, and not the processors that server, daemon and application share here.
#
# usage: bench/shared_io.sh        (through bench/run.sh)
#   SHARED_IO_MIB: file size (default 1024); SHARED_IO_FILES: small files (default 10000);
#   SHARED_IO_ENTRIES: entries of the large directory (default 100000); SHARED_IO_ROUNDS (default 3)
#
# Every round measures all sides one after the other; a ratio is FUSE to libnfs, the median of the rounds' ratios.
set -euo pipefail
if [ "${SHARED_IO_LINK:-}" = 10g ] && [ "${SHARED_IO_INSIDE:-}" != 1 ]; then # a process namespace too: it takes all along
    SHARED_IO_INSIDE=1 STOWAGE_OWN_MOUNTS=1 exec unshare --net --pid --fork --kill-child --mount --propagation private \
        --mount-proc "$0"
fi
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/support/cachefs-kit.sh"
MIB=${SHARED_IO_MIB:-1024}
FILES=${SHARED_IO_FILES:-10000}
ENTRIES=${SHARED_IO_ENTRIES:-100000}
ROUNDS=${SHARED_IO_ROUNDS:-3}
CONNECTIONS=4
SUFFIX=

if [ "${SHARED_IO_LINK:-}" = 10g ]; then
    SUFFIX=_10g FILES=100 ENTRIES=100
    mount -t tmpfs -o mode=755 none /run # rpcbind's socket is there
    mkdir -p /run/lock
    ip link set lo up
    ip address add 192.0.2.1/32 dev lo # without another address than 127.0.0.1 the server resolves none
    tc qdisc add dev lo root tbf rate 10gbit burst 1mb latency 50ms
fi
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
python3 - "$WORK/figures" "$SUFFIX" <<'PY'
import statistics
import sys

figures, units = {}, {}
for line in open(sys.argv[1]):
    side, round_, name, value, unit = line.split()
    figures.setdefault(name, {}).setdefault(round_, {})[side] = float(value)
    units[name] = unit
suffix = sys.argv[2]
for name, rounds in figures.items():
    if suffix and not name.startswith("seq_"):
        continue
    for side in ("fuse", "libnfs", "raw"):
        print(f"shared-io.{name}{suffix}_{side} {statistics.median(r[side] for r in rounds.values()):.0f} {units[name]}")
    print(f"shared-io.{name}{suffix}_ratio {statistics.median(r['fuse'] / r['libnfs'] for r in rounds.values()):.2f} ratio")
PY
if [ -z "$SUFFIX" ]; then
    echo "shared-io.idle_rss $idle_rss MiB"
    echo "shared-io.busy_rss $(rss) MiB"
fi
cachefs_umount a
cachefs_server stop
umount "$EXPORT"
if [ -n "$SUFFIX" ]; then
    exit 0
elif ! command -v tc >/dev/null; then
    echo "# no figures at 10 Gbit/s: tc is not installed (apt-get install iproute2)"
else
    trap - EXIT INT TERM
    rm -rf --one-file-system "$WORK"
    SHARED_IO_LINK=10g exec "$0"
fi
