#!/usr/bin/env bash
# The operator with many objects of each kind: from its start until all are Ready, what it weighs, and what it costs when nothing happens.
# On a real API server (etcd, kube-apiserver, kube-controller-manager of tests/e2e) and a real store; called by bench/run.sh.
#
# usage: bench/operator.sh       (through bench/run.sh)
#   OPERATOR_OBJECTS: of each of the four kinds (default 1000); OPERATOR_IDLE_S: how long nothing happens (default 60)
#
# The objects are there before the operator is, so that all of the time is its own and the API server's. Beside it stands how long kubectl
# took to make them: one write each, where the operator makes a class or a namespace, a queue, a finalizer and a status of each.
# API server, etcd, store and operator share this machine's processors. The aim for the memory is 32 MiB.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
STOWAGE_BUILD_DIR=${STOWAGE_BUILD_DIR:-$ROOT/build/release}
# shellcheck source=tests/support/kube-kit.sh
. "$ROOT/tests/support/kube-kit.sh"

OBJECTS=${OPERATOR_OBJECTS:-1000}
IDLE_S=${OPERATOR_IDLE_S:-60}
LIMIT_S=600
KINDS=filesystems,keyvalues,queues,buckets

figure() { say "operator.$1 $2 $3"; }
# memory NAME: of the operator: now, its most, and what no other program could share
memory() {
    awk -v name="$1" '{ mib[$1] = sprintf("%.1f", $2 / 1024) }
        END { print "operator.rss_mib_" name, mib["VmRSS:"], "MiB"; print "# of it anonymous " mib["RssAnon:"] ", most ever " mib["VmHWM:"] }' \
        "/proc/${operator_pid[a]}/status"
}
ticks() { awk '{ print $14 + $15 }' "/proc/${operator_pid[a]}/stat"; }
metrics() { in_net curl -fsS http://127.0.0.1:9810/metrics; }
looked_at() { [ "$(metrics | awk '/^stowage_operator_reconciles_total/ { n += $2 } END { printf "%d", n }')" -ge "$1" ]; }
asked_the_store() { in_net curl -fsS http://127.0.0.1:3500/metrics | awk '/^stowage_http_request_seconds_count/ { n += $2 } END { printf "%d", n }'; }
ready_ones() { kubectl get "$KINDS" -n many -o json | jq '[.items[] | select(.status.conditions[]? | .type == "Ready" and .status == "True")] | length'; }
# Lists of thousands cost the API server more than the operator does: they are asked for when the end is near.
all_ready() {
    wait_until "$LIMIT_S" looked_at $((4 * OBJECTS)) || return 1
    while [ "$(ready_ones)" -lt $((4 * OBJECTS)) ]; do
        [ $(($(now_ms) - begun)) -lt $((LIMIT_S * 1000)) ] || return 1
        sleep 1
    done
}
operator() { operator_start a "${WITH_STORE[@]}" --origin="disk=$work/origin" --http=127.0.0.1:9810; }
objects() {
    local i
    for i in $(seq "$OBJECTS"); do
        cat <<YAML
---
{apiVersion: stowage.dev/v1alpha1, kind: FileSystem, metadata: {name: fs-$i}, spec: {type: NodeGroup, nodeGroup: gpu-a, origin: mount, originName: disk, originPath: /mnt/disk}}
---
{apiVersion: stowage.dev/v1alpha1, kind: KeyValue, metadata: {name: kv-$i, namespace: many}, spec: {data: {a: "$i", b: text}}}
---
{apiVersion: stowage.dev/v1alpha1, kind: Queue, metadata: {name: mq-$i, namespace: many}, spec: {visibilitySeconds: 60}}
---
{apiVersion: stowage.dev/v1alpha1, kind: Bucket, metadata: {name: bkt-$i, namespace: many}, spec: {access: Private}}
YAML
    done
}

kube_start
chart_apply
operator_config
kubectl create namespace many >/dev/null
store_accounts
store_start
mkdir -p "$work/origin"

operator
wait_until 60 looked_at 0
sleep 5
memory none
operator_stop a TERM
begun=$(now_ms)
objects | kubectl create -f - >/dev/null
say "# kubectl create of $((4 * OBJECTS)) objects took $(seconds_since "$begun") s"

begun=$(now_ms)
operator
all_ready || die "after $(seconds_since "$begun") s $(ready_ones) of $((4 * OBJECTS)) are Ready"
figure "all_ready_$((4 * OBJECTS))" "$(seconds_since "$begun")" s
memory all_ready
sleep 10 # numbers of what is new
before=$(ticks) asked=$(asked_the_store)
sleep "$IDLE_S"
asked=$(($(asked_the_store) - asked))
figure idle_store_requests "$((asked * 60 / IDLE_S))" "a minute, health and metrics included"
figure idle_cpu_percent "$(awk -v ticks=$(($(ticks) - before)) -v s="$IDLE_S" 'BEGIN { printf "%.2f", ticks / s }')" "% of a core"
memory idle

operator_stop a TERM
begun=$(now_ms)
operator
wait_until "$LIMIT_S" looked_at $((4 * OBJECTS)) || die "a new operator does not look at all"
figure "another_takes_over_$((4 * OBJECTS))" "$(seconds_since "$begun")" s
sleep 10
memory after_start
