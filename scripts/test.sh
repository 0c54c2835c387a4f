#!/usr/bin/env bash
# Installs what is missing (root, Debian 12 or newer), builds, and runs the tests; ends with "N passed, N failed".
#
# usage: scripts/test.sh [--preset dev|asan|tsan] [--only KIND]... [--match TEXT] [--no-install]
#   --preset P    what to build and test (default: dev)
#   --only KIND   layers, unit, contract, fault, fuzz, integration (programs) or scripts (tests/integration/*.sh);
#                 may be given several times; default: all
#   --match TEXT  only tests whose name contains TEXT (a regular expression for programs)
#   --no-install  fail instead of installing what is missing
#
# A test that cannot run here is counted as skipped and says why. Nothing run, or a build that fails, is a failure.
# Exit: 0 all passed or skipped, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SCRIPT_LIMIT_S=${SCRIPT_LIMIT_S:-900} # the longest a script of tests/integration may take
KINDS="layers unit contract fault fuzz integration scripts"
preset=dev only="" match="" may_install=1
passed=0 failed=0 skipped=0

usage_error() {
    note "$1"
    show_help >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        show_help
        exit 0
        ;;
    --preset | --only | --match)
        [ $# -ge 2 ] || usage_error "$1 needs a value"
        case $1 in
        --preset) preset=$2 ;;
        --only) only="$only $2" ;;
        --match) match=$2 ;;
        esac
        shift
        ;;
    --no-install) may_install=0 ;;
    *) usage_error "unknown argument '$1'" ;;
    esac
    shift
done
case $preset in dev | asan | tsan) ;; *) usage_error "unknown preset '$preset': take dev, asan or tsan" ;; esac
for kind in $only; do
    grep -qw -- "$kind" <<<"$KINDS" || usage_error "unknown kind '$kind': take one of $KINDS"
done

wanted() { [ -z "$only" ] || grep -qw -- "$1" <<<"$only"; }

# report RESULT NAME SECONDS: one line a test, and the count.
report() {
    printf '%-8s %-56s %7s s\n' "$1" "$2" "$3"
    case $1 in
    passed) passed=$((passed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
}

finish() {
    local line="$passed passed, $failed failed"
    [ "$skipped" = 0 ] || line="$line, $skipped skipped"
    if [ $((passed + failed + skipped)) = 0 ]; then
        note "no test was run: nothing matches"
        failed=1
    fi
    say "$line"
    [ "$failed" = 0 ]
    exit
}

# Runs one command as a test: quiet when it passes, its output when not, the reason when skipped.
run_one() {
    local name=$1 log rc=0 started
    shift
    log=$(mktemp)
    started=$(now_ms)
    timeout -k 20 "$SCRIPT_LIMIT_S" "$@" </dev/null >"$log" 2>&1 || rc=$?
    case $rc in
    0) report passed "$name" "$(seconds_since "$started")" ;;
    77)
        report skipped "$name" "$(seconds_since "$started")"
        say "         $(tail -n 1 "$log")"
        ;;
    *)
        [ "$rc" != 124 ] || say "stopped after $SCRIPT_LIMIT_S s" >>"$log"
        report FAILED "$name" "$(seconds_since "$started")"
        tail -n 60 "$log" | sed 's/^/    | /'
        ;;
    esac
    rm -f "$log"
}

# The programs, through ctest; its lines are turned into ours.
run_programs() {
    local kinds=$1 dir=$ROOT/build/$preset log result name seconds
    log=$dir/ctest.log
    # Without address randomisation: gcc 12's thread sanitizer does not start under a newer kernel's layout.
    (cd "$dir" && setarch -R ctest -V --tests-regex "^($kinds)/.*$match" --no-tests=ignore </dev/null >"$log" 2>&1) ||
        true
    while read -r result name seconds; do
        report "$result" "$name" "$seconds"
        [ "$result" = passed ] || program_output "$log" "$name" "$result"
    done < <(sed -nE -e 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.* *Passed +([0-9.]+) sec$/passed \1 \2/p' \
        -e 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.*\*\*\*Skipped +([0-9.]+) sec$/skipped \1 \2/p' -e t \
        -e 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.*\*\*\*.* +([0-9.]+) sec$/FAILED \1 \2/p' "$log")
}

# What a program said, from ctest's log: the block after its own result line.
program_output() {
    local keep=60
    [ "$3" != skipped ] || keep=1
    awk -v name="$2" '
        /^ *Start +[0-9]+: / { number = $2 + 0; mine = $3 == name; next }
        mine && index($0, number ": ") == 1' "$1" | tail -n "$keep" | sed 's/^/    | /'
}

run_scripts() {
    local script name
    for script in "$ROOT"/tests/integration/*.sh; do
        [ -e "$script" ] || continue
        name=integration/$(basename "$script")
        [ -z "$match" ] || [[ $name == *"$match"* ]] || continue
        run_one "$name" bash "$script"
    done
}

# One function, so that bash has read all of this script before it runs for minutes.
main() {
    local needs missing kinds kind started
    needs=(build nfs-server integration)
    [ "$preset" = dev ] || needs+=(sanitizers)
    if wanted scripts && [ "$preset" = dev ]; then
        needs+=(uml local-volumes gluster)
    fi
    if [ "$may_install" = 1 ]; then
        install_for "${needs[@]}"
    else
        missing=$(missing_packages "${needs[@]}" | tr '\n' ' ')
        [ -z "$missing" ] || die "missing packages: $missing"
    fi
    if wanted layers && [ -z "$match" ]; then
        run_one layers bash "$ROOT/scripts/check-layers.sh"
    fi
    started=$(now_ms)
    if ! build "$preset"; then
        report FAILED "build ($preset)" "$(seconds_since "$started")"
        finish
    fi
    if wanted layers && [ -z "$match" ]; then
        run_one symbols bash "$ROOT/scripts/check-symbols.sh" "$ROOT/build/$preset"
    fi
    # Where scripts find the programs, and what the sanitizers should do with a finding: stop, loudly.
    export STOWAGE_BUILD_DIR=$ROOT/build/$preset
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:exitcode=99}
    export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$ROOT/tests/support/tsan.supp:halt_on_error=1:exitcode=99}
    kinds=""
    for kind in unit contract fault fuzz integration; do
        if wanted "$kind"; then
            kinds="$kinds${kinds:+|}$kind"
        fi
    done
    [ -z "$kinds" ] || run_programs "$kinds"
    if wanted scripts; then
        run_scripts
    fi
    finish
}
main
