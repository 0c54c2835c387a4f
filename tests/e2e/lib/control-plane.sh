# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# etcd, kube-apiserver, kube-controller-manager and kube-scheduler, in the machine `control`.
# Sourced after scripts/lib.sh, layout.sh, pki.sh and network.sh.

control_plane_start() {
    machine_start control
    network_control
    etcd_start
    apiserver_start
    controller_manager_start
    scheduler_start
    daemon_check control kube-controller-manager 60 healthy 10257
    daemon_check control kube-scheduler 60 healthy 10259
}

# Without fsync: what it holds ends with the cluster.
etcd_start() {
    mkdir -p "$STATE/etcd"
    daemon_start control etcd "$CACHE/bin/etcd" --name control --data-dir "$STATE/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster control=http://127.0.0.1:2380 --log-level warn
}

# No kube-proxy runs on the control machine: webhooks are called at the endpoints of their Services.
APISERVER_FLAGS=(--enable-aggregator-routing=true)

apiserver_start() {
    daemon_start control kube-apiserver "$CACHE/bin/kube-apiserver" \
        --etcd-servers http://127.0.0.1:2379 --advertise-address "$CONTROL_IP" --secure-port 6443 \
        --service-cluster-ip-range "$SERVICE_NETWORK" --allow-privileged --authorization-mode Node,RBAC \
        --enable-admission-plugins NodeRestriction --client-ca-file "$PKI/ca.crt" \
        --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" --cert-dir "$STATE/run" \
        --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-client-certificate "$PKI/kubelet-client.crt" \
        --kubelet-client-key "$PKI/kubelet-client.key" --kubelet-preferred-address-types InternalIP \
        "${APISERVER_FLAGS[@]}" \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$PKI/service-account.pub" --service-account-signing-key-file "$PKI/service-account.key"
    daemon_check control kube-apiserver 120 kubectl get --raw /readyz
}

controller_manager_start() {
    daemon_start control kube-controller-manager "$CACHE/bin/kube-controller-manager" \
        --kubeconfig "$PKI/controller-manager.conf" --authentication-kubeconfig "$PKI/controller-manager.conf" \
        --authorization-kubeconfig "$PKI/controller-manager.conf" --bind-address 127.0.0.1 --cert-dir "$STATE/run" \
        --leader-elect=false --use-service-account-credentials --controllers '*' --root-ca-file "$PKI/ca.crt" \
        --service-account-private-key-file "$PKI/service-account.key" \
        --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key"
}

scheduler_start() {
    daemon_start control kube-scheduler "$CACHE/bin/kube-scheduler" --kubeconfig "$PKI/scheduler.conf" \
        --authentication-kubeconfig "$PKI/scheduler.conf" --authorization-kubeconfig "$PKI/scheduler.conf" \
        --bind-address 127.0.0.1 --cert-dir "$STATE/run" --leader-elect=false
}

# healthy PORT: of a part of the control plane that shows its health without being asked who wants to know
healthy() { [ "$(machine_net control curl -fsSk --max-time 5 "https://127.0.0.1:$1/healthz")" = ok ]; }

kubectl() { machine_net control "$CACHE/bin/kubectl" --kubeconfig "$KUBECONFIG_ADMIN" "$@"; }
