#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Without Helm: `kubectl apply -k manifests` installs a driver that binds and mounts, `kubectl delete -k` leaves nothing.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

# The chart's own server, as a plain pod: the manifests expect a filer that is there.
image=$(system get statefulset stowage-nfs -o 'jsonpath={.spec.template.spec.containers[0].image}')
system get configmap stowage-nfs -o json | jq '{apiVersion, kind, data, metadata: {name: "filer"}}' | apply
system get statefulset stowage-nfs -o json | jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "filer"},
    spec: (.spec.template.spec | .priorityClassName = "" |
        .volumes = [.volumes[] | if .name == "data" then {name, emptyDir: {}} elif .name == "config" then .configMap.name = "filer" else . end])}' |
    apply
running filer
filer=$(k get pod filer -o 'jsonpath={.status.podIP}')
ok "a filer serves at $filer ($image)"

helm uninstall "$RELEASE" --namespace "$SYSTEM" --wait --timeout 3m >/dev/null 2>&1
wait_until 60 driver_is_gone || fail "uninstalled, but still there: $(driver_leftovers)"
remove() { kubectl delete -k "$ROOT/manifests" --ignore-not-found --timeout 120s >/dev/null 2>&1; }
at_end 'remove; driver_install'
kubectl apply -k "$ROOT/manifests" >/dev/null
kubectl -n stowage rollout status deployment/stowage-controller --timeout 180s >/dev/null
kubectl -n stowage rollout status daemonset/stowage-node --timeout 180s >/dev/null
ok "kubectl apply -k: controller and node plugin run"

made_cluster_wide+=(storageclass/case-plain)
kubectl apply -f - >/dev/null <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: case-plain}
provisioner: $DRIVER
parameters: {server: "$filer", share: /export, nfsPort: "2049", mountPort: "20048"}
reclaimPolicy: Delete
allowVolumeExpansion: true
YAML
pvc data 1Gi case-plain
pod one node-1 data
pod two node-2 data
bound data
running one two
in_pod one 'echo plain >/data/a'
expect "node-2 reads" "$(in_pod two 'cat /data/a')" plain
ok "a claim is bound and mounted on both nodes"

plain_store() { sed 's/^  accessModes: \[ReadWriteOnce\]$/&\n  storageClassName: case-plain/' "$ROOT/manifests/store.yaml"; }
plain_store | kubectl apply -f - >/dev/null
at_end 'plain_store | kubectl delete -f - --ignore-not-found --timeout 60s >/dev/null'
kubectl -n stowage rollout status statefulset/stowage-store --timeout 120s >/dev/null
in_store() { kubectl -n stowage exec stowage-store-0 -c store -- sh -c "$1"; }
in_store 'stowage kv create settings && stowage kv put settings rate 0.001 && stowage store backup first >/dev/null'
at=$(kubectl -n stowage get pod stowage-store-0 -o 'jsonpath={.status.podIP}')
token=$(in_store 'cut -d " " -f 1 /var/lib/stowage/store/token')
expect "a value, from another pod" "$(in_pod one "wget -q -O - --header 'Authorization: Bearer $token' http://$at:3500/api/v1/kv/namespaces/settings/values/rate")" 0.001
expect "without its token" "$(in_pod one "wget -q -O - http://$at:3500/api/v1/kv/namespaces/settings/values/rate 2>&1" 2>/dev/null || true)" \
    "wget: server returned error: HTTP/1.1 401 Unauthorized"
ok "kubectl apply -f manifests/store.yaml: another pod reads by the token that the store made"
sed "s|//stowage-store[^:]*:|//$at:|" "$ROOT/manifests/store-operator.yaml" | kubectl apply -f - >/dev/null # there is no DNS here
kubectl -n stowage rollout status deployment/stowage-controller --timeout 120s >/dev/null
apply <<<'{apiVersion: stowage.dev/v1alpha1, kind: KeyValue, metadata: {name: plain}, spec: {data: {rate: "0.001"}}}'
k wait keyvalue plain --for condition=Ready --timeout 60s >/dev/null || fail "$(k get keyvalue plain -o yaml)"
gone keyvalue plain
plain_store | kubectl delete -f - --timeout 60s >/dev/null
ok "kubectl apply -f manifests/store-operator.yaml: a KeyValue is made in the store, and removed"
gone pod one two
volume=$(volume_of data)
k delete pvc data --timeout 60s >/dev/null
wait_until 60 volume_is_gone "$volume" || fail "the volume stays"
remove
wait_until 60 driver_is_gone stowage || fail "deleted, but still there: $(driver_leftovers stowage)"
ok "kubectl delete -k leaves nothing"
