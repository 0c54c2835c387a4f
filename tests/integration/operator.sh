#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The operator on a real API server, with the roles that the chart gives it: FileSystem → StorageClass and status; wrong ones refused with the
# remedy; API server restarted, operator killed, two operators: nothing twice; deletion with volumes in use.
# shellcheck disable=SC2016 # templates of the driver, no variables
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/kube-kit.sh
. "$ROOT/tests/support/kube-kit.sh"

MANY=${STOWAGE_MANY:-30} # objects at a time in the parts with many
kube_start
chart_apply
operator_config
mkdir -p "$work/origin"

# filesystem NAME SPEC: in flow style
filesystem() { printf '{apiVersion: stowage.dev/v1alpha1, kind: FileSystem, metadata: {name: %s}, spec: {%s}}\n---\n' "$1" "$2"; }
MOUNTED="type: NodeGroup, nodeGroup: gpu-a, origin: mount, originName: disk, originPath: /mnt/disk"
AWAY="type: Shared, server: 127.0.0.1, nfsPort: 9, share: /exports"
apply() { kubectl apply -f - >/dev/null; }
claim() { # NAMESPACE NAME CLASS
    printf '{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %s, namespace: %s}, spec: {storageClassName: %s, accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}}\n' "$2" "$1" "$3"
}
volume() { # NAME CLASS CLAIM
    printf '{apiVersion: v1, kind: PersistentVolume, metadata: {name: %s}, spec: {storageClassName: %s, accessModes: [ReadWriteMany], capacity: {storage: 2Gi}, persistentVolumeReclaimPolicy: Retain, csi: {driver: csi.stowage.dev, volumeHandle: %s}, claimRef: {name: %s, namespace: default}}}\n---\n' "$1" "$2" "$1" "$3"
}
# refused TEXT SPEC: by the API server, with TEXT in its message
refused() {
    local said
    if said=$(filesystem wrong "$2" | kubectl apply -f - 2>&1); then die "accepted: $2"; fi
    grep -qF -- "$1" <<<"$said" || die "refused without '$1': $said"
}

# --- the kind itself --------------------------------------------------------------------------------------------------
refused "name server and share" "type: Shared, server: a"
refused "remove them from a FileSystem of type Local" "type: Local, server: a, share: /e"
refused "are of type Local" "type: Shared, server: a, share: /e, pool: p"
refused "nodeGroup goes with type NodeGroup" "type: NodeGroup, server: a, share: /e"
refused "nodeGroup goes with type NodeGroup" "type: Shared, server: a, share: /e, nodeGroup: g"
refused "are of type NodeGroup" "type: Shared, server: a, share: /e, cacheMode: ttl"
refused "cacheTtl counts with cacheMode: ttl" "type: NodeGroup, nodeGroup: g, server: a, share: /e, cacheTtl: 5"
refused "origin: mount needs originName" "type: NodeGroup, nodeGroup: g, origin: mount, originPath: /mnt/x"
refused "go with origin: mount" "type: NodeGroup, nodeGroup: g, server: a, share: /e, originPath: /mnt/x"
refused "has no cache of Stowage's" "type: NodeGroup, nodeGroup: g, server: a, share: /e, mountMode: kernel"
refused "for archive use retain" "type: Local, onDelete: archive"
refused "its first pod decides" "type: Local, volumeBindingMode: Immediate"
refused 'unknown field "spec.sever"' "type: Shared, sever: a, share: /e"
refused "Unsupported value" "type: Fast"
ok "wrong FileSystems are refused with the remedy"

# --- one operator -----------------------------------------------------------------------------------------------------
operator_start a --origin="disk=$work/origin" --http=127.0.0.1:9810
filesystem training "$MOUNTED, cacheMode: ttl, cacheTtl: 30, warmUp: [/index, /data/b], reclaimPolicy: Retain, mountOptions: [noatime], subDir: '\${pvc.metadata.name}'" | apply
expect_condition filesystem/training Ready "True StorageClassReady"
expect_condition filesystem/training Reachable "True Answers"
class=$(kubectl get storageclass training -o json | jq -cS 'del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.managedFields) | .metadata.ownerReferences[0] |= del(.uid)')
expect "the class" "$class" "$(jq -cSn '{apiVersion: "storage.k8s.io/v1", kind: "StorageClass", provisioner: "csi.stowage.dev",
    metadata: {name: "training", labels: {"app.kubernetes.io/managed-by": "stowage-operator"}, ownerReferences: [{apiVersion: "stowage.dev/v1alpha1",
        blockOwnerDeletion: true, controller: true, kind: "FileSystem", name: "training"}]},
    parameters: {nodeGroup: "gpu-a", origin: "mount", originName: "disk", originPath: "/mnt/disk", cacheMode: "ttl", cacheTtl: "30",
        warmUp: "/index,/data/b", subDir: "${pvc.metadata.name}"},
    reclaimPolicy: "Retain", volumeBindingMode: "Immediate", allowVolumeExpansion: true, mountOptions: ["noatime"],
    allowedTopologies: [{matchLabelExpressions: [{key: "topology.csi.stowage.dev/node-group", values: ["gpu-a"]}]}]}')"
