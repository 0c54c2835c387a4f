#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A snapshot keeps what was, a restored claim has it, a cloned claim has what is; all are independent afterwards.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
pod one "" data
bound data
running one
in_pod one 'echo before >/data/a && ln -s a /data/link && chmod 600 /data/a && sync'
apply <<YAML
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: snap}
spec: {volumeSnapshotClassName: stowage-snapshots, source: {persistentVolumeClaimName: data}}
YAML
k wait volumesnapshot snap --for 'jsonpath={.status.readyToUse}=true' --timeout 60s >/dev/null
ok "the snapshot is ready"
in_pod one 'echo after >/data/a && echo new >/data/b'
pvc restored 1Gi "" "" 'dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: snap}'
pvc cloned 1Gi "" "" 'dataSource: {kind: PersistentVolumeClaim, name: data}'
pod two node-1 restored
pod three node-2 cloned
bound restored cloned
running two three
expect "restored" "$(in_pod two 'cat /data/a; ls /data; readlink /data/link; stat -c %a /data/a')" $'before\na\nlink\na\n600'
ok "a restored claim has what was"
expect "cloned" "$(in_pod three 'cat /data/a /data/b')" $'after\nnew'
ok "a cloned claim has what is"
gone pod one
k delete pvc data --timeout 60s >/dev/null
expect "restored, without its source" "$(in_pod two 'cat /data/a')" before
k delete volumesnapshot snap --timeout 60s >/dev/null
ok "both outlive their source"
