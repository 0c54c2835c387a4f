# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The driver under test: installing it as the tests want it, and seeing that nothing of it is left.
# Sourced after scripts/lib.sh and the other parts of the cluster.

SYSTEM=stowage-system
RELEASE=stowage

helm() { KUBECONFIG=$KUBECONFIG_ADMIN machine_net control "$CACHE/bin/helm" "$@"; }

# driver_install [ARGUMENT…]: installs or upgrades; arguments go to helm. Shows helm's words and the pods when it fails.
driver_install() {
    local log rc=0
    log=$(mktemp)
    helm upgrade --install "$RELEASE" "$ROOT/charts/stowage" --namespace "$SYSTEM" --create-namespace \
        --values "$ROOT/tests/e2e/values.yaml" --wait --timeout 5m "$@" >"$log" 2>&1 || rc=$?
    if [ "$rc" != 0 ]; then
        cat "$log"
        kubectl -n "$SYSTEM" get pods -o wide
        kubectl -n "$SYSTEM" get events --sort-by .lastTimestamp | tail -n 20
    fi >&2
    rm -f "$log"
    return "$rc"
}

# driver_leftovers [NAMESPACE]: a line for everything of the driver that is still there: objects of any kind, registrations,
# processes and mounts of the nodes; but for the kinds of stowage.dev, which an uninstall keeps with all objects of theirs
# shellcheck disable=SC2016 # expanded on the node
driver_leftovers() {
    local kinds machine
    kinds=$(kubectl api-resources --verbs list -o name | grep -v '^events' | paste -sd ,)
    kubectl get "$kinds" --all-namespaces -l "app.kubernetes.io/instance=$RELEASE" -o name 2>/dev/null |
        grep -v '^customresourcedefinition'
    kubectl get leases -n "${1:-$SYSTEM}" -o name 2>/dev/null
    kubectl get csinodes -o 'jsonpath={range .items[*].spec.drivers[*]}driver {.name} on {.nodeID}{"\n"}{end}' | grep stowage
    for machine in "${NODES[@]}"; do
        machine_run "$machine" grep -h -E 'csi[.]stowage|fuse[.]stowage' /proc/self/mounts | sed "s/^/$machine: mount /"
        machine_run "$machine" sh -c 'for p in /proc/[0-9]*; do cat $p/comm 2>/dev/null; done' | grep '^stowage-' |
            sed "s/^/$machine: process /"
    done
    true
}
driver_is_gone() { [ -z "$(driver_leftovers "$@")" ]; }
