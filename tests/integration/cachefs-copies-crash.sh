#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon of a cached mount is killed: programs that read through the kernel do not notice, the successor opens files
# beside them under the numbers of the first, and nothing that was written is missing or old.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
export CACHEFS_CACHE=1 ATTR_EXPIRATION=0
cachefs_kit_start pgrep
mkdir "$EXPORT/volume"
cachefs_mount a --sub-dir volume --max-ends 64 || fail "no mount"
grep -q 'from the cache file (passthrough)' "$WORK/a.log" || { echo "skipped: this kernel has no FUSE passthrough"; exit 77; }
python3 "$ROOT/tests/integration/cachefs_copies_crash.py" "$WORK/a" "$EXPORT/volume" "$(cat "$WORK/a.pid")" 20 ||
    fail "$(tail -n 3 "$WORK/a.log")"
cachefs_umount a
