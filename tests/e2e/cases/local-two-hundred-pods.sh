#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 200 pods at once, each with an inline local volume, then each with a generic ephemeral one: all run; the times beside the same pods with emptyDir, and failed CreateVolume calls.
# shellcheck disable=SC2317 # called by wait_until
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

COUNT=${LOCAL_PODS:-200} # a kubelet takes 110
# burst KIND VOLUME: prints how many seconds until all run
burst() {
    local started
    started=$(now_ms)
    apply <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: $COUNT
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      terminationGracePeriodSeconds: 0
      automountServiceAccountToken: false
      enableServiceLinks: false
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: $1}}}
      volumes:
      - name: data
        $2
      containers:
      - {name: main, image: $PAUSE_IMAGE, volumeMounts: [{name: data, mountPath: /data}]}
YAML
    all_run() { [ "$(k get deployment "$1" -o 'jsonpath={.status.readyReplicas}')" = "$COUNT" ]; }
    wait_until 400 all_run "$1" || fail "not all of $COUNT pods run within 400 s: $(k get pods --no-headers | awk '{ print $3 }' | sort | uniq -c | xargs)"
    seconds_since "$started"
}
end_burst() {
    k delete deployment "$1" --timeout 60s >/dev/null
    no_pods() { [ -z "$(k get pods,pvc -o name)" ]; }
    wait_until 300 no_pods || fail "pods or claims stay"
}
# failed_creations: CreateVolume calls that both nodes answered with an error since they started
failed_creations() {
    local node
    for node in "${NODES[@]}"; do
        machine_net control curl -sf "http://$(node_ip "$node"):9811/metrics"
    done | awk '/^stowage_rpc_seconds_count.*CreateVolume/ && !/code="OK"/ { n += $NF } END { print n + 0 }'
}

before=$(failed_creations)
empty=$(burst empty 'emptyDir: {}')
ok "$COUNT pods with emptyDir run after $empty s"
end_burst empty
inline_s=$(burst inline "csi: {driver: $LOCAL_DRIVER, volumeAttributes: {pool: disk, size: 10Mi}}")
ok "$COUNT pods with an inline local volume each run after $inline_s s"
end_burst inline
# Claims are bound by kube-controller-manager, which writes 20 objects a second unless told otherwise (--kube-api-qps): some
# five for each claim, three of its states and two events. So many pods wait for it, whatever the driver does.
local_s=$(burst local "ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], storageClassName: $LOCAL_CLASS, resources: {requests: {storage: 10Mi}}}}}")
ok "$COUNT pods with a claim of a local volume each run after $local_s s"
ratio() { awk -v a="$1" -v b="$empty" 'BEGIN { printf "%.2f", a / b }'; }
say "  ratio $(ratio "$inline_s") with inline volumes, $(ratio "$local_s") with claims; failed CreateVolume calls: $(($(failed_creations) - before))"
end_burst local
none_left() { [ -z "$(kubectl get pv -o json | jq -r ".items[] | select(.spec.claimRef.namespace == \"$NAMESPACE\") | .metadata.name")" ]; }
wait_until 300 none_left || fail "volumes are left"
for node in "${NODES[@]}"; do expect "loop devices of $node" "$(local_loops "$node")" ""; done
ok "all are deleted, and no loop device is left"
