#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A claim of a local volume grows while a pod writes, as a file system and as a block device, and while no pod runs; beyond the pool's room the reason is told, and a lowered claim is served.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

grow() { k patch pvc "$1" --type merge -p "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"$2\"}}}}" >/dev/null; }
has_grown() { # the kubelet looks at the claims of a running pod every 60 to 90 seconds
    k wait pvc "$1" --for "jsonpath={.status.capacity.storage}=$2" --timeout 180s >/dev/null ||
        fail "claim '$1' does not grow: $(k get pvc "$1" -o 'jsonpath={.status}')"
}
df_of() { in_pod "$1" 'df -m /data' | awk 'NR == 2 { print $2 }'; }
expect_df() { # POD MIB: a file system takes its own share
    local size
    size=$(df_of "$1")
    if [ "$size" -gt "$2" ] || [ "$size" -lt $(($2 * 7 / 10)) ]; then fail "df in the pod says $size MiB of $2"; fi
}

# A mounted ext4 grows for CAP_SYS_RESOURCE only, which a privileged container has no more than the machine it runs on.
fs=ext4
can_grow_ext4 || fs=xfs
CLASS=$LOCAL_CLASS class_like "$NAMESPACE" csi.storage.k8s.io/fstype=$fs
pvc data 320Mi "$NAMESPACE" ReadWriteOnce
writer_start writer "" data
expect_df writer 320
grow data 500Mi
has_grown data 500Mi
expect_df writer 500
expect "capacity of the volume" "$(kubectl get pv "$(volume_of data)" -o 'jsonpath={.spec.capacity.storage}')" 500Mi
writer_check writer
ok "the claim has grown from 320 to 500 MiB ($fs) under a pod that writes, and df says $(df_of writer)"

pvc blocks 20Mi "$LOCAL_CLASS" ReadWriteOnce 'volumeMode: Block'
apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: raw}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: blocks, persistentVolumeClaim: {claimName: blocks}}]
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, 'trap exit TERM; while :; do sleep 1; done']
    volumeDevices: [{name: blocks, devicePath: /dev/blocks}]
YAML
running raw
in_pod raw 'echo kept | dd of=/dev/blocks conv=fsync 2>/dev/null'
grow blocks 60Mi
has_grown blocks 60Mi
expect "bytes of the device" "$(in_pod raw 'wc -c </dev/blocks')" $((60 << 20))
expect "what was on it" "$(in_pod raw 'head -n 1 /dev/blocks')" kept
ok "a block device in use has grown from 20 to 60 MiB"

grow data 100Ti
expect_event writer "room for [0-9]+ MiB that nobody was promised" 180
writer_check writer
expect_df writer 500
expect "capacity of the claim" "$(k get pvc data -o 'jsonpath={.status.capacity.storage}')" 500Mi
ok "100 TiB are refused, the pod's event says how much room there is, and the pod writes on"
grow data 600Mi
has_grown data 600Mi
expect_df writer 600
writer_check writer
state() { k get pvc data -o 'jsonpath={.status.allocatedResourceStatuses}{.status.conditions}'; }
settled() { [ -z "$(state)" ]; }
wait_until 60 settled || fail "the claim is not settled: $(state)"
ok "lowered to 600 MiB, the claim is served"

lines=$(writer_count writer)
gone pod writer
grow data 700Mi
pod reader "" data
running reader
has_grown data 700Mi
expect_df reader 700
expect "lines of the writer" "$([ "$(in_pod reader 'wc -l </data/writer-writer')" -ge "$lines" ] && echo kept)" kept
ok "grown without a pod: the next one has 700 MiB, and the data"
