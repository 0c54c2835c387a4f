#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The store in the chart, on a local volume: Lepton's unmodified client uses keys, queue and objects from a pod; the pods need no privilege; the data outlives the release.
# shellcheck disable=SC2016 # expanded in the pod
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
store_install --set store.persistence.storageClassName=$LOCAL_CLASS
ok "helm upgrade: the store runs on $(system get pod stowage-store-0 -o 'jsonpath={.spec.nodeName}'), on a volume of class $LOCAL_CLASS"
store kv create settings >/dev/null
store queue create jobs >/dev/null
k create configmap client --from-file="$E2E_PROGRAMS/store_client.py" >/dev/null
python_pod client "/programs/store_client.py http://$STORE_IP:3500/api/v1 $STORE_TOKEN $STORE_OTHER_TOKEN"
ended() { [[ $(k get pod client -o 'jsonpath={.status.phase}') =~ Succeeded|Failed ]]; }
wait_until 60 ended || fail "the client does not end: $(k logs client)"
said=$(k logs client)
expect "Lepton's client" "$(k get pod client -o 'jsonpath={.status.phase}'): $(grep -c '^ok' <<<"$said") checks" "Succeeded: 8 checks"
ok "leptonai $LEPTON_VERSION in a pod: $(grep -c '^ok' <<<"$said") checks; keys, queue, objects, links; other tokens are kept apart"

before=$(store_uid)
printf '%s default write\ncase-third-token-0003 third read\n' "$STORE_TOKEN" |
    system create secret generic case-store-tokens --from-file=tokens=/dev/stdin --dry-run=client -o yaml | system apply -f - >/dev/null 2>&1
system annotate pod stowage-store-0 stowage.dev/case=look >/dev/null # the kubelet looks at the pod now rather than within a minute
with_token() { system exec stowage-store-0 -c store -- stowage kv namespaces --token "$1"; }
wait_until 100 with_token case-third-token-0003 || fail "a token that was added to the Secret does not count"
! with_token "$STORE_OTHER_TOKEN" >/dev/null 2>&1 || fail "a token that was taken from the Secret still counts"
expect "the pod, and its starts" "$(store_uid) $(store_starts)" "$before 0"
ok "tokens of the Secret were exchanged, without a restart"

in_store() { system exec stowage-store-0 -c store -- sh -c "$1"; }
expect "user of the process" "$(in_store 'id -u; id -g' | tr '\n' ' ')" "65532 65532 "
expect "capabilities" "$(in_store 'grep -h Cap /proc/1/status' | awk '$1 != "CapBnd:" { print $2 }' | sort -u)" 0000000000000000
expect "writable places" "$(in_store 'for d in / /etc /usr /tmp /var/lib/stowage /backups; do touch $d/x 2>/dev/null && echo $d && rm $d/x; done' | tr '\n' ' ')" \
    "/var/lib/stowage /backups "
expect "secrets that others may read" "$(in_store 'find /var/lib/stowage/store -maxdepth 1 -perm /077')" ""
system create job --from=cronjob/stowage-store-backup case-backup >/dev/null
system wait job case-backup --for condition=Complete --timeout 60s >/dev/null || fail "the backup: $(system logs job/case-backup --tail 3)"
# The strictest level of Pod Security takes both pods, and not the NFS server's.
kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted >/dev/null 2>&1
allowed() { # allowed POD: would it be taken in a namespace of that level?
    system get pod "$1" -o json | jq '{apiVersion, kind, metadata: {name: "tried"}, spec: (.spec | del(.nodeName, .serviceAccountName, .serviceAccount, .priority, .priorityClassName))}' |
        k apply --dry-run=server -f - 2>&1
}
said=$(allowed stowage-store-0) || fail "the level 'restricted' refuses the store: $said"
said=$(allowed "$(system get pods -l job-name=case-backup -o 'jsonpath={.items[0].metadata.name}')") || fail "the level 'restricted' refuses the backup: $said"
! said=$(allowed stowage-nfs-0) || fail "the level 'restricted' takes the NFS server: it refuses nothing"
grep -q PodSecurity <<<"$said" || fail "the NFS server is refused for another reason: $said"
system get networkpolicy stowage-store -o json | jq -e '.spec.policyTypes == ["Ingress"] and .spec.ingress[0].ports[0].port == "store"' >/dev/null ||
    fail "no NetworkPolicy guards the store"
ok "no privilege (Pod Security: restricted), nothing to write to but its volumes; a NetworkPolicy is there (this cluster's network does not enforce them)"

volume=$(store_volume)
driver_install
! system get statefulset stowage-store >/dev/null 2>&1 || fail "the store stays when it is switched off"
store_install --set store.persistence.storageClassName=$LOCAL_CLASS
expect "the volume" "$(store_volume)" "$volume"
expect "the value" "$(store kv get settings rate)" 0.001
ok "switched off and on again: the same volume, the same data"
