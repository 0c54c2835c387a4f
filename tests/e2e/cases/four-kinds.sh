#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example with all four kinds, applied once: a Job with Lepton's unmodified client uses each and ends with its sidecar; keys are files in a pod; operator and API server are killed while objects of each kind come and go; a store that is gone keeps none.
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
MANY=5
made_cluster_wide+=(filesystem/projects)

store_begin
store_install --set "store.persistence.storageClassName=$LOCAL_CLASS,store.backup.enabled=false,store.serviceAccountTokens=true" \
    --set "sidecar.injection.enabled=true,sidecar.injection.storeUrl=http://$STORE_IP:3500,controller.extraArgs={--store-patience=10}"
# A pod that gets no sidecar is refused here: it would show nothing.
kubectl patch mutatingwebhookconfiguration stowage-webhook --type json -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]' >/dev/null
answers() { k create --dry-run=server -f - >/dev/null <<<'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": {"stowage.dev/inject": "true"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}'; }
wait_until 90 answers || fail "the webhook does not answer"
token=$(k create token default --audience stowage-store)
# ours COMMAND…: the command `stowage`, as the namespace's own account; ours_named COMMAND…: only the names that it lists
ours() { system exec stowage-store-0 -c store -- env "STOWAGE_TOKEN=$token" stowage "$@"; }
ours_named() { ours "$@" --json | jq -r '.[].name' | sort; }
ok "helm upgrade: the store, an operator that uses it, and a webhook by a certificate of its own"

# --- the example ------------------------------------------------------------------------------------------------------
# It names a server and an image that are not here, and PyPI.
everything() {
    sed -e "s|^\( *\)server: 10.0.0.5\$|\1server: 10.202.0.50\n\1nfsPort: 2049\n\1mountPort: 20048|" -e 's|share: /exports/data$|share: /export|' \
        -e "s|^\( *\)image: python:3.11\$|\1image: $LEPTON_IMAGE\n\1imagePullPolicy: Never|" -e 's|pip install [^&]*&& ||' \
        "$ROOT/manifests/examples/everything.yaml"
}
[[ $(everything) != *10.0.0.5* && $(everything) != *pip* ]] || fail "the example was changed, its edits here were not"
kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted >/dev/null
everything | apply
ended() { [ "$(k get job train -o json | jq '(.status.succeeded // 0) + (.status.failed // 0)')" != 0 ]; }
wait_until 120 ended || fail "the job does not end: $(k get pods -o wide; k logs job/train --all-containers --tail 10)"
expect "jobs that succeeded ($(k logs job/train -c app))" "$(k get job train -o 'jsonpath={.status.succeeded} {.status.failed}')" "1 "
expect "what it says" "$(k logs job/train -c app)" "done: train at 0.001"
expect "how the sidecar ended" "$(k get pods -l job-name=train -o json | jq -c '.items[0].status.initContainerStatuses | map([.name, .state.terminated.exitCode])')" '[["stowage-sidecar",0]]'
k wait filesystem/projects keyvalue/settings queue/tasks bucket/models --for condition=Ready --timeout 30s >/dev/null
# shellcheck disable=SC2016 # expanded in the pod
expect "the file on the share" "$(server_sh 'cat "$EXPORT_DIR"'"/$NAMESPACE/results/log")" "train at 0.001"
expect "the key that it wrote" "$(ours kv get settings trained)" yes
expect "bytes of the object" "$(ours object get models/weights | wc -c)" 300000
ok "applied once, leptonai $LEPTON_VERSION, told nothing, in a restricted namespace: all Ready, and the Job complete with its sidecar ended"

# --- keys as files ------------------------------------------------------------------------------------------------------
# Waits, as it would for a ConfigMap that is missing.
apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: reader, annotations: {stowage.dev/inject: "true", stowage.dev/inject-files: "settings, live"}}
spec:
  terminationGracePeriodSeconds: 1
  enableServiceLinks: false
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: app
    image: $LEPTON_IMAGE
    imagePullPolicy: Never
    args: ["-c", "import time; time.sleep(900)"]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
YAML
shown() { k exec reader -c app -- cat "/etc/stowage/$1" 2>/dev/null; }
shows() { [ "$(shown "$1")" = "$2" ]; }
told() { k get events --field-selector involvedObject.name=reader -o json | grep -q "'live' does not exist"; }
wait_until 60 told || fail "nothing says what the pod waits for: $(k describe pod reader | tail -12)"
expect "containers that started before their files" "$(k get pod reader -o json | jq '[.status.containerStatuses[]? | select(.started)] | length')" 0
ours kv create live >/dev/null
ours kv put live greeting one >/dev/null
k wait pod reader --for condition=Ready --timeout 60s >/dev/null || fail "$(k describe pod reader | tail -12)"
expect "a key of the example" "$(shown settings/trained)" yes
wait_until 10 shows live/greeting one || fail "the key is no file: $(k exec reader -c app -- ls -la /etc/stowage/live)"
ours kv put live greeting two >/dev/null
wait_until 10 shows live/greeting two || fail "the file does not follow: $(k logs reader -c stowage-sidecar --tail 5)"
! k exec reader -c app -- sh -c 'echo x >/etc/stowage/live/greeting || touch /etc/stowage/live/new' 2>/dev/null || fail "the files can be written"
ours kv delete live >/dev/null
expect "the file of a namespace that is gone" "$(shown live/greeting)" two
k delete pod reader --wait=false >/dev/null
ok "keys are files in a restricted pod, which waited for them; they follow the store, and nobody else writes them"

