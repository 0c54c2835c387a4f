#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods use the store by the token of their own service account: their namespace is the workspace, another one sees nothing, rules say who may write.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
# shellcheck source=tests/e2e/lib/store.sh
. "$ROOT/tests/e2e/lib/store.sh"
case_begin

OTHER=$NAMESPACE-other
store_begin
kubectl create namespace "$OTHER" >/dev/null
at_end 'kubectl delete namespace "$OTHER" --timeout 60s >/dev/null'
store_install --set "store.persistence.storageClassName=$LOCAL_CLASS,store.backup.enabled=false,store.serviceAccountTokens=true" \
    --set 'store.serviceAccounts={*/reader=read,*/nobody=none,*/*=write}'
image=$(system get pod stowage-store-0 -o 'jsonpath={.spec.containers[0].image}')

# account_pod NAMESPACE ACCOUNT: a pod of that name with a token for the store, and one for the API server
account_pod() {
    kubectl -n "$1" create serviceaccount "$2" >/dev/null 2>&1 || [ "$2" = default ]
    kubectl -n "$1" apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $2}
spec:
  serviceAccountName: $2
  terminationGracePeriodSeconds: 1
  enableServiceLinks: false
  volumes: [{name: token, projected: {sources: [{serviceAccountToken: {audience: stowage-store, path: token}}]}}]
  containers:
  - name: main
    image: $image
    command: [sleep, "600"]
    env: [{name: STOWAGE_URL, value: "http://$STORE_IP:3500"}, {name: STOWAGE_TOKEN_FILE, value: /run/store/token}]
    volumeMounts: [{name: token, mountPath: /run/store}]
YAML
}
for account in default reader nobody; do account_pod "$NAMESPACE" "$account"; done
account_pod "$OTHER" default
running default reader nobody
kubectl -n "$OTHER" wait pod default --for condition=Ready --timeout 60s >/dev/null
ok "a store that has tokens reviewed, and pods with tokens of four accounts"

said() { in_pod "$1" "$2 2>&1; echo \"exit \$?\"" | tail -n 2 | tr '\n' ' '; } # what a command in a pod says, and its end
in_pod default 'stowage kv create settings && stowage kv put settings rate 0.001 && stowage kv get settings rate' >/dev/null
expect "who may read, reads" "$(said reader 'stowage kv get settings rate; echo')" "0.001 exit 0 "
[[ $(said reader 'stowage kv put settings rate 2') == *"exit 1 " ]] || fail "an account that may read has written"
[[ $(said nobody 'stowage kv get settings rate') == *"exit 1 " ]] || fail "an account that may nothing has read"
[[ $(said default 'stowage kv get settings rate --token-file /var/run/secrets/kubernetes.io/serviceaccount/token') == *"exit 1 " ]] ||
    fail "a token for the API server is taken"
ok "the namespace is the workspace; who may read cannot write; tokens for others are refused"

elsewhere() { kubectl -n "$OTHER" exec default -- sh -c "$1 2>&1; echo \"exit \$?\"" | tail -n 1; }
expect "another namespace, by name" "$(elsewhere 'stowage kv get settings rate')" "exit 3"
by_its_name="exec 3<>/dev/tcp/$STORE_IP/3500; printf 'GET /api/v2/workspaces/$NAMESPACE/kv/namespaces HTTP/1.1\\r\\nHost: store\\r\\nAuthorization: Bearer %s\\r\\n\\r\\n' \"\$(cat /run/store/token)\" >&3; head -n 1 <&3"
expect "another namespace's workspace, by its name" "$(kubectl -n "$OTHER" exec default -- bash -c "$by_its_name" | tr -d '\r')" "HTTP/1.1 403 Forbidden"
expect "the same, by who may" "$(k exec default -- bash -c "$by_its_name" | tr -d '\r')" "HTTP/1.1 200 OK"
expect "one of its own of the same name" "$(elsewhere 'stowage kv create settings && stowage kv put settings rate 7 && stowage kv get settings rate >/dev/null')" "exit 0"
expect "the first one's" "$(in_pod default 'stowage kv get settings rate')" 0.001
expect "namespaces in the workspace of a token of the Secret" "$(store kv namespaces | grep -c settings || true)" 0
ok "a pod in another namespace sees nothing of it, and has its own"
