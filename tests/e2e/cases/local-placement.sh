#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Local volumes: pods go where room is and stay with their data; a full cluster takes no more until room is made; generic ephemeral ones go with their pod.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

SMALL_CLASS=stowage-local-small
DISK=/mnt/stowage/small # a disk of its own on each node: room for one volume on node-1, for three on node-2
VOLUME_MIB=200
take_disks() {
    local node
    for node in "${NODES[@]}"; do
        machine_run "$node" sh -c 'umount -l "$1" 2>/dev/null; rm -rf "$1" /var/lib/small-disk' sh "$DISK" || true
    done
}
at_end 'k delete statefulset,pods,pvc --all --timeout 120s >/dev/null && take_disks && node_plugin_again'
give_disk() { # NODE MIB
    machine_run "$1" sh -c 'mkdir -p "$2" && truncate -s "$1M" /var/lib/small-disk && mkfs.ext4 -q -m0 -F /var/lib/small-disk &&
        mount -o loop /var/lib/small-disk "$2" && mkdir "$2/pool"' sh "$2" "$DISK"
}

no_room() { [ "$(local_room $SMALL_CLASS node-1),$(local_room $SMALL_CLASS node-2)" = 0,0 ]; }
wait_until 60 no_room || fail "pools that are not there have room: $(system get csistoragecapacities)"
ok "pools without their disks: nodes run, and say that there is no room"
give_disk node-1 $((VOLUME_MIB + 150))
give_disk node-2 $((3 * VOLUME_MIB + 150))
node_plugin_again
wait_until 90 local_room_above $SMALL_CLASS node-1 $((VOLUME_MIB - 1)) || fail "node-1 does not tell its room"
wait_until 90 local_room_above $SMALL_CLASS node-2 $((3 * VOLUME_MIB - 1)) || fail "node-2 does not tell its room"
ok "disks are mounted: $(local_room $SMALL_CLASS node-1) MiB on node-1, $(local_room $SMALL_CLASS node-2) MiB on node-2"

apply <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 4
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: $BUSYBOX_IMAGE
        command: [sh, -c, 'hostname >>/data/hosts; trap exit TERM; while :; do sleep 1; done']
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: $SMALL_CLASS, resources: {requests: {storage: ${VOLUME_MIB}Mi}}}
YAML
k rollout status statefulset/db --timeout 180s >/dev/null
nodes() { k get pods -l app=db -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | uniq -c | xargs; }
expect "pods on the nodes" "$(nodes)" "1 node-1 3 node-2"
size=$(in_pod db-0 'df -m /data' | awk 'NR == 2 { print $2 }')
if [ "$size" -gt $VOLUME_MIB ] || [ "$size" -lt $((VOLUME_MIB * 8 / 10)) ]; then fail "df in the pod says $size MiB of $VOLUME_MIB"; fi
expect "node of the volume" "$(kubectl get pv "$(volume_of data-db-0)" -o \
    'jsonpath={.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}')" "$(node_of db-0)"
ok "four pods run where their volumes fit: $(nodes)"

# Its claim is there before it: a scheduler that meets a pod before its claim may wait for minutes until it looks again.
pvc data-db-4 "${VOLUME_MIB}Mi" "$SMALL_CLASS" ReadWriteOnce
k scale statefulset db --replicas 5 >/dev/null
expect_event db-4 'did not have enough free storage|node\(s\) did not have' 60
expect "a pod without room" "$(k get pod db-4 -o 'jsonpath={.status.phase}')" Pending
ok "the fifth stays Pending, and its event says why"

declare -A was
for i in 0 1 2 3; do was[$i]=$(node_of "db-$i"); done
running_uids() { k get pods -l app=db --field-selector status.phase=Running -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}'; }
old=$(running_uids)
k delete pod db-0 db-1 db-2 db-3 --wait=false >/dev/null # not waited for by name: the next ones have the same
back() { [ "$(running_uids | grep -cvxF "$old")" = 4 ] && ! running_uids | grep -qxF "$old"; }
wait_until 120 back || fail "the deleted pods do not come back"
for i in 0 1 2 3; do
    expect "node of db-$i" "$(node_of "db-$i")" "${was[$i]}"
    wait_until 30 in_pod "db-$i" true || fail "no command runs in db-$i"
    expect "data of db-$i" "$(in_pod "db-$i" 'cat /data/hosts' | xargs)" "db-$i db-$i"
done
ok "deleted pods are back on their nodes, with their data"

# Two claims go, the pods of which would take their room again: so the number is lowered first.
k scale statefulset db --replicas 3 >/dev/null
k wait pod/db-4 pod/db-3 --for delete --timeout 60s >/dev/null 2>&1 || true
volume=$(volume_of data-db-3)
k delete pvc data-db-3 data-db-4 --timeout 60s >/dev/null
wait_until 60 volume_is_gone "$volume" || fail "the deleted claim's volume stays"
k scale statefulset db --replicas 4 >/dev/null
POD_TIMEOUT=120s running db-3
expect "data of a new volume" "$(in_pod db-3 'cat /data/hosts')" db-3
ok "the room of a deleted claim is used again, on $(node_of db-3), and the new volume is empty"

before=$(($(local_images node-1 "$LOCAL_POOL") + $(local_images node-2 "$LOCAL_POOL")))
apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: scratch}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes:
  - name: data
    ephemeral:
      volumeClaimTemplate:
        spec: {accessModes: [ReadWriteOncePod], storageClassName: $LOCAL_CLASS, resources: {requests: {storage: 50Mi}}}
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, 'trap exit TERM; while :; do sleep 1; done']
    volumeMounts: [{name: data, mountPath: /data}]
YAML
running scratch
said=$(in_pod scratch 'dd if=/dev/zero of=/data/fill bs=1M count=100 2>&1; true')
[[ $said == *'No space left'* ]] || fail "a volume of 50 MiB takes 100: $said"
volume=$(volume_of scratch-data)
gone pod scratch
wait_until 60 volume_is_gone "$volume" || fail "the generic ephemeral volume stays"
expect "images of generic ephemeral volumes" "$(($(local_images node-1 "$LOCAL_POOL") + $(local_images node-2 "$LOCAL_POOL")))" "$before"
ok "a generic ephemeral volume has its size, and goes with its pod"
