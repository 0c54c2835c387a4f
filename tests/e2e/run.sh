#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The end-to-end tests: a real Kubernetes cluster of two nodes on this machine, Stowage's images and chart in it, and the cases
# of cases/, one after the other. Ends with "N passed, N failed[, N skipped]".
#
# usage: tests/e2e/run.sh [--case NAME]… [--keep] [--list]
#   --case NAME  only this one; may be repeated
#   --keep       leave the cluster up, with the driver, for looking around and for running again at once
#   --list       the names of all cases, with what each proves
#
# Root on Debian 12 or newer, with go. With an empty cache (~/.cache/stowage) Kubernetes and the sidecars are built first.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

E2E=$ROOT/tests/e2e
for part in layout build network control-plane driver; do
    # shellcheck source=/dev/null # all are here
    . "$E2E/lib/$part.sh"
done
CASE_LIMIT_S=900
keep=0 cases=()

what_it_proves() { sed -n '3{s/^# //p;q}' "$E2E/cases/$1.sh"; }
all_cases() {
    local file
    for file in "$E2E"/cases/*.sh; do
        file=${file##*/}
        say "${file%.sh}"
    done
}

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        show_help
        exit 0
        ;;
    --list)
        for name in $(all_cases); do printf '%-24s %s\n' "$name" "$(what_it_proves "$name")"; done
        exit 0
        ;;
    --keep) keep=1 ;;
    --case)
        [ -e "$E2E/cases/${2:-}.sh" ] || die "there is no case '${2:-}'; see $0 --list"
        cases+=("$2")
        shift
        ;;
    *)
        note "unknown argument '$1'"
        show_help >&2
        exit 2
        ;;
    esac
    shift
done
[ ${#cases[@]} -gt 0 ] || mapfile -t cases < <(all_cases)

cluster() { "$E2E/cluster.sh" "$@"; }

work=$(mktemp -d)
clean_up() {
    local rc=$?
    trap - EXIT INT TERM
    rm -rf "$work"
    [ "$keep" = 1 ] || cluster down >&2 || rc=1
    exit "$rc"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

install_driver() {
    local image
    for image in stowage nfs-server; do
        "$ROOT/images/build.sh" --tool buildah --image "$image" --archive "$work/$image.tar" >&2
        cluster images "$work/$image.tar" >&2
        rm -f "$work/$image.tar"
    done
    driver_install
}

started=$(now_ms)
cluster up >&2 || die "no cluster, so nothing was tested"
install_driver || die "the driver could not be installed, so nothing was tested"
note "cluster and driver are up after $(seconds_since "$started") s"

passed=0 failed=0 skipped=0 bad=()
for name in "${cases[@]}"; do
    say "=== $name: $(what_it_proves "$name")"
    case_started=$(now_ms) rc=0
    timeout -k 60 "$CASE_LIMIT_S" "$E2E/cases/$name.sh" 2>&1 </dev/null || rc=$?
    case $rc in
    0) passed=$((passed + 1)) && say "passed in $(seconds_since "$case_started") s" ;;
    77) skipped=$((skipped + 1)) ;;
    124) failed=$((failed + 1)) bad+=("$name") && say "FAILED: not ended after $CASE_LIMIT_S s" ;;
    *) failed=$((failed + 1)) bad+=("$name") && say "FAILED after $(seconds_since "$case_started") s; again: $0 --case $name --keep" ;;
    esac
done
if [ "$keep" = 0 ]; then # before the sum, which is the last line
    keep=1
    cluster down >&2 || {
        failed=$((failed + 1))
        bad+=("the end of the cluster")
    }
fi
say
[ "$failed" = 0 ] || say "failed: ${bad[*]}"
say "in $(seconds_since "$started") s"
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line="$line, $skipped skipped"
say "$line"
[ "$failed" = 0 ]
