#!/usr/bin/env bash
# Lepton's own client, unmodified from PyPI, against stowage-sidecar: leptonai.KV, Queue, PrivateObjectStore and
# PublicObjectStore, and the commands lep kv, queue, objectstore, storage, login and workspace, every one with its result
# checked. Before it, and without PyPI alone, the golden cases of that client's requests, told apart on the wire.
# Ends with "N passed, N failed, N skipped".
#
# usage: tests/sanity/lepton.sh [--golden] [--sidecar] [VERSION...]
#   --golden   only the golden cases
#   --sidecar  through a stowage-sidecar --engine remote, which has written the SDK's files, in place of the store itself
#   VERSION    of leptonai; default: 0.26.0 and 0.27.3
#
# Clients are kept in ~/.cache/stowage. Exits 77 when PyPI cannot be had, after the golden cases passed.
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

golden_only=0 through=()
versions=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        show_help
        exit 0
        ;;
    --golden) golden_only=1 ;;
    --sidecar) through=(sidecar) ;;
    [0-9]*) versions+=("$1") ;;
    *)
        note "unknown argument '$1'"
        show_help >&2
        exit 2
        ;;
    esac
    shift
done
[ ${#versions[@]} -gt 0 ] || versions=(0.26.0 0.27.3)

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar" ] || build dev
WORK=$(mktemp -d)
server="" sidecars=()
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    for pid in "${sidecars[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$WORK"
}
trap clean_up EXIT

cat >"$WORK/tokens" <<'END'
lepton-write-token-0001 ws1 write
lepton-read-token-00002 ws1 read
lepton-other-token-0003 ws2 write
lepton-client-token-9 lep write
lepton-expired-token-04 ws1 write 1000000000
END
chmod 600 "$WORK/tokens"
mkdir "$WORK/outside" "$WORK/share"
echo classified >"$WORK/outside/secret"
ln -s "$WORK/outside" "$WORK/share/way-out"
ln -s ../outside/secret "$WORK/share/way-up"

# start NAME FLAG…: a stowage-sidecar; sets $started and $port
start() {
    local log=$WORK/$1.log
    shift
    : >"$log" # there before the server writes it
    "$BUILD/bin/stowage-sidecar" --listen 127.0.0.1:0 --log-format json "$@" 2>"$log" &
    started=$!
    port=""
    for _ in $(seq 100); do
        port=$(sed -n 's/.*"event":"started".*"port":\([0-9]*\).*/\1/p' "$log")
        [ -z "$port" ] || break
        kill -0 "$started" 2>/dev/null || break
        sleep 0.1
    done
    if [ -z "$port" ]; then
        cat "$log" >&2
        die "stowage-sidecar did not start"
    fi
}

# beside NAME TOKEN: a sidecar for the token's workspace, in front of the store
beside() {
    printf '%s' "$2" >"$WORK/token-$1"
    start "$1" --engine remote --store-url "http://127.0.0.1:$store_port" --token-file "$WORK/token-$1" \
        --workspace "$1" --write-sdk-files "$WORK/home-$1"
    sidecars+=("$started")
}

start store --data-dir "$WORK/data" --tokens "$WORK/tokens" --file-system "ws1/default=$WORK/share"
server=$started store_port=$port client_port=$port
if [ ${#through[@]} -gt 0 ]; then
    beside lep lepton-client-token-9
    client_port=$port
    beside ws1 lepton-write-token-0001
fi

passed=0 failed=0 skipped=0
# run_checks NAME COMMAND…: each line "ok WHAT" or "FAILED WHAT" of its output is a check
run_checks() {
    local name=$1 rc=0
    shift
    say "== $name"
    "$@" >"$WORK/checks" 2>&1 || rc=$?
    cat "$WORK/checks"
    passed=$((passed + $(grep -c '^ok ' "$WORK/checks" || true)))
    failed=$((failed + $(grep -c '^FAILED ' "$WORK/checks" || true)))
    if [ "$rc" != 0 ] && ! grep -q '^FAILED ' "$WORK/checks"; then
        say "FAILED $name ended with $rc"
        failed=$((failed + 1))
    fi
}

run_checks "golden cases" timeout 120 python3 "$ROOT/tests/sanity/lepton/golden.py" "$port" "${through[@]}"

missing=""
[ "$golden_only" = 1 ] && versions=()
for version in "${versions[@]}"; do
    venv=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/lepton-$version
    if [ ! -e "$venv/.complete" ]; then
        mkdir -p "$(dirname "$venv")"
        if ! python3 -m venv "$venv" >"$WORK/pip" 2>&1 ||
            ! "$venv/bin/pip" install -q "leptonai==$version" >>"$WORK/pip" 2>&1; then
            missing="leptonai $version cannot be installed: $(tail -n 1 "$WORK/pip")"
            say "skipped: $missing"
            skipped=$((skipped + 1))
            continue
        fi
        touch "$venv/.complete"
    fi
    home=$WORK/home-$version
    [ ${#through[@]} = 0 ] || cp -r "$WORK/home-lep" "$home"
    run_checks "leptonai $version" timeout 600 "$venv/bin/python" "$ROOT/tests/sanity/lepton/client.py" "$client_port" \
        "$home" "${through[@]}"
done

for pid in "${sidecars[@]}"; do
    code=0
    kill "$pid"
    wait "$pid" || code=$?
    [ "$code" = 0 ] || say "FAILED a sidecar's end: exit $code"
    failed=$((failed + (code != 0)))
done
sidecars=()
code=0
kill "$server"
wait "$server" || code=$?
server=""
if [ "$code" = 0 ]; then
    passed=$((passed + 1))
else
    say "FAILED the server's end: exit $code"
    failed=$((failed + 1))
fi

say "$passed passed, $failed failed, $skipped skipped"
if [ "$failed" != 0 ]; then
    tail -n 20 "$WORK"/*.log >&2
    exit 1
fi
[ -z "$missing" ] || skip "$missing"
