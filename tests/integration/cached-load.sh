#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fsx, a parallel build, git, dbench and SQLite on cached mounts: the tests of mounts without a cache, each mount with one of its own.
set -euo pipefail
HERE=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
export CACHEFS_CACHE=1 FSX_SECONDS=${FSX_SECONDS:-10} LOAD_SECONDS=${LOAD_SECONDS:-5}
skipped=0
for script in posix-fsx posix-load; do
    rc=0
    "$HERE/$script.sh" || rc=$?
    if [ "$rc" = 77 ]; then
        skipped=$((skipped + 1))
    elif [ "$rc" != 0 ]; then
        exit "$rc"
    fi
done
[ "$skipped" = 0 ] || exit 77
