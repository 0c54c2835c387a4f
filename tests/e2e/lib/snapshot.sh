# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a cluster has before a driver is installed: the snapshot CRDs and the snapshot controller, from their release.
# Sourced after scripts/lib.sh, layout.sh, build.sh and control-plane.sh.

snapshot_install() {
    local manifest
    manifest=$STATE/run/snapshot-controller.yaml
    kubectl apply --server-side -k "$CACHE/snapshot/crd" >/dev/null
    # One of them is enough here, and its image is the one of this release. Snapshots of local volumes are taken by their nodes.
    sed -E "s,(image: .*snapshot-controller):.*,\1:$CSI_SNAPSHOTTER_VERSION,; s,^( *replicas:).*,\1 1,; s,^( *minReadySeconds:).*,\1 0,; \
        s,^( *- )\"--leader-election=true\",&\n\1\"--enable-distributed-snapshotting=true\"," \
        "$CACHE/snapshot/setup-snapshot-controller.yaml" >"$manifest"
    kubectl apply -f "$CACHE/snapshot/rbac-snapshot-controller.yaml" -f "$manifest" >/dev/null
    kubectl patch clusterrole snapshot-controller-runner --type json -p '[{"op": "add", "path": "/rules/-",
        "value": {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}}]' >/dev/null
    kubectl -n kube-system rollout status deployment/snapshot-controller --timeout=120s >/dev/null ||
        die "the snapshot controller does not start: tests/e2e/cluster.sh kubectl -n kube-system describe pods"
}
