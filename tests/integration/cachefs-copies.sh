#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cached mounts on a real NFS server, on two "nodes" with a cache each: what one writes the other sees at its next open, and
# nothing stale, torn or mixed is ever read, whether the kernel reads the copies itself or not.
# CLOSE_TO_OPEN_ROUNDS (3000) sets the number of close-to-open checks.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
export CACHEFS_CACHE=1 ATTR_EXPIRATION=0 # files are also changed on the server itself
cachefs_kit_start

both_mounts() { # VOLUME FLAG…
    local volume=$1
    shift
    mkdir "$EXPORT/$volume"
    cachefs_mount a --sub-dir "$volume" "$@" || fail "no mount"
    cachefs_mount b --sub-dir "$volume" "$@" || fail "no second mount"
    python3 "$ROOT/tests/integration/cachefs_copies.py" "$WORK/a" "$WORK/b" "$EXPORT/$volume" || fail "cases of $volume"
    mkdir "$EXPORT/$volume/posix"
    python3 "$ROOT/tests/integration/cachefs_posix.py" "$WORK/a/posix" "$WORK/b/posix" || fail "POSIX cases of $volume"
    cachefs_umount b
    cachefs_umount a
}

echo "read by the kernel where it can"
both_mounts passed
grep -h 'complete files are read' "$WORK/a.log"
echo "read by the daemon"
READ_BY=daemon both_mounts served --no-passthrough
echo "over NFSv4"
CLOSE_TO_OPEN_ROUNDS=$((${CLOSE_TO_OPEN_ROUNDS:-3000} / 4)) both_mounts version4 --nfs-version 4
