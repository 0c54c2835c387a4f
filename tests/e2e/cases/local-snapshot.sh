#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A local volume is snapshot and restored by its own node; a loop device that a killed node plugin leaked is let go by that node only.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data 50Mi "$LOCAL_CLASS" ReadWriteOnce
pod one "" data
running one
node=$(node_of one) other="node-1"
[ "$node" != node-1 ] || other="node-2"
in_pod one 'echo before >/data/a'
apply <<YAML
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: snap}
spec: {volumeSnapshotClassName: stowage-local-snapshots, source: {persistentVolumeClaimName: data}}
YAML
k wait volumesnapshot snap --for 'jsonpath={.status.readyToUse}=true' --timeout 60s >/dev/null
in_pod one 'echo after >/data/a'
pvc restored 50Mi "$LOCAL_CLASS" ReadWriteOnce 'dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: snap}'
pod two "" restored "" "nodeSelector: {kubernetes.io/hostname: $node}"
running two
expect "restored" "$(in_pod two 'cat /data/a')" before
expect "the original" "$(in_pod one 'cat /data/a')" after
ok "a snapshot on $node keeps what was, of a volume in use"

gone pod one two
none() { [ -z "$(local_loops "$node")" ]; }
wait_until 30 none || fail "loop devices are left: $(local_loops "$node")"
images=("$(node_root "$node")$LOCAL_POOL"/.stowage/data/*)
leaked=$(losetup --find --show "${images[0]}")
at_end 'losetup --detach "$leaked" 2>/dev/null || true'
node_plugin_again "$other"
expect "loop devices of $node" "$(local_loops "$node")" "$leaked"
node_plugin_again "$node"
wait_until 20 none || fail "$node keeps $(local_loops "$node"), which nobody uses"
ok "a leaked loop device is let go by the node that has its image, not by the other one"
k delete volumesnapshot snap --timeout 60s >/dev/null
