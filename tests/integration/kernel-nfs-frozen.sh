#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A user-space NFS server in user-mode Linux is frozen (SIGSTOP) while pods wait for it and the kernel's NFS client
# holds unwritten data: every Node RPC answers within 5 s, unpublish and unstage succeed within 30 s, and once the
# server is back no process, thread or mount is left and no data is lost. For NFSv3, v4.0 and v4.2; prints the times.
#
# usage: tests/integration/kernel-nfs-frozen.sh
#   VERSIONS: what is tried (default "3 4.0 4.2")
# Exit: 0 passed, 77 skipped (user-mode Linux or nfs-ganesha is not installed), else failed.
set -euo pipefail
STOWAGE_OWN_MOUNTS=1 # the guest's mounts are its own
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"
# shellcheck source=tests/support/frozen-kit.sh
. "$ROOT/tests/support/frozen-kit.sh"
# shellcheck source=tests/support/uml.sh
. "$ROOT/tests/support/uml.sh"

VERSIONS=${VERSIONS:-3 4.0 4.2}
LIMIT_S=400 # of the whole guest

# --- outside --------------------------------------------------------------------------------------------------------

outside() {
    local reason log rc=0
    reason=$(uml_reason)
    [ -z "$reason" ] || skip "$reason"
    command -v ganesha.nfsd >/dev/null || skip "'ganesha.nfsd' is missing: apt-get install $(packages_for nfs-server)"
    [ -x "$BIN/stowage-node" ] || die "no programs in $BIN; build them with scripts/build.sh"
    log=$(mktemp)
    uml_boot "$LIMIT_S" "$log" "${BASH_SOURCE[0]}" BIN="$BIN" VERSIONS="${VERSIONS// /,}" || rc=$?
    # What the console adds is left out: its colours, and what the guest's end prints.
    tr -d '\r' <"$log" | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | sed -n '/^=== /,/^uml-exit-code/{/^uml-exit-code/!p}'
    grep -q '^=== ' "$log" || tail -n 20 "$log"
    rm -f "$log"
    [ "$rc" = 0 ] || die "failed inside user-mode Linux (exit code $rc)"
}

# --- inside ---------------------------------------------------------------------------------------------------------

# Opens a file on the volume, and writes to it when `$WORK/go` appears (an open would wait for the server, and so would
# the fstat that dd and cat begin with). The data stay in the client's memory; fsync waits for the server.
pod_writes() {
    setsid python3 - "$1/dirty" "$WORK" >/dev/null 2>&1 <<'PYTHON' &
import os, sys, time
path, work = sys.argv[1:]
data = open(work + "/data", "rb").read()
fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(fd, b"x")
os.fsync(fd)
open(work + "/opened", "w").close()
while not os.path.exists(work + "/go"):
    time.sleep(0.05)
os.pwrite(fd, data, 0)
open(work + "/wrote", "w").close()
os.fsync(fd)
PYTHON
    POD_PIDS+=($!)
    wait_until 20 test -e "$WORK/opened" || fail "the pod cannot open its file"
}

one() {
    local version=$1 threads
    echo "=== NFS $version, kernel mount"
    rm -f "$WORK/opened" "$WORK/go" "$WORK/wrote"
    CAPABILITY_FLAGS="\"vers=$version\""
    node_stage >/dev/null
    grep -qE " $STAGING .* - nfs4? .*vers=$version" /proc/self/mountinfo || fail "not mounted with NFS $version"
    node_publish "$WORK/pods/a" >/dev/null
    node_stats "$WORK/pods/a" >/dev/null
    threads=$(node_threads)

    pod_writes "$WORK/pods/a"
    kill -STOP "$NFS_PID"
    touch "$WORK/go"
    wait_until 10 test -e "$WORK/wrote" || fail "the pod cannot write to memory"
    pod_waits "$WORK/pods/a"
    frozen_calls

    kill -CONT "$NFS_PID"
    frozen_check_left "$threads"
    cmp "$WORK/data" "$WORK/export/volume-1/dirty" || fail "data that waited for the server are lost"
    node_stage >/dev/null
    node_publish "$WORK/pods/a" >/dev/null
    cmp "$WORK/pods/a/big" "$WORK/export/volume-1/big" || fail "the volume does not work any more"
    node_unpublish "$WORK/pods/a" >/dev/null
    node_unstage >/dev/null
    [ "$LATE" = 0 ] || fail "$LATE calls took longer than their limit"
}

inside() {
    local version
    uml_setup
    ip address add 192.0.2.1/32 dev lo # ganesha looks names up only where some address is not loopback's
    modprobe -a nfsv3 nfsv4 fuse
    METRICS=127.0.0.1:24180
    NFS_MINOR_VERSIONS=0,1,2 node_kit_start --mount-mode kernel --http "$METRICS"
    mkdir "$WORK/export/volume-2"
    head -c 4000000 /dev/urandom >"$WORK/data"
    head -c 20000000 /dev/urandom >"$WORK/export/volume-1/big"
    for version in ${VERSIONS//,/ }; do
        one "$version"
    done
    echo "every call was in time; nothing is left"
}

if uml_inside; then
    # Its own shell: `fail` ends it, and the guest must be halted all the same.
    rc=0
    (inside) || rc=$?
    uml_halt "$((rc > 0))"
else
    outside
fi
