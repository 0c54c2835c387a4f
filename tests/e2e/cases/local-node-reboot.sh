#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A node with local volumes loses power: its pods come back on it with what they had synced, as file systems and as block devices.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

NODE="node-2" # the other has the embedded NFS server
# A pod with both ways to use a volume; what it finds at its start goes to its log.
both() {
    pvc files 100Mi "$1" ReadWriteOnce
    pvc blocks 20Mi "$1" ReadWriteOnce 'volumeMode: Block'
    apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  nodeSelector: {kubernetes.io/hostname: $NODE}
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: files, persistentVolumeClaim: {claimName: files}}
  - {name: blocks, persistentVolumeClaim: {claimName: blocks}}
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, 'trap exit TERM; while :; do sleep 1; done']
    volumeMounts: [{name: files, mountPath: /data}]
    volumeDevices: [{name: blocks, devicePath: /dev/blocks}]
YAML
}
both "$LOCAL_CLASS"
running keeper
in_pod keeper 'dd if=/dev/urandom of=/data/a bs=1M count=20 conv=fsync && dd if=/data/a of=/dev/blocks bs=1M count=10 conv=fsync' 2>/dev/null
wanted=$(in_pod keeper 'md5sum </data/a; dd if=/dev/blocks bs=1M count=10 2>/dev/null | md5sum')
loops=$(local_loops $NODE | wc -l)
expect "loop devices" "$loops" 2
ok "a pod on $NODE has written to a file system and to a block device"

signal_all stowage-node KILL
daemon_stop $NODE kubelet
daemon_again $NODE kubelet
node_wait $NODE
ready daemonset/stowage-node
wait_until 60 in_pod keeper true 2>/dev/null || fail "no command runs in the pod"
expect "data after kubelet and node plugin" "$(in_pod keeper 'md5sum </data/a; dd if=/dev/blocks bs=1M count=10 2>/dev/null | md5sum')" "$wanted"
ok "kubelet and node plugin are killed: the pod notices nothing"

uid=$(k get pod keeper -o 'jsonpath={.metadata.uid}')
node_crash $NODE
none() { [ -z "$(local_loops $NODE)" ]; }
wait_until 10 none || fail "loop devices stay without their node: $(local_loops $NODE)"
node_boot $NODE
ready daemonset/stowage-node
again() { [ "$(k get pod keeper -o 'jsonpath={.status.containerStatuses[0].restartCount}')" -ge 1 ] && in_pod keeper true; } 2>/dev/null
wait_until 120 again || fail "the pod does not come back after the reboot: $(k get pod keeper)"
expect "the pod" "$(k get pod keeper -o 'jsonpath={.metadata.uid}')" "$uid"
expect "data after the reboot" "$(in_pod keeper 'md5sum </data/a; dd if=/dev/blocks bs=1M count=10 2>/dev/null | md5sum')" "$wanted"
expect "loop devices after the reboot" "$(local_loops $NODE | wc -l)" 2
ok "$NODE lost everything but its disk and booted: the pod is back with its data"

gone pod keeper
k delete pvc --all --timeout 60s >/dev/null
wait_until 60 none || fail "loop devices are left: $(local_loops $NODE)"
no_images() { [ "$(local_images $NODE "$LOCAL_POOL")" = 0 ]; }
wait_until 60 no_images || fail "images are left on $NODE"
ok "deleted: no loop device and no image is left"
