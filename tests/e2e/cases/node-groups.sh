#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Node groups: a volume is used on its group's nodes, with its cache; a pod elsewhere stays Pending, and its event says why; shared volumes go everywhere.
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin
at_end 'k delete pods,pvc --all --timeout 120s >/dev/null && node_groups node-1= node-2='

# pod_where NAME KEY=VALUE CLAIM [COMMAND]: where the scheduler puts it, among the nodes with the label ("": all)
pod_where() { pod "$1" "" "$3" "${4:-}" "${2:+nodeSelector: {\"${2%%=*}\": \"${2#*=}\"\}}"; }

node_groups node-1=group-a node-2=group-b
expect "group of node-1" "$(group_label node-1)" group-a
ok "labelled nodes are in their groups, for the scheduler too"

pvc data 1Gi stowage-group-a
bound data
affinity=$(kubectl get pv "$(volume_of data)" -o 'jsonpath={.spec.nodeAffinity.required.nodeSelectorTerms}')
expect "nodes of the volume" "$(jq -r '.[0].matchExpressions[] | "\(.key) \(.operator) \(.values | join(","))"' <<<"$affinity")" \
    "$GROUP_KEY In group-a"
pod_where first "" data
running first
expect "node of the pod" "$(node_of first)" node-1
in_pod first 'echo kept >/data/file && sync'
flags=$(daemon_flags node-1 data)
for flag in "--cache-dir /mnt/stowage/cache" "--cache-mode ttl --cache-ttl 30 --cache-size 1073741824" "--cache-memory 67108864 --cache-keep-free 5"; do
    [[ $flags == *"$flag"* ]] || fail "the daemon of the volume has no '$flag': $flags"
done
machine_run node-1 test -d /mnt/stowage/cache || fail "node-1 has no directory for the cache"
gone pod first
pod_where second "" data
running second
expect "node of the pod" "$(node_of second)" node-1
expect "data of the volume" "$(in_pod second 'cat /data/file')" kept
ok "its pods run on node-1, on a mount with the class's cache, and find their data"

pod_where away kubernetes.io/hostname=node-2 data
expect_event away "node\(s\) (had volume node affinity conflict|didn't match PersistentVolume's node affinity)" 60
expect "a pod of another group's node" "$(k get pod away -o 'jsonpath={.status.phase}')" Pending
say "    $(k get events --field-selector involvedObject.name=away -o 'jsonpath={.items[-1:].message}')"
pod forced node-2 data # past the scheduler
expect_event forced 'NodeAffinity check failed|FailedMount|node affinity' 90
expect "a pod that was forced there" "$(k get pod forced -o 'jsonpath={.status.phase}')" Pending
expect "daemons of the volume on node-2" "$(daemon_flags node-2 data)" ""
k delete pod away forced --timeout 60s >/dev/null
ok "a pod of a node of group-b stays Pending, and its event says why"

# Whose nodes a class asks for, and whose volume it makes, are not the same group.
made_cluster_wide+=(storageclass/case-wrong-group)
kubectl get storageclass stowage-group-a -o json | jq --arg key "$GROUP_KEY" '.metadata = {name: "case-wrong-group"} |
    .allowedTopologies = [{matchLabelExpressions: [{key: $key, values: ["group-b"]}]}]' | kubectl apply -f - >/dev/null
pvc wrong 1Gi case-wrong-group
expect_event wrong "is of node group 'group-a'.*group 'group-b'" 60
k delete pvc wrong --timeout 60s >/dev/null
ok "a class that asks for another group's nodes is refused, both named"

pvc late 1Gi stowage-group-b # WaitForFirstConsumer
pod_where b "" late
running b
expect "node of the pod" "$(node_of b)" node-2
pvc here 1Gi stowage-group-b
pod_where nowhere kubernetes.io/hostname=node-1 here
expect_event nowhere "node\(s\) (didn't find available persistent volumes|did not (have|match)|didn't match)" 60
expect "a claim without a node" "$(k get pvc here -o 'jsonpath={.status.phase}')" Pending
k delete pod nowhere b --timeout 60s >/dev/null
ok "with WaitForFirstConsumer pods are brought to the group's nodes before the volume is made"

node_groups node-2=
class_like case-late volumeBindingMode=WaitForFirstConsumer
pvc shared 1Gi case-late
pod_where s1 kubernetes.io/hostname=node-1 shared
pod_where s2 kubernetes.io/hostname=node-2 shared
running s1 s2
in_pod s1 'echo both >/data/x'
expect "a shared volume" "$(in_pod s2 'cat /data/x')" both
expect "nodes of a shared volume" "$(kubectl get pv "$(volume_of shared)" -o 'jsonpath={.spec.nodeAffinity}')" ""
ok "a shared volume is everywhere, also on a node of no group and bound late"

# The scheduler believes the first label; kubelet would refuse the driver with another value.
kubectl label --overwrite node node-1 stowage.dev/node-group=group-b >/dev/null
node_plugin_again node-1
wait_until 60 node_is_known node-1 group-a || fail "node-1 is no longer known as of group-a"
in_pod second 'cat /data/file' >/dev/null || fail "the pod of node-1 lost its volume"
tells() { system logs "$(pod_of node node-1)" -c stowage-node | grep -q "node's group was changed"; } # when kubelet asks who it is
wait_until 60 tells || fail "stowage-node does not tell"
ok "a node that is given to another group stays in its own until its old label is taken away, and says so"