[[ $(kubectl get filesystem training -o 'jsonpath={.status.capacity}') =~ ^[0-9.]+[KMGT]i$ ]] || die "no capacity: $(kubectl get fs training -o yaml)"
ok "a FileSystem has its StorageClass, with exactly its parameters, and a status: $(kubectl get filesystem training --no-headers | tr -s ' ')"

uid_of() { kubectl get storageclass "$1" -o 'jsonpath={.metadata.uid}'; }
before=$(uid_of training)
kubectl patch filesystem training --type merge -p '{"spec":{"allowVolumeExpansion":false,"mountOptions":null,"default":true}}' >/dev/null
changed() { [ "$(kubectl get storageclass training -o json | jq -c '[.allowVolumeExpansion, .mountOptions, .metadata.annotations["storageclass.kubernetes.io/is-default-class"]]')" = '[false,null,"true"]' ]; }
wait_until 30 changed || die "a change that a class takes is not made: $(kubectl get storageclass training -o yaml)"
expect "uid of a class that was changed in place" "$(uid_of training)" "$before"
kubectl patch filesystem training --type merge -p '{"spec":{"cacheTtl":60,"default":null}}' >/dev/null
renewed() { [ "$(kubectl get storageclass training -o 'jsonpath={.parameters.cacheTtl}')" = 60 ] && [ "$(uid_of training)" != "$before" ]; }
wait_until 30 renewed || die "a change of parameters is not made: $(kubectl get storageclass training -o yaml)"
kubectl delete storageclass training >/dev/null
is_there() { kubectl get "$1" >/dev/null 2>&1; }
wait_until 30 is_there storageclass/training || die "a StorageClass that somebody deleted does not come back"
ok "changes reach the class, in place where it takes them, anew where not; one that is deleted comes back"

kubectl create -f - >/dev/null <<<'{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "mine"}, "provisioner": "example.com/other"}'
{
    filesystem mine "$AWAY"
    filesystem typo "$AWAY, subDir: '\${pvc.nam}'"
    filesystem away "$AWAY"
    filesystem disks "type: Local, pool: nvme, fsType: xfs"
} | apply
expect_condition filesystem/mine Ready "False StorageClassExists"
expect_condition filesystem/typo Ready "False InvalidSpec"
[[ $(message_of filesystem/typo Ready) == *"unknown template"*"known are"* ]] || die "the remedy is missing: $(message_of filesystem/typo Ready)"
expect_condition filesystem/away Reachable "False NoAnswer"
expect_condition filesystem/away Ready "True StorageClassReady"
expect_condition filesystem/disks Reachable "Unknown NoNodeYet"
expect "class of local volumes" "$(kubectl get storageclass disks -o json | jq -cS '[.provisioner, .parameters, .volumeBindingMode]')" \
    '["local.csi.stowage.dev",{"csi.storage.k8s.io/fstype":"xfs","pool":"nvme"},"WaitForFirstConsumer"]'
expect "provisioner of somebody else's class" "$(kubectl get storageclass mine -o 'jsonpath={.provisioner}')" example.com/other
kubectl delete storageclass mine >/dev/null
expect_condition filesystem/mine Ready "True StorageClassReady"
kubectl patch filesystem typo --type merge -p '{"spec":{"subDir":"${pvc.metadata.name}"}}' >/dev/null
expect_condition filesystem/typo Ready "True StorageClassReady"
kubectl create -n "$SYSTEM" -f - >/dev/null <<<'{"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {"generateName": "c-"}, "storageClassName": "disks", "capacity": "7Gi"}'
expect_condition filesystem/disks Reachable "True NodesHaveRoom"
expect "room for local volumes" "$(kubectl get filesystem disks -o 'jsonpath={.status.available}')" 7Gi
ok "what only the drivers know is told as a condition, another's class is left alone, and both heal by themselves"

