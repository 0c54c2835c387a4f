#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-sidecar is killed with SIGKILL again and again under load: what was acknowledged is there, nothing is there by half, queues
# keep their order, and nothing that was done with comes again. See store_kill.py.
#
# Then the same through a stowage-sidecar --engine remote that lives on.
#
# usage: [ROUNDS=200] tests/integration/store-kill.sh
# ROUNDS: kills, 20 unless told. STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar" ] || build dev
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 "$ROOT/tests/integration/store_kill.py" "$BUILD/bin/stowage-sidecar" "$WORK" "${ROUNDS:-20}"
rm -rf "$WORK"
mkdir "$WORK"
python3 "$ROOT/tests/integration/store_kill.py" "$BUILD/bin/stowage-sidecar" "$WORK" "${ROUNDS:-20}" --through
