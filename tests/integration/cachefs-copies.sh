#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cached mounts on a real NFS server, on two "nodes" with a cache each: what one writes the other sees at its next open, and
# nothing stale, torn or mixed is ever read, whether the kernel reads the copies itself or not, over NFSv3 and NFSv4.
# CLOSE_TO_OPEN_ROUNDS (1500) sets the number of changes, each with 13 close-to-open checks, of the first of the three.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
export CACHEFS_CACHE=1 ATTR_EXPIRATION=0 # files are also changed on the server itself
ROUNDS=${CLOSE_TO_OPEN_ROUNDS:-1500}
cachefs_kit_start

# both_nodes VOLUME ROUNDS FLAG…: mounts, and the cases in the background; most of their time they wait for files to settle
declare -A running=()
both_nodes() {
    local volume=$1 rounds=$2 a=$WORK/$1-a b=$WORK/$1-b
    shift 2
    mkdir "$EXPORT/$volume"
    cachefs_mount "$volume-a" --sub-dir "$volume" "$@" || fail "no mount"
    cachefs_mount "$volume-b" --sub-dir "$volume" "$@" || fail "no second mount"
    mkdir "$EXPORT/$volume/posix"
    (
        CLOSE_TO_OPEN_ROUNDS=$rounds python3 "$ROOT/tests/integration/cachefs_copies.py" "$a" "$b" "$EXPORT/$volume"
        python3 "$ROOT/tests/integration/cachefs_posix.py" "$a/posix" "$b/posix"
    ) >"$WORK/$volume.out" 2>&1 &
    running[$volume]=$!
}

both_nodes passed "$ROUNDS"
READ_BY=daemon both_nodes served $((ROUNDS / 4)) --no-passthrough
both_nodes version4 $((ROUNDS / 4)) --nfs-version 4
grep -h '"complete files are read"' "$WORK/passed-a.log" || fail "the log does not say who reads"
for volume in passed served version4; do
    echo "$volume"
    wait "${running[$volume]}" || { cat "$WORK/$volume.out"; fail "cases of $volume"; }
    cat "$WORK/$volume.out"
    cachefs_umount "$volume-b"
    cachefs_umount "$volume-a"
done

echo "what was read while it settled is stored by the first reading after that"
cachefs_mount settling --sub-dir passed --cache-settle 6 || fail "no mount"
head -c 8M /dev/urandom >"$EXPORT/passed/late" # more than an open fetches by itself
sleep 3.5 # the kernel's pages are kept from here on, a copy is not made yet
cmp "$EXPORT/passed/late" "$WORK/settling/late" || fail "wrong bytes"
sleep 4
cmp "$EXPORT/passed/late" "$WORK/settling/late" || fail "wrong bytes"
status() { getfattr --only-values -n stowage.cache.status "$WORK/settling/late" 2>/dev/null; }
for _ in $(seq 50); do
    if status | grep -q '"state":"complete"'; then break; fi
    sleep 0.1
done
status | grep -q '"state":"complete"' || fail "not stored: $(status)"
cachefs_umount settling