# --- who may use it, and its end --------------------------------------------------------------------------------------
kubectl create namespace team-a >/dev/null
kubectl create namespace team-b >/dev/null
kubectl patch filesystem training --type merge -p '{"spec":{"allowedNamespaces":["team-a"]}}' >/dev/null
denied() { # TEXT NAMESPACE CLASS
    local said
    if said=$(claim "$2" "c-$RANDOM" "$3" | kubectl create --dry-run=server -f - 2>&1); then return 1; fi
    grep -qF -- "$1" <<<"$said" || die "refused without '$1': $said"
}
wait_until 30 denied "add it to spec.allowedNamespaces" team-b training || die "a claim of another namespace is taken"
claim team-a ours training | kubectl create --dry-run=server -f - >/dev/null || die "a claim of an allowed namespace is refused"
claim team-b other away | kubectl create --dry-run=server -f - >/dev/null || die "a claim of another FileSystem is refused"
ok "claims of other namespaces are refused"

for i in 1 2 3 4 5 6 7; do volume "pv-$i" away "claim-$i"; done | apply
seven() { [ "$(kubectl get filesystem away -o 'jsonpath={.status.volumes} {.status.provisioned}')" = "7 14Gi" ]; }
wait_until 30 seven || die "volumes are not counted: $(kubectl get filesystem away -o yaml)"
kubectl delete filesystem away --wait=false >/dev/null
expect_condition filesystem/away Ready "False VolumesInUse"
text=$(message_of filesystem/away Ready)
[[ $text == "7 volumes are still there: "*"(claim default/claim-"*", and 2 more. Delete the claims"* ]] || die "they are not named: $text"
has_event() { kubectl get events -n default --field-selector "involvedObject.kind=FileSystem,involvedObject.name=$1,reason=$2" -o 'jsonpath={.items[*].message}' | grep -q .; }
wait_until 30 has_event away VolumesInUse || die "no Event tells why it is not deleted"
wait_until 30 denied "is being deleted" team-a away || die "a claim of a FileSystem that is being deleted is taken"
is_there storageclass/away || die "the class of volumes that are still used is gone"
kubectl patch pv pv-1 pv-2 pv-3 pv-4 pv-5 pv-6 pv-7 --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
kubectl delete pv pv-1 pv-2 pv-3 pv-4 pv-5 pv-6 pv-7 --timeout 60s >/dev/null
wait_until 60 gone filesystem/away || die "it stays although its volumes are gone: $(kubectl get filesystem away -o yaml)"
wait_until 60 gone storageclass/away || die "its class stays"
kubectl delete filesystem mine typo disks --timeout 60s >/dev/null || die "a FileSystem that cannot be reached cannot be deleted"
ok "deletion waits for volumes, tells which, and for nothing else"

# --- restarts, and two of them ------------------------------------------------------------------------------------------
all_ready() { [ "$(kubectl get filesystems -o json | jq '[.items[] | select(.status.conditions[]? | .type == "Ready" and .status == "True")] | length')" = "$1" ]; }
first=$(holder)
operator_start b --origin="disk=$work/origin"
for i in $(seq "$MANY"); do filesystem "one-$i" "$MOUNTED"; done | apply
wait_until 120 all_ready $((MANY + 1)) || die "not all are Ready with two operators: $(kubectl get filesystems)"
expect "who leads" "$(holder)" "$first"
if grep -q '"the operator leads"' "$work/b.log"; then die "two lead"; fi
created() { kubectl get events -n default --field-selector "reason=StorageClassCreated" -o json | jq -r '[.items[] | select(.involvedObject.name | startswith("one-"))] | "\(length) \([.[] | .count] | add)"'; }
created_is() { [ "$(created)" = "$1" ]; }
wait_until 30 created_is "$MANY $MANY" || die "classes made, and Events of it: $(created), expected $MANY $MANY"
ok "two operators: one leads, every class is made once"

apiserver_stop
sleep 2
apiserver_again
filesystem again "$MOUNTED" | apply
expect_condition filesystem/again Ready "True StorageClassReady" 90
ok "the API server was restarted: it goes on"

operator_stop a KILL
for i in $(seq "$MANY"); do filesystem "two-$i" "$MOUNTED"; done | apply
wait_until 120 all_ready $((2 * MANY + 2)) || die "the second does not take over: $(tail -n 3 "$work/b.log")"
[ "$(holder)" != "$first" ] || die "a dead operator leads"
grep -q '"the operator leads"' "$work/b.log" || die "nobody took over"
operator_start a --origin="disk=$work/origin"
operator_stop b TERM
kubectl delete filesystems --all --wait=false >/dev/null
none_left() { [ -z "$(kubectl get filesystems,storageclasses -o name)" ]; }
wait_until 120 none_left || die "left: $(kubectl get filesystems,storageclasses -o name | head -n 5)"
ok "the leader was killed, the next stopped: another took over, all were deleted"
if grep -h '"level":"error"' "$work"/[ab].log; then die "errors were logged"; fi
say "operator: all is as it should be"
