#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Local volumes of kind quota, on XFS and on ext4, in user-mode Linux: their life (tests/support/quota-cases.sh), then
# csi-sanity if there is one.
#
# usage: tests/integration/local-quota.sh
#   CSI_SANITY: a ready csi-sanity; default: what tests/sanity/run.sh built
# Exit: 0 passed, 77 skipped (user-mode Linux is not installed), else failed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/uml.sh
. "$ROOT/tests/support/uml.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"
LIMIT_S=300 # of one guest

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
reason=$(uml_reason)
[ -z "$reason" ] || skip "$reason"
sanity=${CSI_SANITY:-${XDG_CACHE_HOME:-$HOME/.cache}/stowage/csi-sanity-$CSI_SANITY_VERSION/csi-sanity}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

guest() { # FS RUN
    local rc=0
    say "$2 on $1"
    UML_MEMORY=1536M uml_boot "$LIMIT_S" "$log" "$ROOT/tests/support/uml-quota.sh" QUOTA_FS="$1" QUOTA_RUN="$2" \
        STOWAGE_BUILD_DIR="$(dirname "$BIN")" CSI_SANITY="$sanity" || rc=$?
    tr -d '\r' <"$log" | sed -E 's,\x1b\[[0-9;]*[A-Za-z],,g' | grep -vE '^uml-exit-code|^SELinux|^mmapper|ubd device|^$|wtmp record|^Powering off|System halted' | sed 's/^/  /' | tail -n 40
    [ "$rc" = 0 ] || die "failed inside user-mode Linux (exit code $rc)"
}
for fs in xfs ext4; do
    guest "$fs" cases
    if [ -x "$sanity" ]; then
        guest "$fs" sanity
    else
        note "no csi-sanity at $sanity; tests/sanity/run.sh builds it"
    fi
done
say "passed: volumes with a project quota, on XFS and ext4"
