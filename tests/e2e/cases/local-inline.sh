#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Local volumes that stand in the pod itself (csi: … size): made with it and gone with it, also when the node plugin is killed meanwhile; a pool that is not allowed is told.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

NODE="node-2"
# inline_pod NAME ATTRIBUTES [MORE]: in flow style
inline_pod() {
    apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  nodeName: $NODE
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, fsGroup: 1000}
  volumes:
  - name: data
    csi: {driver: $LOCAL_DRIVER, volumeAttributes: {$2}${3:+, $3}}
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, 'trap exit TERM; while :; do sleep 1; done']
    volumeMounts: [{name: data, mountPath: /data}]
YAML
}
images() { local_images $NODE "$LOCAL_POOL"; }
before=$(images)

inline_pod one 'pool: disk, size: 64Mi'
inline_pod two 'pool: disk, size: 320Mi' 'fsType: xfs'
running one two
in_pod one 'echo kept >/data/file'
size=$(in_pod one 'df -m /data' | awk 'NR == 2 { print $2 }')
if [ "$size" -gt 64 ] || [ "$size" -lt 50 ]; then fail "df in the pod says $size MiB of 64"; fi
said=$(in_pod one 'dd if=/dev/zero of=/data/fill bs=1M count=100 2>&1; true')
[[ $said == *'No space left'* ]] || fail "64 MiB take 100: $said"
expect "file system" "$(in_pod two 'awk "\$2 == \"/data\" { print \$3 }" /proc/mounts')" xfs
expect "images" "$(images)" $((before + 2))
ok "pods have volumes of their own, of the size and file system they name, as a user without privilege"

inline_pod no-size 'pool: disk'
inline_pod huge 'pool: disk, size: 100Ti'
inline_pod other-pool 'pool: small, size: 64Mi'
expect_event no-size "'size' is missing"
expect_event huge "room for [0-9]+ MiB"
expect_event other-pool "allowedPools|directory .* mount its disk there"
expect "images" "$(images)" $((before + 2))
ok "what cannot be served is told by the pod's events, and takes no room"

signal_all stowage-node KILL
expect "data without the node plugin" "$(in_pod one 'cat /data/file')" kept
k delete pod two --wait=false >/dev/null
ready daemonset/stowage-node
k wait pod/two --for delete --timeout 120s >/dev/null 2>&1 || true
expect "data after the restart" "$(in_pod one 'cat /data/file')" kept
gone pod one no-size huge other-pool
none() { [ "$(images)" = "$before" ]; }
wait_until 60 none || fail "$(images) images, before there were $before"
no_loops() { [ -z "$(local_loops $NODE)" ]; }
wait_until 30 no_loops || fail "loop devices are left: $(local_loops $NODE)"
ok "the node plugin is killed while a pod goes: nothing is left of any"
