#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The controller is killed again and again while 100 claims are provisioned: all become bound, none twice.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

COUNT=100
kill_controllers() { signal_all stowage-controller KILL || true; }
for i in $(seq $COUNT); do
    printf -- '---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c%s}\nspec:\n  accessModes: [ReadWriteMany]\n  storageClassName: %s\n  resources: {requests: {storage: 1Gi}}\n' "$i" "$CLASS"
done | apply
bound_count() { k get pvc -o 'jsonpath={range .items[*]}{.status.phase}{"\n"}{end}' | grep -c Bound; }
for _ in 1 2 3; do
    kill_controllers
    sleep 2
done
all_bound() { [ "$(bound_count)" = $COUNT ]; }
wait_until 240 all_bound || fail "only $(bound_count) of $COUNT claims are bound"
ok "$COUNT claims are bound, the controller having been killed 3 times"
handles=$(kubectl get pv -o json | jq -r ".items[] | select(.spec.claimRef.namespace == \"$NAMESPACE\") | .spec.csi.volumeHandle")
expect "different volumes" "$(sort -u <<<"$handles" | wc -l)" $COUNT
directories=$(server_sh 'ls "$EXPORT_DIR" | grep -c ^pvc-')
volumes=$(kubectl get pv -o json | jq "[.items[] | select(.spec.csi.driver == \"$DRIVER\")] | length")
expect "directories on the server, and volumes" "$directories" "$volumes"
ok "no volume twice, no directory without a volume"
k delete pvc --all --timeout 120s >/dev/null
none_left() { [ -z "$(kubectl get pv -o json | jq -r ".items[] | select(.spec.claimRef.namespace == \"$NAMESPACE\") | .metadata.name")" ]; }
wait_until 180 none_left || fail "volumes are left"
ok "all deleted"
