#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Job with Lepton's unmodified client and one annotation uses keys, a queue and objects of its namespace, and ends together with its sidecar.
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
for part in lepton store; do
    # shellcheck source=/dev/null # both are here
    . "$ROOT/tests/e2e/lib/$part.sh"
done
case_begin
lepton_image
step_started=$(now_ms)

store_begin
store_install --set "store.persistence.storageClassName=$LOCAL_CLASS,store.backup.enabled=false,store.serviceAccountTokens=true" \
    --set "sidecar.injection.enabled=true,sidecar.injection.storeUrl=http://$STORE_IP:3500"
# A pod that gets no sidecar is refused here: it would show nothing.
kubectl patch mutatingwebhookconfiguration stowage-webhook --type json -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]' >/dev/null
answers() { k create --dry-run=server -f - >/dev/null <<<'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": {"stowage.dev/inject": "true"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}'; }
wait_until 90 answers || fail "the webhook does not answer"
ok "helm upgrade: the API server asks the controllers, by a certificate of their own"

kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted >/dev/null
k create configmap program --from-file="$E2E_PROGRAMS/sidecar_client.py" >/dev/null
# The user is not the sidecar's, and may write nowhere but in /tmp.
k apply -f - >/dev/null <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: client}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {stowage.dev/inject: "true"}}
    spec:
      restartPolicy: Never
      enableServiceLinks: false
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
      volumes: [{name: program, configMap: {name: program}}]
      containers:
      - name: app
        image: $LEPTON_IMAGE
        imagePullPolicy: Never
        args: [/program/sidecar_client.py]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: program, mountPath: /program}]
YAML
ended() { [ "$(k get job client -o json | jq '(.status.succeeded // 0) + (.status.failed // 0)')" != 0 ]; }
wait_until 180 ended || fail "the job does not end: $(k get pods -o wide; k logs job/client --all-containers --tail 10)"
said=$(k logs job/client -c app)
expect "jobs that succeeded ($said)" "$(k get job client -o 'jsonpath={.status.succeeded}')" 1
expect "checks" "$(grep -c '^ok' <<<"$said")" 4
expect "how the sidecar ended" "$(k get pods -l job-name=client -o json | jq -c '.items[0].status.initContainerStatuses | map([.name, .state.terminated.exitCode])')" '[["stowage-sidecar",0]]'
ok "leptonai $LEPTON_VERSION in a restricted namespace, told nothing: keys, queue, objects; the Job is complete, and its sidecar has ended"
