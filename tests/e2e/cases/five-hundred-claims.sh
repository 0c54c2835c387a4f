#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 500 claims at once: all are bound; the time, and the memory of the controllers before and after.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

COUNT=500
controller_memory() {
    local machine pid
    while read -r machine pid; do
        machine_run "$machine" awk '/VmRSS/ { printf "%.1f ", $2 / 1024 }' "/proc/$pid/status"
    done < <(processes_of stowage-controller)
}
say "  controllers' memory before, MiB: $(controller_memory)"
started=$(now_ms)
for i in $(seq $COUNT); do
    printf -- '---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c%s}\nspec:\n  accessModes: [ReadWriteMany]\n  storageClassName: %s\n  resources: {requests: {storage: 1Gi}}\n' "$i" "$CLASS"
done | apply
all_bound() { [ "$(k get pvc -o 'jsonpath={range .items[*]}{.status.phase}{"\n"}{end}' | grep -c Bound)" = $COUNT ]; }
wait_until 400 all_bound || fail "not all of $COUNT claims are bound within 400 s"
ok "$COUNT claims are bound, $(seconds_since "$started") s after the first was asked for"
say "  controllers' memory after, MiB:  $(controller_memory)"
k delete pvc --all --timeout 300s >/dev/null
none_left() { [ -z "$(kubectl get pv -o json | jq -r ".items[] | select(.spec.claimRef.namespace == \"$NAMESPACE\") | .metadata.name")" ]; }
wait_until 400 none_left || fail "volumes are left"
ok "and all are deleted"
