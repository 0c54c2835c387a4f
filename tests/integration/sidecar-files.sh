#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Keys as files: a store, a sidecar with --project, and readers, as processes; what lies there after changes, restarts, a frozen store,
# a namespace that is too large or made anew. See sidecar_files.py.
#
# usage: tests/integration/sidecar-files.sh
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar-remote" ] || build dev
WORK=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) # in memory, as the volumes of injected pods are
trap 'rm -rf "$WORK"' EXIT
chmod 755 "$WORK" # readers with another user id
timeout 120 python3 "$ROOT/tests/integration/sidecar_files.py" "$BUILD/bin/stowage-sidecar" "$WORK"
