#!/usr/bin/env bash
# stowage-sidecar as a process: with no configuration, through a kill -9 and a graceful stop, with tokens that change, a backup
# and its restore, and refusals at the start. Ends with "N passed, N failed".
#
# usage: tests/integration/store.sh
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
command -v curl >/dev/null || skip "curl is not installed"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
SIDECAR=$BUILD/bin/stowage-sidecar
[ -x "$SIDECAR" ] || build dev
WORK=$(mktemp -d)
DATA=$WORK/data
server="" port="" token=""
passed=0 failed=0
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$WORK"
}
trap clean_up EXIT

check() { # check WHAT GOT WANTED
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "FAILED $1: got '${2:0:300}', wanted '$3'"
    fi
}
holds() { # holds WHAT TEXT PART
    case $2 in
    *"$3"*) passed=$((passed + 1)) ;;
    *)
        failed=$((failed + 1))
        say "FAILED $1: '$3' is not in '${2:0:300}'"
        ;;
    esac
}

start() {
    : >"$WORK/log"
    "$SIDECAR" --data-dir "$DATA" --listen 127.0.0.1:0 --log-format json "$@" 2>"$WORK/log" &
    server=$!
    port=""
    for _ in $(seq 100); do
        port=$(sed -n 's/.*"event":"started".*"port":\([0-9]*\).*/\1/p' "$WORK/log")
        [ -z "$port" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$WORK/log" >&2
    die "stowage-sidecar did not start"
}
stop() { # stop SIGNAL: sets $code
    code=0
    kill "-$1" "$server"
    wait "$server" 2>/dev/null || code=$?
    server=""
}
ask() { # ask METHOD PATH [CURL-ARGUMENT…]: sets $status and $body
    local method=$1 path=$2
    shift 2
    status=$(curl -s -o "$WORK/body" -w '%{http_code}' -m 30 -X "$method" -H "Authorization: Bearer $token" "$@" \
        "http://127.0.0.1:$port$path" || true)
    body=$(tr -d '\0' <"$WORK/body")
}

# --- with no configuration ---------------------------------------------------------------------------------------------
start
check "the token is the owner's alone" "$(stat -c %a "$DATA/token")" 600
check "so is the key of links" "$(stat -c %a "$DATA/signing-key")" 600
check "and the folder" "$(stat -c %a "$DATA")" 700
token=$(cut -d' ' -f1 "$DATA/token")
holds "the log does not tell the token" "x$(grep -c "$token" "$WORK/log" || true)" x0
ask GET /readyz
check "ready" "$status" 200
ask POST /api/v1/kv/namespaces/n
check "a namespace" "$status" 201
ask POST /api/v1/queue -d '{"name":"q"}'
check "a queue" "$status" 201

# --- what was acknowledged is there after kill -9 -------------------------------------------------------------------------
head -c 300000 /dev/urandom >"$WORK/object"
acknowledged=0
for round in 1 2 3; do
    for n in $(seq 20); do
        ask PUT "/api/v1/kv/namespaces/n/values/k$round-$n" -d "v$round-$n"
        [ "$status" != 200 ] || acknowledged=$((acknowledged + 1))
    done
    ask POST /api/v1/queue/q/messages -d "{\"message\":\"m$round\"}"
    check "round $round: a message" "$status" 200
    ask PUT "/api/v1/objects/private/o$round" -T "$WORK/object"
    check "round $round: an object" "$status" 200
    stop KILL
    check "round $round: killed" "$code" 137
    start
    ask GET "/api/v1/kv/namespaces/n/values/k$round-20"
    check "round $round: the last key" "$body" "v$round-20"
    ask GET "/api/v1/objects/private/o$round"
    check "round $round: the object" "$(sha256sum <"$WORK/body")" "$(sha256sum <"$WORK/object")"
    ask POST /api/v1/queue/q/messages -d "{\"message\":\"m$round\"}"
    holds "round $round: the same message again is known" "$body" '"duplicate":true'
done
check "every write was acknowledged" "$acknowledged" 60
ask GET "/api/v1/kv/namespaces/n/keys"
check "and is there" "$(grep -o '"k[0-9]*-[0-9]*"' <<<"$body" | wc -l)" 60
for round in 1 2 3; do
    ask GET /api/v1/queue/q/messages
    holds "the messages are in order" "$body" "\"message\":\"m$round\""
done

# --- a backup while it runs ------------------------------------------------------------------------------------------------
ask POST /admin/backup/first
check "a backup is not for everybody" "$status" 401
token=$(cut -d' ' -f1 "$DATA/admin-token")
ask POST /admin/backup/../../elsewhere --path-as-is
check "nor for any place" "$status" 404
ask POST /admin/backup/first
check "the administrator makes one" "$status" 201
ask POST /admin/backup/first
holds "but not over another" "$status" 4
token=$(cut -d' ' -f1 "$DATA/token")
ask PUT /api/v1/kv/namespaces/n/values/later -d later

# --- a graceful stop ends what waits, and breaks nothing off -------------------------------------------------------------
curl -sv -m 60 -o "$WORK/waited" -w '%{http_code}' -H "Authorization: Bearer $token" \
    "http://127.0.0.1:$port/api/v1/queue/q/messages?wait=50" >"$WORK/waited-status" 2>"$WORK/waited-log" &
waiting=$!
for _ in $(seq 100); do
    ! grep -q '^> GET' "$WORK/waited-log" || break
    sleep 0.1
done
for _ in $(seq 100); do
    ask GET /metrics # itself, and the one that waits
    ! grep -q '^stowage_http_requests_in_flight.* 2$' "$WORK/body" || break
    sleep 0.1
done
holds "one waits for a message" "$body" "stowage_http_requests_in_flight"
stop TERM
check "a stop is a success" "$code" 0
wait "$waiting" || true
check "who waited for a message has an answer" "$(cat "$WORK/waited-status")" 200

# --- restored elsewhere -------------------------------------------------------------------------------------------------------
code=0
"$SIDECAR" --data-dir "$WORK/restored" --restore "$DATA/backups/first" >"$WORK/log" 2>&1 || code=$?
check "restoring" "$code" 0
code=0
"$SIDECAR" --data-dir "$WORK/restored" --restore "$DATA/backups/first" >"$WORK/log" 2>&1 || code=$?
check "not over what is there" "$code" 1
DATA=$WORK/restored
cat >"$WORK/tokens" <<'END'
first-token-of-default default write
END
start --tokens "$WORK/tokens" --quota default:namespaces=2
token=first-token-of-default
ask GET /api/v1/objects/private/o2
check "the object is in the backup" "$(sha256sum <"$WORK/body")" "$(sha256sum <"$WORK/object")"
ask GET /api/v1/kv/namespaces/n/values/k3-20
check "the key, too" "$body" v3-20
ask GET /api/v1/kv/namespaces/n/values/later
check "what came later is not" "$status" 404

# --- quotas -------------------------------------------------------------------------------------------------------------------
ask POST /api/v1/kv/namespaces/second
check "within the quota" "$status" 201
ask POST /api/v1/kv/namespaces/third
check "over it" "$status" 507
holds "the limit is told" "$body" 2

# --- tokens that change -----------------------------------------------------------------------------------------------------
echo "second-token-of-default default write" >"$WORK/tokens"
kill -HUP "$server"
for _ in $(seq 100); do
    ask GET /api/v1/kv/namespaces
    [ "$status" != 401 ] || break
    sleep 0.1
done
check "a token that was taken away" "$status" 401
token=second-token-of-default
ask GET /api/v1/kv/namespaces
check "the new one" "$status" 200
echo "broken" >"$WORK/tokens"
kill -HUP "$server"
for _ in $(seq 100); do
    ! grep -q "the old ones count" "$WORK/log" || break
    sleep 0.1
done
ask GET /api/v1/kv/namespaces
check "a broken file changes nothing" "$status" 200
holds "and is told of, without the token" "$(cat "$WORK/log")" "tokens, line 1"

printf '%s\n' "token-of-two-one one write" "token-of-two-two two write" >"$WORK/tokens-of-two"

# --- one store, one process ---------------------------------------------------------------------------------------------------
code=0
"$SIDECAR" --data-dir "$DATA" --listen 127.0.0.1:0 >"$WORK/second" 2>&1 || code=$?
check "a second process is refused" "$code" 1
stop TERM
check "stopped" "$code" 0

# --- a socket, and links for others ------------------------------------------------------------------------------------------------
start --tokens "$WORK/tokens-of-two" --listen "unix:$WORK/socket" --public-url http://store.example:9999
token="token-of-two-one"
status=$(curl -s -o /dev/null -w '%{http_code}' -m 10 --unix-socket "$WORK/socket" -H "Authorization: Bearer $token" \
    http://any/api/v1/workspace)
check "by socket" "$status" 200
url=$(curl -s -m 10 -X PUT -H "Authorization: Bearer $token" \
    "http://127.0.0.1:$port/api/v1/object_storage/private_presigned/k" | sed 's/.*"url":"\([^"]*\)".*/\1/')
holds "a link for others" "$url" "http://store.example:9999/api/v2/workspaces/one/objects/private/k?"
status=$(curl -s -o /dev/null -w '%{http_code}' -m 10 --connect-to "store.example:9999:127.0.0.1:$port" -T "$WORK/object" "$url")
check "takes the object" "$status" 200
ask GET /api/v1/objects/private/k
check "whole" "$(sha256sum <"$WORK/body")" "$(sha256sum <"$WORK/object")"
token="token-of-two-two"
ask GET /api/v1/objects/private/k
check "in one workspace only" "$status" 404
stop TERM
check "stopped again" "$code" 0

# --- refusals at the start ------------------------------------------------------------------------------------------------------
refused() { # refused WHAT PART ARGUMENT…
    local what=$1 part=$2 rc=0
    shift 2
    timeout 20 "$SIDECAR" --data-dir "$WORK/none" "$@" >"$WORK/refused" 2>&1 || rc=$?
    check "$what: refused" "$rc" 1
    holds "$what: why" "$(cat "$WORK/refused")" "$part"
}
refused "beyond this machine" "--allow-remote" --listen 0.0.0.0:0
refused "all addresses" "--allow-remote" --listen :0
refused "a certificate without key" "--tls-key" --tls-cert "$WORK/log"
refused "an unknown flag" "unknown flag" --nonsense
refused "a quota that is none" "known are namespaces" --quota "keys=1"
refused "a public URL with a path" "without a path" --public-url "https://example.com/x"
refused "a file system of nobody" "WORKSPACE/NAME" --tokens "$WORK/tokens-of-two" --file-system "x=$WORK" --listen 127.0.0.1:0
refused "no tokens" "$WORK/nowhere" --tokens "$WORK/nowhere" --listen 127.0.0.1:0
refused "a file system that is none" "$WORK/nowhere" --file-system "x=$WORK/nowhere" --listen 127.0.0.1:0

say "$passed passed, $failed failed"
[ "$failed" = 0 ]
