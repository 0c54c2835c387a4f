#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The API server accepts all that the chart renders, in a dry run and without a warning: by default, and with its options on.
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

# dry_run WHAT ARGUMENT…: arguments go to helm template
dry_run() {
    local what=$1 said rc=0
    shift
    said=$(helm template dry "$ROOT/charts/stowage" --namespace "$NAMESPACE" --kube-version "${KUBERNETES_VERSION#v}" \
        --api-versions snapshot.storage.k8s.io/v1 "$@" |
        kubectl apply --server-side --force-conflicts --dry-run=server --namespace "$NAMESPACE" -f - 2>&1) || rc=$?
    [ "$rc" = 0 ] || fail "$what: $(grep -v 'serverside-applied' <<<"$said")"
    ! grep -i '^warning' <<<"$said" || fail "$what: the API server warns"
    ok "$what: $(grep -c 'serverside-applied' <<<"$said") objects"
}

cat >"/tmp/$NAMESPACE.yaml" <<'YAML'
storageClasses:
  - name: dry-filer
    default: true
    reclaimPolicy: Retain
    parameters: {server: 10.0.0.5, share: /exports/data/, nfsVersion: 3, mountPort: 20048, uid: 1000650000, mountPermissions: "0770"}
volumeAttributesClasses:
  - {name: dry-kept, parameters: {onDelete: retain}}
nfsServer:
  enabled: true
  persistence: {size: 10Gi}
  storageClass: {name: dry-own}
snapshots: {enabled: true}
inlineVolumes: {allowedShares: ["10.0.0.5:/exports/*"]}
customLabels: {team: ai}
controller: {hostNetwork: true}
store:
  enabled: true
  persistence: {storageClassName: dry-filer}
  tokens: {existingSecret: dry-tokens}
  tls: {existingSecret: dry-tls}
  service: {port: 443, annotations: {a: b}}
  quotas: ["bytes=10Gi"]
  restore: nightly
  from: [{namespaceSelector: {matchLabels: {team: ai}}}]
  podAnnotations: {a: b}
YAML
at_end "rm -f /tmp/$NAMESPACE.yaml"
dry_run "the defaults"
dry_run "as the end-to-end tests install it" --values "$ROOT/tests/e2e/values.yaml" --set nfsServer.storageClass.name=dry-own
dry_run "with the store" --set store.enabled=true
dry_run "with its options on" --values "/tmp/$NAMESPACE.yaml"
expect "the installed controller is untouched" "$(kubectl get deployments -n "$NAMESPACE" -o name)" ""
