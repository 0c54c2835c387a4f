#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# FileSystem objects, applied with kubectl: shared, of a node group, local; claims, pods, namespaces, operators killed, and their deletion.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin
made_cluster_wide+=(filesystem/case-shared filesystem/case-group filesystem/case-local namespace/"$NAMESPACE-other")

condition() { kubectl get filesystem "$1" -o json | jq -r --arg type "$2" '.status.conditions[]? | select(.type == $type) | .status + " " + .reason'; }
condition_is() { [ "$(condition "$1" "$2")" = "$3" ]; }
expect_condition() { wait_until "${4:-60}" condition_is "$1" "$2" "$3" || fail "$1: $2 is '$(condition "$1" "$2")', expected '$3'"; }
served() { [ "$(kubectl get filesystem "$1" -o 'jsonpath={.status.volumes}')" = "$2" ]; }
fs_gone() { ! kubectl get filesystem "$1" >/dev/null 2>&1; }

node_groups node-1=group-a node-2=
at_end 'node_groups node-1= node-2='
started=$(now_ms)
apply <<YAML
apiVersion: stowage.dev/v1alpha1
kind: FileSystem
metadata: {name: case-shared}
spec: {type: Shared, server: 10.202.0.50, share: /export, nfsPort: 2049, mountPort: 20048, allowedNamespaces: [$NAMESPACE]}
---
apiVersion: stowage.dev/v1alpha1
kind: FileSystem
metadata: {name: case-group}
spec: {type: NodeGroup, nodeGroup: group-a, server: 10.202.0.50, share: /export, nfsPort: 2049, mountPort: 20048, cacheMode: ttl, cacheTtl: 5}
---
apiVersion: stowage.dev/v1alpha1
kind: FileSystem
metadata: {name: case-local}
spec: {type: Local, pool: disk, fsType: ext4}
YAML
for kind in shared group local; do expect_condition "case-$kind" Ready "True StorageClassReady"; done
for kind in shared group; do expect_condition "case-$kind" Reachable "True Answers"; done
expect_condition case-local Reachable "True NodesHaveRoom" 120
ok "three FileSystems are Ready and reached, $(seconds_since "$started") s after apply"
kubectl get filesystems

pvc shared 1Gi case-shared
pvc group 1Gi case-group ReadWriteMany
pvc local 1Gi case-local ReadWriteOnce
pod one node-1 shared
pod two node-2 shared
pod cached "" group
pod disk "" local
bound shared group local
running one two cached disk
in_pod one 'echo both >/data/a'
expect "node-2 reads" "$(in_pod two 'cat /data/a')" both
expect "node of the pod with a volume of the group" "$(node_of cached)" node-1
for name in cached disk; do in_pod "$name" 'echo x >/data/x && cat /data/x' >/dev/null || fail "pod '$name' cannot write"; done
for kind in shared group local; do wait_until 60 served "case-$kind" 1 || fail "case-$kind does not count its volume"; done
ok "claims of all three are bound and mounted, and counted"

# A file that has just changed is not cached; the operator asks the nodes once a minute, and looks once a minute.
sleep 12
in_pod cached 'for i in 1 2 3 4 5 6 7 8; do cat /data/x >/dev/null; done'
has_ratio() { [[ $(kubectl get filesystem case-group -o 'jsonpath={.status.cacheHitRatio}') =~ ^[1-9][0-9]*%$ ]]; }
wait_until 180 has_ratio || fail "case-group tells no hit ratio: $(kubectl get filesystem case-group -o 'jsonpath={.status}')"
expect "hit ratio of a FileSystem without a cache" "$(kubectl get filesystem case-shared -o 'jsonpath={.status.cacheHitRatio}')" ""
ok "$(kubectl get filesystem case-group -o 'jsonpath={.status.cacheHitRatio}') of the opens in the node group were hits"

kubectl create namespace "$NAMESPACE-other" >/dev/null
said=$(NAMESPACE=$NAMESPACE-other pvc stranger 1Gi case-shared 2>&1) && fail "a claim of another namespace is taken"
grep -q 'spec.allowedNamespaces' <<<"$said" || fail "refused without the remedy: $said"
ok "a claim of another namespace is refused: ${said##*: }"

kubectl delete filesystem case-shared --wait=false >/dev/null
expect_condition case-shared Ready "False VolumesInUse"
kubectl describe filesystem case-shared | sed -n '/^Status:/,$p'
signal_all stowage-controller KILL || fail "there is no stowage-controller"
sleep 2
condition_is case-shared Ready "False VolumesInUse" || fail "the FileSystem does not wait any more"
in_pod two 'echo still >/data/b' || fail "the volume of a FileSystem that is being deleted does not work"
gone pod one two cached disk
k delete pvc --all --timeout 120s >/dev/null
wait_until 120 fs_gone case-shared || fail "it stays although its volumes are gone"
kubectl delete filesystem case-group case-local --timeout 60s >/dev/null
expect "classes that are left" "$(kubectl get storageclass -o name | grep case- || true)" ""
ok "deletion waited for the volumes, over the death of every controller"
