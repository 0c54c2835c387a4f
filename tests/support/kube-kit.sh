# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A real API server for integration tests: etcd, kube-apiserver and kube-controller-manager of tests/e2e, without nodes, in namespaces of
# their own; and stowage-controller --operator beside them, as the service account and with the roles that the chart gives it.
# Sourced after scripts/lib.sh. Makes `work`, a directory of the test's own, and at the end of the script takes all down, after the last
# lines of the logs when it failed.
#
# shellcheck disable=SC2034,SC2154 # used by the parts of tests/e2e and by the tests; set by find_helm

work=$(mktemp -d "/tmp/stowage-$(basename "$0" .sh).XXXXXX")
STATE=$work/cluster
export STOWAGE_E2E_DIR=$STATE
for part in layout build pki network control-plane; do
    # shellcheck source=/dev/null
    . "$ROOT/tests/e2e/lib/$part.sh"
done
SYSTEM=stowage
APISERVER_FLAGS=() # webhooks are called at the addresses of their Services, which are on the control machine here
BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
declare -A operator_pid=()
store_pid=
WITH_STORE=(--store-url=http://127.0.0.1:3500 --store-token-file="$work/store-token") # for operator_start

# kube_start: skips the test where that cannot be
kube_start() {
    [ "$(id -u)" = 0 ] || skip "needs root (namespaces)"
    [ -e "$CACHE/complete" ] || skip "Kubernetes is not built yet: tests/e2e/cluster.sh build"
    find_helm || skip "helm $HELM_VERSION cannot be had here: see above"
    local program
    for program in openssl jq ip nsenter curl; do
        command -v "$program" >/dev/null || skip "$program is missing: apt-get install $(packages_for cluster)"
    done
    mkdir -p "$STATE/log" "$STATE/run"
    pki_make
    machine_start control
    disown -a # its end is no news
    network_control
    etcd_start
    apiserver_start
    controller_manager_start
}

kube_stop() {
    local name rc=0
    for name in "${!operator_pid[@]}"; do operator_stop "$name" TERM || rc=1; done
    [ -z "$store_pid" ] || store_stop || rc=1
    machine_stop control
    return "$rc"
}

# shellcheck disable=SC2329 # called by the trap
kube_end() {
    local rc=$?
    trap - EXIT INT TERM
    if [ "$rc" != 0 ] && [ "$rc" != 77 ]; then
        tail -n 12 "$work"/*.log >&2 2>/dev/null
    fi
    kube_stop || rc=1
    rm -rf "$work"
    exit "$rc"
}
trap kube_end EXIT
trap 'exit 130' INT TERM

apiserver_stop() { daemon_stop control kube-apiserver; }
apiserver_again() {
    daemon_again control kube-apiserver
    daemon_check control kube-apiserver 120 kubectl get --raw /readyz
}

# chart_apply: the kinds, roles and policies of the operator, as the chart renders them; no workloads
chart_apply() {
    kubectl create namespace "$SYSTEM" >/dev/null
    "$helm" template stowage "$ROOT/charts/stowage" --namespace "$SYSTEM" --kube-version "${KUBERNETES_VERSION#v}" "$@" \
        -s templates/rbac.yaml -s templates/operator.yaml -s templates/kinds/filesystems.yaml -s templates/kinds/keyvalues.yaml \
        -s templates/kinds/queues.yaml -s templates/kinds/buckets.yaml -s templates/kinds/filesystem-claims.yaml >"$work/chart.yaml"
    kubectl apply -f "$work/chart.yaml" >/dev/null
    kubectl wait crd -l app.kubernetes.io/component=operator --for condition=Established --timeout 60s >/dev/null
}

# operator_config: who the operator is: the chart's service account, by a token in a file as kubelet would give it
operator_config() {
    kubectl -n "$SYSTEM" create token stowage-controller --duration 2h >"$work/token"
    cat >"$work/operator.conf" <<YAML
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: operator, namespace: $SYSTEM}}]
clusters: [{name: here, cluster: {server: "https://$CONTROL_IP:6443", certificate-authority: cluster/pki/ca.crt}}]
users: [{name: operator, user: {tokenFile: token}}]
YAML
}

# operator_start NAME [FLAG…]: log in $work/NAME.log
operator_start() {
    local name=$1 machine
    shift
    machine=$(need_machine control)
    # Not by machine_net, whose shell would get the signals.
    nsenter --target "$machine" --net -- "$BUILD/bin/stowage-controller" --socket="$work/$name.sock" --operator \
        --kubeconfig="$work/operator.conf" --log-format=json "$@" 2>>"$work/$name.log" &
    operator_pid[$name]=$!
}
# operator_stop NAME SIGNAL: nsenter has become the program. It runs until then, and asked to (TERM) it ends well; or the sanitizers found
# something.
operator_stop() {
    local pid=${operator_pid[$1]:-} rc=0
    [ -n "$pid" ] || return 0
    unset "operator_pid[$1]"
    kill -s "$2" "$pid" 2>/dev/null || {
        note "operator '$1' has ended by itself: $(tail -n 20 "$work/$1.log")"
        wait "$pid" 2>/dev/null
        return 1
    }
    wait_until 60 process_ended "$pid" || kill -KILL "$pid"
    wait "$pid" 2>/dev/null || rc=$?
    if [ "$2" = TERM ] && [ "$rc" != 0 ]; then
        note "operator '$1' ended with $rc: $(tail -n 20 "$work/$1.log")"
        return 1
    fi
}
# in_net COMMAND…: in the network of the API server, where the store and the operator's metrics are
in_net() { nsenter --target "$(need_machine control)" --net -- "$@"; }

# store_accounts: the tokens of a store that has tokens reviewed, and of the operator there. Behind operator_config.
store_accounts() {
    kubectl -n "$SYSTEM" create serviceaccount store >/dev/null
    kubectl create clusterrolebinding store --clusterrole=system:auth-delegator --serviceaccount="$SYSTEM:store" >/dev/null
    kubectl -n "$SYSTEM" create token store --duration 2h >"$work/review-token"
    kubectl -n "$SYSTEM" create token stowage-controller --audience stowage-store --duration 2h >"$work/store-token"
}
# store_start: data in $work/data, log in $work/store.log
store_start() {
    local machine
    machine=$(need_machine control)
    nsenter --target "$machine" --net -- "$BUILD/bin/stowage-sidecar" --data-dir "$work/data" --listen 127.0.0.1:3500 --log-format json \
        --token-review "https://$CONTROL_IP:6443" --token-review-token "$work/review-token" --token-review-ca "$STATE/pki/ca.crt" \
        --service-account "$SYSTEM/stowage-controller=all" 2>>"$work/store.log" &
    store_pid=$!
    wait_until 30 in_net curl -fsS -o /dev/null http://127.0.0.1:3500/readyz || die "the store does not answer: $(tail -n 3 "$work/store.log")"
}
store_stop() {
    local pid=$store_pid rc=0
    store_pid=
    stop_pid "$pid" 20
    wait "$pid" 2>/dev/null || rc=$?
    [ "$rc" = 0 ] || note "the store ended with $rc"
    return "$rc"
}

holder() { kubectl -n "$SYSTEM" get lease stowage-operator -o 'jsonpath={.spec.holderIdentity}'; }

# condition KIND/NAME TYPE: "True StorageClassReady"
condition() { kubectl get "$1" -o json | jq -r --arg type "$2" '.status.conditions[]? | select(.type == $type) | .status + " " + .reason'; }
condition_is() { [ "$(condition "$1" "$2")" = "$3" ]; }
message_of() { kubectl get "$1" -o json | jq -r --arg type "$2" '.status.conditions[]? | select(.type == $type) | .message'; }
# expect_condition KIND/NAME TYPE "STATUS REASON" [SECONDS]
expect_condition() {
    wait_until "${4:-60}" condition_is "$1" "$2" "$3" ||
        die "$1: condition $2 is '$(condition "$1" "$2")' ($(message_of "$1" "$2")), expected '$3'"
}
expect() { [ "$2" = "$3" ] || die "$1: got '$2', expected '$3'"; }
gone() { ! kubectl get "$1" >/dev/null 2>&1; }
ok() { say "  $*"; }
