#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tokens of service accounts, as a real kube-apiserver makes and reviews them: a store that asks it, and a sidecar that sends a pod's token.
# etcd and kube-apiserver run on loopback for the time of the test; they are those of the test cluster.
#
# usage: tests/integration/token-review.sh
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar-remote" ] || build dev
KUBE=""
for dir in "${XDG_CACHE_HOME:-$HOME/.cache}"/stowage/k8s-*/bin; do
    [ ! -x "$dir/kube-apiserver" ] || [ ! -x "$dir/etcd" ] || KUBE=$dir
done
[ -n "$KUBE" ] || skip "there is no kube-apiserver yet: tests/e2e/cluster.sh up builds one"
for tool in openssl curl python3; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done

WORK=$(mktemp -d)
declare -A PID
failed=0 passed=0
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    local name
    for name in "${!PID[@]}"; do stop_pid "${PID[$name]}" 10; done
    rm -rf "$WORK"
}
trap clean_up EXIT
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
run() { # run NAME COMMAND…: in the background
    local name=$1
    shift
    "$@" >"$WORK/$name.log" 2>&1 &
    PID[$name]=$!
}
check() { # check WHAT GOT WANTED
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "FAILED $1: got '$2', wanted '$3'"
    fi
}

# --- the control plane ----------------------------------------------------------------------------------------------

ETCD_PORT=$(free_port) PEER_PORT=$(free_port) API_PORT=$(free_port)
API=https://127.0.0.1:$API_PORT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=api -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$WORK/api.key" -out "$WORK/api.crt" 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/accounts.key" 2>/dev/null
openssl ec -in "$WORK/accounts.key" -pubout -out "$WORK/accounts.pub" 2>/dev/null
printf 'admin-token,admin,1,system:masters\nstore-token,store,2\n' >"$WORK/users.csv"
printf 'store-token' >"$WORK/store-token"
run etcd "$KUBE/etcd" --data-dir "$WORK/etcd" --unsafe-no-fsync --log-level warn --name e \
    --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
    --listen-peer-urls "http://127.0.0.1:$PEER_PORT" --initial-advertise-peer-urls "http://127.0.0.1:$PEER_PORT" \
    --initial-cluster "e=http://127.0.0.1:$PEER_PORT"
start_api() {
    run api "$KUBE/kube-apiserver" --etcd-servers "http://127.0.0.1:$ETCD_PORT" --bind-address 127.0.0.1 --secure-port "$API_PORT" \
        --advertise-address 127.0.0.1 --endpoint-reconciler-type none --service-cluster-ip-range 10.111.0.0/24 \
        --authorization-mode RBAC --token-auth-file "$WORK/users.csv" --tls-cert-file "$WORK/api.crt" --tls-private-key-file "$WORK/api.key" \
        --cert-dir "$WORK" --service-account-issuer https://issuer.test --service-account-key-file "$WORK/accounts.pub" \
        --service-account-signing-key-file "$WORK/accounts.key"
    wait_until 90 api GET /readyz || { tail -n 5 "$WORK/api.log" >&2 && die "kube-apiserver does not answer"; }
}
api() { # api METHOD PATH [JSON]
    curl -fsS --cacert "$WORK/api.crt" -X "$1" -H 'Authorization: Bearer admin-token' -H 'Content-Type: application/json' ${3:+-d "$3"} \
        "$API$2" 2>>"$WORK/curl.log"
}
account() { # account NAMESPACE NAME
    api POST "/api/v1/namespaces/$1/serviceaccounts" "{\"metadata\":{\"name\":\"$2\"}}" >/dev/null
}
token_of() { # token_of NAMESPACE NAME AUDIENCE
    api POST "/api/v1/namespaces/$1/serviceaccounts/$2/token" \
        "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":{\"audiences\":[\"$3\"]}}" |
        python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["status"]["token"])'
}

start_api
for ns in team-a team-b system; do api POST /api/v1/namespaces "{\"metadata\":{\"name\":\"$ns\"}}" >/dev/null; done
account team-a builder
account team-a reader
account team-b builder
account system operator
api POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings '{"metadata":{"name":"store"},
    "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:auth-delegator"},
    "subjects":[{"kind":"User","name":"store","apiGroup":"rbac.authorization.k8s.io"}]}' >/dev/null
