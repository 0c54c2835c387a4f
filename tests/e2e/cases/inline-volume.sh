#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods mount an existing directory of a share without a claim (csi: … mountFrom): read-only and read-write; what is not allowed or not there is told.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"

MODES=$(kubectl get csidriver "$DRIVER" -o 'jsonpath={.spec.volumeLifecycleModes}')
[[ $MODES == *Ephemeral* ]] || skip "the driver is installed without inline volumes: $MODES"
case_begin

# inline_pod NAME NODE READ_ONLY [KEY=VALUE…]: a pod with the class's share at /data, and further attributes
inline_pod() {
    local name=$1 node=$2 read_only=$3 pair attributes=''
    shift 3
    for pair in "$@"; do attributes+=", ${pair%%=*}: $(json_text "${pair#*=}")"; done
    apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $name}
spec:
  nodeName: $node
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes:
  - name: data
    csi: {driver: $DRIVER, readOnly: $read_only, volumeAttributes: {server: "$SERVER", share: "$SHARE"$attributes}}
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, 'trap exit TERM; while :; do sleep 1; done']
    volumeMounts: [{name: data, mountPath: /data}]
YAML
}
daemons() { processes_of stowage-cachefs | wc -l; }
daemons_are() { [ "$(daemons)" = "$1" ]; }

SERVER=$(kubectl get storageclass "$CLASS" -o 'jsonpath={.parameters.server}')
SHARE=$(kubectl get storageclass "$CLASS" -o 'jsonpath={.parameters.share}')

class_like case-inline-volume subDir=case-inline-volume/dataset
pvc dataset 1Gi case-inline-volume
pod maker node-1 dataset
running maker
in_pod maker 'echo dataset >/data/file'
before=$(daemons)

inline_pod reader node-2 true mountFrom=/case-inline-volume/dataset mountMode=fuse
inline_pod second node-2 true mountFrom=case-inline-volume/dataset/ mountMode=fuse
inline_pod writer node-1 false mountFrom=/case-inline-volume mountMode=fuse mountOptions=noatime,nconnect=2
running reader second writer
expect "the reader reads" "$(in_pod reader 'cat /data/file')" dataset
ok "pods run with a directory that a claim made, on both nodes, without a claim"
if in_pod reader 'touch /data/no' 2>/dev/null; then fail "a read-only inline volume took a write"; fi
in_pod writer 'echo more >/data/dataset/by-writer'
expect "the reader sees what the writer wrote" "$(in_pod reader 'cat /data/by-writer')" more
expect "the claim sees it" "$(in_pod maker 'cat /data/by-writer')" more
ok "readOnly is kept, and the others' writes are seen"

inline_pod missing node-1 true mountFrom=/case-inline-volume/missing
inline_pod secret node-1 true mountFrom=/
inline_pod typo node-1 true mountFrom=/case-inline-volume subDir=x
inline_pod escape node-1 true mountFrom=/case-inline-volume/../..
expect_event missing "must exist.*'missing'"
expect_event secret "$SERVER:$SHARE are not allowed.*--inline-shares"
expect_event typo "'subDir' does not belong.*mountFrom"
expect_event escape "mountFrom.*'\.\.'"
if in_pod writer 'ls /data' | grep -q missing; then fail "the missing directory was made"; fi
ok "a missing directory, a share that is not allowed and wrong attributes are named"

signal_all stowage-node KILL
expect "reads without the node plugin" "$(in_pod reader 'cat /data/file')" dataset
ready daemonset/stowage-node
expect "reads after the restart" "$(in_pod second 'cat /data/by-writer')" more
ok "the node plugins are killed: the pods go on"

gone pod reader second writer missing secret typo escape
wait_until 60 daemons_are "$before" || fail "$(daemons) daemons run, before there were $before"
expect "the data" "$(in_pod maker 'cat /data/file /data/by-writer')" $'dataset\nmore'
ok "the pods are gone, their mounts too, and no data"