# --- killed, while objects come and go ------------------------------------------------------------------------------------
# lot NAME: MANY objects of each kind
lot() {
    local i
    for i in $(seq "$MANY"); do
        cat <<YAML
---
{apiVersion: stowage.dev/v1alpha1, kind: FileSystem, metadata: {name: case-$1-$i}, spec: {type: Shared, server: 10.202.0.50, share: /export, nfsPort: 2049, mountPort: 20048}}
---
{apiVersion: stowage.dev/v1alpha1, kind: KeyValue, metadata: {name: $1-$i}, spec: {data: {a: "$i"}}}
---
{apiVersion: stowage.dev/v1alpha1, kind: Queue, metadata: {name: $1-$i}, spec: {visibilitySeconds: 60}}
---
{apiVersion: stowage.dev/v1alpha1, kind: Bucket, metadata: {name: $1-$i}, spec: {access: Private, deletionPolicy: Delete}}
YAML
        made_cluster_wide+=("filesystem/case-$1-$i")
    done
}
lot one >/dev/null && lot two >/dev/null && lot three >/dev/null # for made_cluster_wide
names_of() { k get "$1" -o name | sed 's|.*/||' | sort; }
ready_ones() { k get filesystems,keyvalues,queues,buckets -o json | jq '[.items[] | select(.metadata.deletionTimestamp == null) | select(.status.conditions[]? | .type == "Ready" and .status == "True")] | length'; }
all_ready() { [ "$(ready_ones)" = "$1" ] && [ "$(k get filesystems,keyvalues,queues,buckets -o name | wc -l)" = "$1" ]; }
holder() { system get lease stowage-operator -o 'jsonpath={.spec.holderIdentity}'; }
# kill_operator POD: its process at once, and the pod without waiting
kill_operator() {
    local machine pid killed=0
    while read -r machine pid; do
        # shellcheck disable=SC2016 # expanded on the node
        if machine_run "$machine" sh -c 'tr "\0" "\n" <"/proc/$1/environ" | grep -qx "HOSTNAME=$2" && kill -KILL "$1"' sh "$pid" "$1"; then killed=1; fi
    done < <(processes_of stowage-controller)
    [ "$killed" = 1 ] || fail "'$1' is nobody's pod"
    system delete pod "$1" --force --grace-period=0 >/dev/null 2>&1
}
kill_apiserver() {
    machine_run control kill -KILL "$(daemon_pid control kube-apiserver)"
    wait_until 10 daemon_dead control kube-apiserver
    daemon_again control kube-apiserver
    daemon_check control kube-apiserver 120 kubectl get --raw /readyz
}

ours kv put settings rate 0.5
lot one | apply
wait_until 60 all_ready $((4 + 4 * MANY)) || fail "not all are Ready: $(k get stowage)"
leader=$(holder)
lot two | apply
lot one | k delete --wait=false -f - >/dev/null
kill_operator "${leader%_*}"
kill_apiserver
lot three | apply
wait_until 90 all_ready $((4 + 8 * MANY)) || fail "they do not come to what was applied: $(k get stowage; system logs -l app.kubernetes.io/component=controller -c stowage-controller --tail 5)"
[ "$(holder)" != "$leader" ] || fail "who was killed leads"
ok "the leading operator and the API server are killed: ${leader%_*} led, $(holder | sed 's/_.*//') does; all that was applied is there, what was deleted is gone"

owned() { kubectl get storageclasses -o json | jq -r '.items[] | select(.metadata.ownerReferences[0].kind == "FileSystem") | .metadata.name + " " + .metadata.ownerReferences[0].uid' | sort; }
expect "StorageClasses" "$(owned)" "$(kubectl get filesystems -o json | jq -r '.items[] | .metadata.name + " " + .metadata.uid' | sort)"
# made WHICH: how often the class of each FileSystem was made, as Events tell, a line each; WHICH: of jq
made() { kubectl get events -n default --field-selector reason=StorageClassCreated -o json | jq -r "[.items | group_by(.involvedObject.uid)[] | {uid: .[0].involvedObject.uid, times: ([.[].count] | add)}] | $1"; }
expect "how often the class of the example was made" "$(made ".[] | select(.uid == \"$(kubectl get filesystem projects -o 'jsonpath={.metadata.uid}')\") | .times")" 1
expect "most times that any was made" "$(made 'map(.times) | max')" 1
expect "namespaces in the store" "$(ours_named kv namespaces)" "$(names_of keyvalues)"
expect "queues in the store" "$(ours_named queue ls)" "$(names_of queues)"
expect "a key that was changed after it was seeded" "$(ours kv get settings rate)" 0.5
expect "warnings" "$(k get events --field-selector type=Warning -o json | jq -c '[.items[] | select(.source.component == "stowage-operator") | .message]')" '[]'
ok "nothing is there twice, and nothing too much"

# --- the end ----------------------------------------------------------------------------------------------------------
volume=$(volume_of results)
everything | k delete --timeout 60s -f - >/dev/null
volume_is_gone "$volume" || fail "the volume stays"
expect "classes" "$(kubectl get storageclass projects --ignore-not-found)" ""
expect "what is left of it in the store" "$(ours_named kv namespaces | grep -x settings; ours_named queue ls | grep -x tasks; ours object ls models/)" ""
system scale statefulset stowage-store --replicas 0 >/dev/null
system wait pod stowage-store-0 --for delete --timeout 60s >/dev/null
{ lot two && lot three; } | k delete --timeout 90s -f - >/dev/null || fail "a store that is gone keeps: $(k get stowage)"
expect_event two-1 'stay in the store.*are found again'
ok "kubectl delete -f leaves nothing; a store that is gone keeps no object for ever"
