#!/usr/bin/env bash
# Kubernetes: from a claim to Bound and from a pod to Running, beside the same pods with an emptyDir; the memory of every
# container of the driver, idle and after a burst of claims. In the cluster of tests/e2e; called by bench/run.sh.
#
# usage: bench/kubernetes.sh       (through bench/run.sh)
#   KUBERNETES_ROUNDS: claims and pods (default 100); KUBERNETES_CLAIMS: claims of the burst (default 500)
#
# A cluster that is up with the driver in it (tests/e2e/run.sh --case cluster-itself --keep) is used and left as it is, but
# its controller and node plugins are started anew; otherwise one is made for this, and removed. Its API server, etcd, two kubelets, the
# NFS server and the pods share this machine's processors: read the ratios.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
E2E=$ROOT/tests/e2e
for part in layout images driver; do
    # shellcheck source=/dev/null # all are here
    . "$E2E/lib/$part.sh"
done

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
NAMESPACE=bench-kubernetes
made_cluster=0

cluster() { "$E2E/cluster.sh" "$@"; }
clean_up() {
    local rc=$?
    trap - EXIT INT TERM
    if [ "$made_cluster" = 1 ]; then
        cluster down >&2 || rc=1
    else
        cluster kubectl delete namespace "$NAMESPACE" --ignore-not-found --timeout 300s >/dev/null || rc=1
    fi
    exit "$rc"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if cluster kubectl get storageclass stowage-shared >/dev/null 2>&1; then
    for kind in deployment/stowage-controller daemonset/stowage-node; do
        cluster kubectl -n "$SYSTEM" rollout restart "$kind" >/dev/null
        cluster kubectl -n "$SYSTEM" rollout status "$kind" --timeout 180s >/dev/null
    done
else
    made_cluster=1
    "$E2E/run.sh" --case cluster-itself --keep >&2
fi
cluster kubectl create namespace "$NAMESPACE" >/dev/null
sleep 30 # the driver at rest, and the kubelets' statistics of it
cluster run python3 "$ROOT/bench/kubernetes.py" --class stowage-shared --image "$BUSYBOX_IMAGE" --namespace "$NAMESPACE" \
    --driver-namespace "$SYSTEM" --rounds "${KUBERNETES_ROUNDS:-100}" --claims "${KUBERNETES_CLAIMS:-500}"
