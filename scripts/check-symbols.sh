#!/usr/bin/env bash
# No two of our libraries define the same name: a program would get whichever the linker comes to first, and no compiler says so.
#
# usage: scripts/check-symbols.sh [BUILD_FOLDER]     (default: build/dev, built)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case ${1:-} in -h | --help) show_help && exit 0 ;; esac
build=${1:-$ROOT/build/dev}
mapfile -t libraries < <(find "$build" -name 'lib*.a' | sort)
[ ${#libraries[@]} -gt 5 ] || die "'$build' has not been built: scripts/build.sh"
# "NAME LIBRARY:OBJECT" of all that others can link to
defined=$(nm --print-file-name --defined-only --extern-only "${libraries[@]}" | awk 'NF > 2 { sub(/:[^:]*$/, "", $1); print $NF, $1 }' | sort)
twice=$(awk '$1 == name { print "  " name " in " where " and " $2 } { name = $1; where = $2 }' <<<"$defined")
[ -z "$twice" ] || die "defined more than once:"$'\n'"$twice"
say "$(wc -l <<<"$defined") names of ${#libraries[@]} libraries, each defined once"
