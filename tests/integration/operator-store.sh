#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# KeyValue, Queue and Bucket on a real API server and a real store, with the roles that the chart gives the operator and by its own token:
# seeds, settings and numbers; other namespaces' pods are kept out; the store away and back; deletion with and without it; many at once.
#
# usage: tests/integration/operator-store.sh
# STOWAGE_MANY: objects of each kind in the last part (default 20); their time to Ready and the operator's memory are printed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/kube-kit.sh
. "$ROOT/tests/support/kube-kit.sh"

MANY=${STOWAGE_MANY:-20}
kube_start
chart_apply
operator_config
for ns in team-a team-b; do
    kubectl create namespace "$ns" >/dev/null
    wait_until 60 kubectl -n "$ns" get serviceaccount default -o name >/dev/null || die "namespace $ns has no account"
done

# --- the store, and who speaks to it ------------------------------------------------------------------------------------
store_accounts
with_store=("${WITH_STORE[@]}" --store-patience=15)
# ask NAMESPACE METHOD PATH [CURL-ARGUMENT…]: as a pod of that namespace; prints the answer and " STATUS"
ask() {
    local ns=$1 method=$2 path=$3
    shift 3
    [ -s "$work/pod-$ns" ] || kubectl -n "$ns" create token default --audience stowage-store --duration 2h >"$work/pod-$ns"
    in_net curl -sS -X "$method" -w ' %{http_code}' -H "Authorization: Bearer $(cat "$work/pod-$ns")" "$@" "http://127.0.0.1:3500/api/v1$path"
}
# object KIND NAMESPACE NAME SPEC: in flow style
object() { printf '{apiVersion: stowage.dev/v1alpha1, kind: %s, metadata: {name: %s, namespace: %s}, spec: {%s}}\n---\n' "$1" "$3" "$2" "$4"; }
apply() { kubectl apply -f - >/dev/null; }
# In namespace team-a, as of kube-kit.
condition() { kubectl -n team-a get "$1" -o json | jq -r --arg type "$2" '.status.conditions[]? | select(.type == $type) | .status + " " + .reason'; }
message_of() { kubectl -n team-a get "$1" -o json | jq -r --arg type "$2" '.status.conditions[]? | select(.type == $type) | .message'; }
gone() { ! kubectl -n team-a get "$1" >/dev/null 2>&1; }
status_is() { [ "$(kubectl -n team-a get "$1" -o json | jq -c "$2")" = "$3" ]; }
expect_status() { wait_until "${4:-60}" status_is "$1" "$2" "$3" || die "$1: $2 is not $3: $(kubectl -n team-a get "$1" -o yaml)"; }
has_event() { kubectl -n team-a get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={.items[*].message}' | grep -q .; }

# --- without a store ----------------------------------------------------------------------------------------------------
operator_start a
object KeyValue team-a settings 'data: {rate: "0.001", "a b/ü": x}, binaryData: {blob: AAEC}' | apply
expect_condition keyvalue/settings Ready "False NoStore"
expect "finalizers" "$(kubectl -n team-a get keyvalue settings -o 'jsonpath={.metadata.finalizers}')" ""
operator_stop a TERM
ok "without a store an object says so, and can be deleted"

# --- KeyValue -----------------------------------------------------------------------------------------------------------
store_start
operator_start a "${with_store[@]}"
expect_condition keyvalue/settings Ready "True NamespaceReady"
expect "a seed" "$(ask team-a GET /kv/namespaces/settings/values/rate)" "0.001 200"
expect "a seed with an odd key" "$(ask team-a GET /kv/namespaces/settings/values/a%20b/%C3%BC)" "x 200"
expect "a binary seed" "$(ask team-a GET /kv/namespaces/settings/values/blob | od -An -c | tr -d ' ')" '\0001002200'
expect "keys" "$(kubectl -n team-a get keyvalue settings -o 'jsonpath={.status.keys}')" 3
expect "what another namespace sees" "$(ask team-b GET /kv/namespaces/settings/values/rate | tail -c 3)" 404
expect "and may ask" "$(in_net curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $(cat "$work/pod-team-b")" \
    http://127.0.0.1:3500/api/v2/workspaces/team-a/kv/namespaces/settings/values/rate)" 403
ask team-a PUT /kv/namespaces/settings/values/rate -d 0.5 >/dev/null
kubectl -n team-a patch keyvalue settings --type merge -p '{"spec":{"data":{"a b/ü":"y","more":"z"}}}' >/dev/null
seeded() { [ "$(ask team-a GET /kv/namespaces/settings/values/more)" = "z 200" ] && [ "$(ask team-a GET /kv/namespaces/settings/values/a%20b/%C3%BC)" = "y 200" ]; }
wait_until 30 seeded || die "a change of the object is not written"
expect "what the application wrote" "$(ask team-a GET /kv/namespaces/settings/values/rate)" "0.5 200"
operator_stop a TERM
operator_start a "${with_store[@]}"
expect_status keyvalue/settings .status.keys 4
expect "what the application wrote, after a restart of the operator" "$(ask team-a GET /kv/namespaces/settings/values/rate)" "0.5 200"
ask team-a DELETE /kv/namespaces/settings >/dev/null
again() { [ "$(ask team-a GET /kv/namespaces/settings/values/rate)" = "0.001 200" ]; }
wait_until 90 again || die "a namespace that somebody removed does not come back"
ok "KeyValue: seeds are written once, again when they are changed in the object or the namespace was removed; pods' values stay"

nul='{"apiVersion": "stowage.dev/v1alpha1", "kind": "KeyValue", "metadata": {"name": "nul", "namespace": "team-a", "annotations": {"x": "a\u0000b"}}, "spec": {"data": {"k": "a\u0000b"}}}'
kubectl create -f - >/dev/null <<<"$nul"
expect_condition keyvalue/nul Ready "True NamespaceReady"
expect "a value with a NUL" "$(ask team-a GET /kv/namespaces/nul/values/k | od -An -c | tr -d ' ')" 'a\0b200'
if said=$(kubectl create --dry-run=server -f - 2>&1 <<<"${nul/\"k\"/\"k\\u0000\"}"); then die "a key with a NUL is taken"; fi
grep -q "1 to 32768 bytes" <<<"$said" || die "refused without the remedy: $said"
ok "texts with a NUL harm nobody"

# --- Queue --------------------------------------------------------------------------------------------------------------
object Queue team-a jobs 'dedupWindowSeconds: 60, visibilitySeconds: 90, deadLetter: {queue: dead, maxReceives: 3}' | apply
expect_condition queue/jobs Ready "False DeadLetterMissing"
object Queue team-a dead 'visibilitySeconds: 30' | apply
expect_condition queue/jobs Ready "True QueueReady"
expect "the queue's settings" "$(ask team-a GET /queue/jobs | sed 's/ 200$//' | jq -c '[.dedup_ms, .visibility_ms, .max_receives, .dead_letter]')" '[60000,90000,3,"dead"]'
ask team-a POST /queue/jobs/messages -H 'Content-Type: application/json' -d '{"message":"one"}' >/dev/null
expect_status queue/jobs '[.status.length, .status.oldestAge]' '[1,"<1m"]' 90
kubectl -n team-a patch queue jobs --type merge -p '{"spec":{"visibilitySeconds":120,"deadLetter":null}}' >/dev/null
changed() { [ "$(ask team-a GET /queue/jobs | sed 's/ 200$//' | jq -c '[.visibility_ms, .dead_letter, .length]')" = '[120000,"",1]' ]; }
wait_until 30 changed || die "settings are not changed: $(ask team-a GET /queue/jobs)"
ok "Queue: settings as the object says, its messages stay"

# --- Bucket -------------------------------------------------------------------------------------------------------------
object Bucket team-a models 'access: Private, deletionPolicy: Delete' | apply
object Bucket team-a site 'access: Public' | apply
expect_condition bucket/models Ready "True BucketReady"
for i in 1 2 3; do ask team-a PUT "/objects/private/models/v$i/weights" -d 12345 >/dev/null; done
ask team-a PUT /objects/private/other -d 1 >/dev/null
expect_status bucket/models '[.status.objects, .status.bytes, .status.url]' '[3,15,"http://127.0.0.1:3500/api/v2/workspaces/team-a/objects/private/models/"]' 90
ask team-a PUT /objects/public/site/index.html -d hello >/dev/null
expect_condition bucket/site Ready "True BucketReady"
expect "its URL, without a token" "$(in_net curl -sS "$(kubectl -n team-a get bucket site -o 'jsonpath={.status.url}')index.html")" hello
ok "Bucket: counts what is below its name, and tells where that is"

# --- the store is away ----------------------------------------------------------------------------------------------------
store_stop
for one in keyvalue/settings queue/jobs bucket/models; do expect_condition "$one" Ready "False StoreUnreachable" 90; done
grep -q "goes on by itself" <<<"$(message_of queue/jobs Ready)" || die "the remedy is missing: $(message_of queue/jobs Ready)"
wait_until 30 has_event jobs StoreUnreachable || die "no Event tells that the store is away"
kubectl -n team-a delete keyvalue nul --wait=false >/dev/null
store_start
for one in "keyvalue/settings NamespaceReady" "queue/jobs QueueReady" "bucket/models BucketReady"; do expect_condition "${one% *}" Ready "True ${one#* }" 90; done
wait_until 60 gone keyvalue/nul || die "a deletion that waited for the store does not go on"
ok "store away: told, and it goes on by itself"

# --- deletion -------------------------------------------------------------------------------------------------------------
kubectl -n team-a delete queue/jobs bucket/models bucket/site --timeout 60s >/dev/null
expect "a queue that was deleted" "$(ask team-a GET /queue/jobs | tail -c 3)" 404
expect "objects of a bucket that was deleted" "$(ask team-a GET '/objects/private' | sed 's/ 200$//' | jq -c '[.items[].key]')" '["other"]'
expect "objects of one that keeps them" "$(ask team-a GET /objects/public/site/index.html)" "hello 200"
kubectl -n team-a patch keyvalue settings --type merge -p '{"spec":{"deletionPolicy":"Retain"}}' >/dev/null
kubectl -n team-a delete keyvalue settings --timeout 60s >/dev/null
expect "keys that are kept" "$(ask team-a GET /kv/namespaces/settings/values/more)" "z 200"
store_stop
kubectl -n team-a delete queue dead --wait=false >/dev/null
expect_condition queue/dead Ready "False StoreUnreachable" 60
wait_until 90 gone queue/dead || die "a store that is gone keeps an object: $(kubectl -n team-a get queue dead -o yaml)"
wait_until 30 has_event dead LeftInStore || die "no Event tells what stays behind"
ok "deletion: Delete and Retain; a store that is gone keeps nothing for ever"

# --- many -----------------------------------------------------------------------------------------------------------------
store_start
object KeyValue team-a there 'deletionPolicy: Retain' | apply
expect_condition keyvalue/there Ready "True NamespaceReady"
operator_stop a TERM
for i in $(seq "$MANY"); do
    object KeyValue team-b "kv-$i" "data: {a: \"$i\", b: text}"
    object Queue team-b "mq-$i" 'visibilitySeconds: 60'
    object Bucket team-b "bkt-$i" 'access: Private'
done >"$work/many.yaml"
kubectl apply -f "$work/many.yaml" >/dev/null
operator_start a "${with_store[@]}"
begun=$(date +%s%N)
all_ready() { [ "$(kubectl -n team-b get keyvalues,queues,buckets -o json | jq '[.items[] | select(.status.conditions[]? | .type == "Ready" and .status == "True")] | length')" = $((3 * MANY)) ]; }
wait_until 300 all_ready || die "not all are Ready: $(kubectl -n team-b get keyvalues,queues,buckets | grep -v True | head -n 5)"
ended=$(date +%s%N)
memory() { awk '/^(VmHWM|VmRSS|RssAnon)/ {printf "%s %.1f MiB  ", $1, $2 / 1024}' "/proc/${operator_pid[a]}/status"; }
ticks() { awk '{print $14 + $15}' "/proc/${operator_pid[a]}/stat"; }
version_now() { kubectl get --raw '/apis/stowage.dev/v1alpha1/keyvalues?limit=1' | jq -r .metadata.resourceVersion; }
requests() { in_net curl -sS http://127.0.0.1:3500/metrics | awk '/^stowage_http_request_seconds_count/ {n += $2} END {printf "%d", n}'; }
say "  $((3 * MANY)) objects that were there before it: all Ready $(((ended - begun) / 1000000)) ms after the operator began, which has $(memory)"
operator_stop a TERM
operator_start a "${with_store[@]}" --http=127.0.0.1:9810
begun=$(date +%s%N)
idle() { in_net curl -sS http://127.0.0.1:9810/metrics | grep -q "^stowage_operator_leader 1" && [ "$(looked)" -ge $((3 * MANY)) ]; }
looked() { in_net curl -sS http://127.0.0.1:9810/metrics | awk '/^stowage_operator_reconciles_total/ {n += $2} END {printf "%d", n}'; }
wait_until 120 idle || die "a new operator does not look at all: $(looked)"
say "  a new operator has looked at all $(((($(date +%s%N)) - begun) / 1000000)) ms after its start: $(memory)"
if [ "$MANY" -ge 1000 ]; then
    before=$(requests) cpu=$(ticks) version=$(version_now)
    sleep 60
    say "  in a minute of nothing: $(($(requests) - before)) requests to the store, $(($(ticks) - cpu)) ticks of CPU (100 a second), resourceVersion $version to $(version_now) (of which Leases and health make some); $(memory)"
fi
kubectl -n team-b delete keyvalues,queues,buckets --all --wait=false >/dev/null
none_left() { [ -z "$(kubectl -n team-b get keyvalues,queues,buckets -o name)" ]; }
wait_until 300 none_left || die "left: $(kubectl -n team-b get keyvalues,queues,buckets -o name | head -n 5)"
expect "queues that are left in the store" "$(ask team-b GET /queue)" "[] 200"
ok "$((3 * MANY)) objects made, found again by a new operator, and deleted"
if grep -h '"level":"error"' "$work/a.log"; then die "errors were logged"; fi
say "operator and store: all is as it should be"
