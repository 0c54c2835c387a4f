#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A node with local volumes is away and its Node object deleted: when it returns, its volumes are adopted with their data; when it is gone for good, the way of docs/install.md moves the pod, and what the node still holds is deleted when it turns up.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

NODE="node-2" OTHER="node-1" # the other has the embedded NFS server
KEY=topology.local.csi.stowage.dev/node
away=0
come_back() {
    [ "$away" = 0 ] || node_boot $NODE || return 1
    away=0
    ready daemonset/stowage-node
}
at_end come_back
go_away() {
    node_crash $NODE
    away=1
    kubectl delete node $NODE --timeout 60s >/dev/null
}
label_of() { kubectl get node $NODE -o json 2>/dev/null | jq -r --arg key $KEY '.metadata.labels[$key] // ""'; }
is_labelled() { [ "$(label_of)" = $NODE ]; }

before=$(local_images $NODE "$LOCAL_POOL")
apply <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      # From its first place it would move, did its volume not hold it.
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 100, preference: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$NODE]}]}}
      containers:
      - name: main
        image: $BUSYBOX_IMAGE
        command: [sh, -c, 'trap exit TERM; while :; do sleep 1; done']
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: $LOCAL_CLASS, resources: {requests: {storage: 100Mi}}}
YAML
exists() { k get pod db-0 >/dev/null 2>&1; }
wait_until 30 exists || fail "no pod"
running db-0
expect "node" "$(node_of db-0)" $NODE
in_pod db-0 'echo kept >/data/file && sync'
volume=$(volume_of data-db-0)
# What the node-cleanup-controller goes by: one key of the volume, and a label of that name on the node.
expect "affinity of the volume" "$(kubectl get pv "$volume" -o json | jq -c '[.spec.nodeAffinity.required.nodeSelectorTerms[].matchExpressions[] | [.key, .operator, .values[]]]')" \
    "[[\"$KEY\",\"In\",\"$NODE\"]]"
expect "label of the node" "$(label_of)" $NODE
ok "a pod has data on $NODE; the volume names it by one key, which the node bears as a label"

uid() { k get pod db-0 -o 'jsonpath={.metadata.uid}' 2>/dev/null; }
old=$(uid)
go_away
# The garbage collector of pods takes those of a node that is no more; one that cannot be deleted by its node is deleted by force.
k delete pod db-0 --force --grace-period 0 >/dev/null 2>&1 || true
is_new() { [ -n "$(uid)" ] && [ "$(uid)" != "$old" ]; }
wait_until 90 is_new || fail "the pod is not made anew"
expect_event db-0 'volume node affinity|node\(s\) didn|Insufficient|untolerated|available: 1 node' 60
expect "the pod without its node" "$(k get pod db-0 -o 'jsonpath={.status.phase}')" Pending
ok "the node is away: its pod waits for it"
come_back
wait_until 60 is_labelled || fail "the node has no label $KEY again"
POD_TIMEOUT=180s running db-0
expect "node" "$(node_of db-0)" $NODE
expect "volume" "$(volume_of data-db-0)" "$volume"
expect "data" "$(in_pod db-0 'cat /data/file')" kept
ok "the node is back, as a new Node object: its volume is adopted, with the data"

handle=$(handle_of data-db-0)
go_away
doomed=$(kubectl get pv -o json | jq -r ".items[] | select(.spec.csi.driver == \"$LOCAL_DRIVER\" and
    .spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0] == \"$NODE\") | \"\(.metadata.name) \(.spec.claimRef.namespace)/\(.spec.claimRef.name)\"")
expect "volumes of the node that is gone" "$doomed" "$volume $NAMESPACE/data-db-0"
k delete pvc data-db-0 --wait=false >/dev/null
k delete pod db-0 --force --grace-period 0 >/dev/null 2>&1
kubectl patch pv "$volume" --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
kubectl delete pv "$volume" --ignore-not-found --timeout 60s >/dev/null
moved() { [ "$(node_of db-0 2>/dev/null)" = $OTHER ] && in_pod db-0 true; } 2>/dev/null
wait_until 180 moved || fail "the pod does not move: $(k get pod,pvc -o wide)"
expect "files of the new volume" "$(in_pod db-0 'ls /data | grep -v lost+found' || true)" ""
ok "gone for good: by docs/install.md the pod runs on $OTHER, with an empty volume"

come_back
expect "volumes on $NODE" "$(local_images $NODE "$LOCAL_POOL")" $((before + 1))
on_node() { system exec "$(pod_of node $NODE)" -c stowage-node -- stowage volume "$@" --controller unix:///local/csi.sock; }
lists() { on_node list | grep -qF "$handle"; } 2>/dev/null # its pod has just started
wait_until 60 lists || fail "the node does not list $handle: $(on_node list)"
on_node delete "$handle" >/dev/null
expect "volumes on $NODE" "$(local_images $NODE "$LOCAL_POOL")" "$before"
ok "it turned up after all: it lists the volume that nobody claims, and deletes it when told"
