#!/usr/bin/env bash
# Formatting and static checks: clang-format on all C files, shellcheck on all scripts, and on request clang-tidy.
#
# usage: scripts/lint.sh [--fix] [--tidy] [--no-install]
#   --fix    let clang-format rewrite the files instead of complaining
#   --tidy   clang-tidy as well (needs a build of preset dev; takes minutes)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fix=0 tidy=0 may_install=1
for argument in "$@"; do
    case $argument in
    -h | --help)
        show_help
        exit 0
        ;;
    --fix) fix=1 ;;
    --tidy) tidy=1 ;;
    --no-install) may_install=0 ;;
    *)
        note "unknown argument '$argument'"
        show_help >&2
        exit 2
        ;;
    esac
done
[ "$may_install" = 0 ] || install_for lint
cd "$ROOT"
mapfile -t sources < <(git ls-files -co --exclude-standard '*.c' '*.h')
mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
rc=0
if [ "$fix" = 1 ]; then
    clang-format -i "${sources[@]}"
else
    clang-format --dry-run --Werror "${sources[@]}" || rc=1
fi
shellcheck -x "${scripts[@]}" || rc=1
if [ "$tidy" = 1 ]; then
    build dev
    printf '%s\n' "${sources[@]}" | grep '\.c$' | xargs -P 2 -n 4 clang-tidy -p build/dev --quiet || rc=1
fi
[ "$rc" = 0 ] || die "findings above"
say "${#sources[@]} C files and ${#scripts[@]} scripts are clean"
