#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-sidecar --engine remote beside a store, both as processes: tokens that are renewed, links, streams, TLS, its cache, its memory,
# and what it says while the store is away. See sidecar.py.
#
# usage: tests/integration/sidecar.sh
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar-remote" ] || build dev
command -v openssl >/dev/null || skip "there is no openssl to make a certificate with"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=store -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>"$WORK/openssl.log" || { cat "$WORK/openssl.log" >&2 && exit 1; }
timeout 280 python3 "$ROOT/tests/integration/sidecar.py" "$BUILD/bin/stowage-sidecar" "$WORK"
