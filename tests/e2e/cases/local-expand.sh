#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A claim of a local volume grows while a pod writes, as a file system and as a block device, and while no pod runs; beyond the pool's room the reason is told, and a lowered claim is served.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

grow() { k patch pvc "$1" --type merge -p "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"$2\"}}}}" >/dev/null; }
has_grown() {
    k wait pvc "$1" --for "jsonpath={.status.capacity.storage}=$2" --timeout 90s >/dev/null ||
        fail "claim '$1' does not grow: $(k get pvc "$1" -o 'jsonpath={.status}')"
}
df_of() { in_pod "$1" 'df -m /data' | awk 'NR == 2 { print $2 }'; }
expect_df() { # POD MIB: a file system takes its own share
    local size
    size=$(df_of "$1")
    if [ "$size" -gt "$2" ] || [ "$size" -lt $(($2 * 8 / 10)) ]; then fail "df in the pod says $size MiB of $2"; fi
}

pvc data 100Mi "$LOCAL_CLASS" ReadWriteOnce
writer_start writer "" data
expect_df writer 100
grow data 300Mi
has_grown data 300Mi
expect_df writer 300
expect "capacity of the volume" "$(kubectl get pv "$(volume_of data)" -o 'jsonpath={.spec.capacity.storage}')" 300Mi
writer_check writer
ok "the claim has grown from 100 to 300 MiB under a pod that writes, and df says $(df_of writer)"

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
expect_event writer "room for [0-9]+ MiB that nobody was promised" 90
writer_check writer
expect_df writer 300
expect "capacity of the claim" "$(k get pvc data -o 'jsonpath={.status.capacity.storage}')" 300Mi
ok "100 TiB are refused, the pod's event says how much room there is, and the pod writes on"
grow data 400Mi
has_grown data 400Mi
expect_df writer 400
writer_check writer
state() { k get pvc data -o 'jsonpath={.status.allocatedResourceStatuses}{.status.conditions}'; }
settled() { [ -z "$(state)" ]; }
wait_until 60 settled || fail "the claim is not settled: $(state)"
ok "lowered to 400 MiB, the claim is served"

lines=$(writer_count writer)
gone pod writer
grow data 500Mi
pod reader "" data
running reader
has_grown data 500Mi
expect_df reader 500
expect "lines of the writer" "$([ "$(in_pod reader 'wc -l </data/writer-writer')" -ge "$lines" ] && echo kept)" kept
ok "grown without a pod: the next one has 500 MiB, and the data"