token_of team-a builder stowage-store >"$WORK/a"
token_of team-a reader stowage-store >"$WORK/reader"
token_of team-b builder stowage-store >"$WORK/b"
token_of system operator stowage-store >"$WORK/operator"
token_of team-a builder https://issuer.test >"$WORK/other-audience"

# --- the store and a sidecar ------------------------------------------------------------------------------------------

serve() { # serve NAME FLAG…: a stowage-sidecar; sets $port
    local name=$1
    shift
    run "$name" "$BUILD/bin/stowage-sidecar" --listen 127.0.0.1:0 --log-format json "$@"
    wait_until 20 grep -q '"event":"started"' "$WORK/$name.log" || { tail "$WORK/$name.log" >&2 && die "$name did not start"; }
    port=$(sed -n 's/.*"event":"started".*"port":\([0-9]*\).*/\1/p' "$WORK/$name.log")
}
status() { # status METHOD PORT PATH [TOKEN-FILE] [BODY]
    curl -sS -o "$WORK/body" -w '%{http_code}' -X "$1" ${4:+-H "Authorization: Bearer $(cat "$WORK/$4")"} ${5:+-d "$5"} "http://127.0.0.1:$2$3"
}
serve store --data-dir "$WORK/data" --token-review "$API" --token-review-token "$WORK/store-token" --token-review-ca "$WORK/api.crt" \
    --service-account team-a/reader=read --service-account system/operator=all --quota team-b:namespaces=1
store=$port
serve sidecar --engine remote --store-url "http://127.0.0.1:$store" --token-file "$WORK/a" --write-sdk-files "$WORK/sdk"
sidecar=$port

check "a pod makes a namespace" "$(status POST "$sidecar" /api/v1/kv/namespaces/n)" 201
check "and writes" "$(status PUT "$sidecar" /api/v1/kv/namespaces/n/values/k "" v)" 200
check "its workspace is its namespace" "$(status GET "$store" /api/v2/workspaces/team-a/kv/namespaces/n/values/k a)" 200
check "which the SDK is told" "$(grep -c "id: 'team-a'" "$WORK/sdk/workspace_info.yaml")" 1
check "another pod does not see it" "$(status GET "$store" /api/v1/kv/namespaces/n/values/k b)" 404
check "nor may it ask for it" "$(status GET "$store" /api/v2/workspaces/team-a/kv/namespaces/n/values/k b)" 403
check "a reader reads" "$(status GET "$store" /api/v1/kv/namespaces/n/values/k reader)" 200
check "and writes nothing" "$(status PUT "$store" /api/v1/kv/namespaces/n/values/k reader v)" 403
check "an operator reads everywhere" "$(status GET "$store" /api/v2/workspaces/team-a/kv/namespaces/n/values/k operator)" 200
check "and writes" "$(status POST "$store" /api/v2/workspaces/team-b/kv/namespaces/made operator)" 201
check "whoever is there sees it" "$(status GET "$store" /api/v1/kv/namespaces/made b)" 200
check "a workspace that no pod has used yet has its quota" "$(status POST "$store" /api/v2/workspaces/team-b/kv/namespaces/more operator)" 507
check "what is no name is none" "$(status GET "$store" /api/v2/workspaces/Team_B/kv/namespaces operator)" 400
check "its own is its namespace" "$(status GET "$store" /api/v1/kv/namespaces/made operator)" 404
check "a token for something else is not taken" "$(status GET "$store" /api/v1/kv/namespaces other-audience)" 401
printf '%sx' "$(cat "$WORK/a")" >"$WORK/forged"
check "nor a forged one" "$(status GET "$store" /api/v1/kv/namespaces forged)" 401
printf 'abc.def.ghi' >"$WORK/nonsense"
check "nor nonsense" "$(status GET "$store" /api/v1/kv/namespaces nonsense)" 401
token_of team-b builder stowage-store >"$WORK/late"
stop_pid "${PID[api]}" 20
unset 'PID[api]'
check "without the API server who is known goes on" "$(status GET "$sidecar" /api/v1/kv/namespaces/n/values/k)" 200
check "who is not waits" "$(status GET "$store" /api/v1/kv/namespaces late)" 503
start_api
check "until it is back" "$(status GET "$store" /api/v1/kv/namespaces late)" 200
check "no token is in a log" "$(grep -lFf <(cut -c 1-200 "$WORK/a" "$WORK/b" "$WORK/late" "$WORK/store-token") "$WORK/store.log" "$WORK/sidecar.log" || true)" ""

say "$passed passed, $failed failed"
[ "$failed" = 0 ]
