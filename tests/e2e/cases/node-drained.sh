#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A node is drained: the deployment's pod moves to the other node with its data.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
apply <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
      containers:
      - name: main
        image: $BUSYBOX_IMAGE
        command: [sh, -c, 'hostname >>/data/hosts; trap exit TERM; while :; do sleep 1; done']
        volumeMounts: [{name: data, mountPath: /data}]
YAML
k rollout status deployment/app --timeout 120s >/dev/null
node_of() { k get pods -l app=app --field-selector status.phase=Running -o 'jsonpath={.items[0].spec.nodeName}'; }
first=$(node_of)
ok "it runs on $first"
at_end 'kubectl uncordon "$first" >/dev/null || true'
kubectl drain "$first" --ignore-daemonsets --delete-emptydir-data --pod-selector app=app --timeout 120s >/dev/null 2>&1 ||
    fail "the drain does not end"
k rollout status deployment/app --timeout 120s >/dev/null
[ "$(node_of)" != "$first" ] || fail "the pod is still on $first"
expect "hosts that wrote" "$(k exec deployment/app -- sh -c 'wc -l </data/hosts')" 2
ok "it runs on $(node_of), with its data"
