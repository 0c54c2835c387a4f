#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Node groups: two nodes of one group use a cached volume together, each sees what the other wrote; killed node plugins and an ended mount change nothing.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin
at_end 'k delete pods,pvc --all --timeout 120s >/dev/null && node_groups node-1= node-2='

node_groups node-1=group-a node-2=group-a
made_cluster_wide+=(storageclass/case-strict)
kubectl get storageclass stowage-group-a -o json |
    jq '.metadata = {name: "case-strict"} | .parameters |= (del(.cacheTtl) | .cacheMode = "strict" | .warmUp = "/set")' |
    kubectl apply -f - >/dev/null
pvc data 1Gi case-strict
bound data
pod one node-1 data
pod two node-2 data
running one two
ok "a pod on each of two nodes has the volume"

in_pod one 'mkdir /data/set && for i in 0 1 2 3 4 5 6 7; do
    dd if=/dev/urandom of=/data/set/$i bs=1M count=8 2>/dev/null; done && cd /data/set && sha256sum * >/data/sums'
for name in one two; do
    for round in 1 2 3; do
        in_pod "$name" 'cd /data/set && sha256sum -c /data/sums >/dev/null' || fail "pod $name reads other data, round $round"
    done
done
ok "64 MiB that one wrote are read by both, again and again"

# What changed a moment ago may be growing and is not kept yet.
cached_mib() { machine_run "$1" du -sm /mnt/stowage/cache/objects 2>/dev/null | cut -f1; }
read_into_cache() { # POD NODE
    in_pod "$1" 'cd /data/set && sha256sum -c /data/sums >/dev/null' && [ "$(cached_mib "$2")" -ge 64 ]
}
wait_until 60 read_into_cache one node-1 || fail "node-1 caches $(cached_mib node-1) MiB of 64"
wait_until 60 read_into_cache two node-2 || fail "node-2 caches $(cached_mib node-2) MiB of 64"
ok "both nodes have all of it on their disks: $(cached_mib node-1) and $(cached_mib node-2) MiB"

for i in $(seq 20); do
    in_pod one "echo $i >/data/counter.new && mv /data/counter.new /data/counter && echo $i >/data/in-place"
    expect "renamed over by the other node" "$(in_pod two 'cat /data/counter')" "$i"
    expect "written in place by the other node" "$(in_pod two 'cat /data/in-place')" "$i"
done
ok "strict: what is closed on one node is there when the other opens it"

writer_start writer node-1 data
signal_all stowage-node KILL
ready daemonset/stowage-node
writer_check writer
node_plugin_again
writer_check writer
in_pod two 'cd /data/set && sha256sum -c /data/sums >/dev/null' || fail "other data after the node plugins were replaced"
ok "node plugins are killed and replaced under a writer"

gone pod one two writer
pod again node-2 data
running again
in_pod again 'cd /data/set && sha256sum -c /data/sums >/dev/null' || fail "other data after the volume was staged again"
[[ $(daemon_flags node-2 data) == *"--warm-up /set"* ]] || fail "the daemon is not told what to warm up"
ok "staged again on a node, the data is the same"

# An index that cannot be read stands for a disk that cannot.
told() { kubectl get events -n default --field-selector "involvedObject.kind=Node,involvedObject.name=node-2,reason=$1" -o name | grep -q .; }
gone pod again
machine_run node-2 sh -c 'cd /mnt/stowage/cache && mv index index.away && mkdir index'
wait_until 60 told CacheDiskFailed || fail "the node has no Event although its cache cannot be read"
machine_run node-2 sh -c 'cd /mnt/stowage/cache && rmdir index && mv index.away index'
wait_until 60 told CacheDiskRecovered || fail "the node has no Event although its cache can be read again"
ok "the node's Events tell when its cache fails and when it works again"
