#!/usr/bin/env bash
# Builds Stowage, after installing what the build needs (Debian 12 or newer; as root if something is missing).
#
# usage: scripts/build.sh [PRESET] [TARGET...]
#   PRESET   dev (default), asan, tsan or release; the programs are then in build/PRESET/bin
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
-*)
    note "unknown option '$1'"
    show_help >&2
    exit 2
    ;;
esac
preset=${1:-dev}
shift $(($# > 0 ? 1 : 0))
needs=(build)
case $preset in
dev | release) ;;
asan | tsan) needs+=(sanitizers) ;;
*) die "unknown preset '$preset': take dev, asan, tsan or release" ;;
esac
install_for "${needs[@]}"
build "$preset" "$@"
say "$ROOT/build/$preset/bin"
