#!/usr/bin/env bash
# Measures Stowage beside a named other, in one run on this machine. Figures are lines "area.figure value unit";
# everything else is a comment that starts with "#".
#
# usage: bench/run.sh provision|shared-io|local|cache|store|sidecar|operator|kubernetes|all [ARGUMENT…]
#   provision   volumes made, listed and deleted by the controller, and what the two processes weigh
#   shared-io   the FUSE mount beside raw libnfs on the same server
#   local       local volumes beside the file system or disk that they lie on; snapshots and clones; hard limits
#   cache       volumes with a cache on the node's disk beside that disk, libnfs, rclone and JuiceFS (--quick: a short run)
#   store       keys, queues and objects beside Redis, etcd, NATS and nginx, with equal durability on the same disk
#   sidecar     what the sidecar beside a workload adds to a request, and its memory
#   operator    objects of the four kinds, on a real API server: until all are Ready, and what the operator weighs
#   kubernetes  claims and pods on the test cluster beside pods with an emptyDir, and the memory of every container
#
# An ARGUMENT goes to the area's script, whose head tells which it knows.
# Machines are shared and noisy: quote the ratios, never a single absolute figure. As root on Debian 12 or newer.
# STOWAGE_BUILD_DIR: measure this build instead of building preset release.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
provision | shared-io | local | cache | store | sidecar | operator | kubernetes) areas=$1 ;;
all) areas="provision shared-io local cache store sidecar operator kubernetes" ;;
*)
    show_help >&2
    exit 2
    ;;
esac
shift

# Median of 200 appends of 4 KiB that are brought to stable storage.
fdatasync_us() {
    local file
    file=$(mktemp "${TMPDIR:-/var/tmp}/stowage-fdatasync.XXXXXX")
    python3 - "$file" <<'PY'
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
took = []
for _ in range(200):
    os.write(fd, bytes(4096))
    start = time.monotonic()
    os.fdatasync(fd)
    took.append(time.monotonic() - start)
print(f"{sorted(took)[100] * 1e6:.0f}")
PY
    rm -f "$file"
}

install_for build nfs-server fuse integration
case " $areas " in *" local "*) install_for local-volumes uml bench-local ;; esac
case " $areas " in *" cache "*) install_for bench-cache ;; esac
if [ -z "${STOWAGE_BUILD_DIR:-}" ]; then
    build release
    export STOWAGE_BUILD_DIR=$ROOT/build/release
fi
say "# $(uname -srm), $(nproc) processors ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1))," \
    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
say "# stowage $("$STOWAGE_BUILD_DIR/bin/stowage" --version | cut -d ' ' -f 2) at" \
    "$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || say unknown)," \
    "nfs-ganesha $(dpkg-query -W -f='${Version}' nfs-ganesha), libnfs $(dpkg-query -W -f='${Version}' libnfs-dev)"
say "machine.fdatasync $(fdatasync_us) us"
rc=0
for area in $areas; do
    script=$ROOT/bench/${area//-/_}.sh
    [ -x "$script" ] || die "$script is missing"
    "$script" "$@" || rc=1
done
exit "$rc"
