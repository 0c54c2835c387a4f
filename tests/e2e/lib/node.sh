# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A node: containerd, kubelet and kube-proxy in a machine with a file tree, a network and control groups of its own. It has
# the paths that any node has (/var/lib/kubelet, /run/containerd), so that manifests need no change.
# Sourced after scripts/lib.sh, layout.sh, build.sh, pki.sh, network.sh and images.sh.

KUBELET_PORT=10250

# node_start NODE: returns when containerd answers; node_wait waits for the rest
node_start() {
    local node=$1
    node_files "$node"
    network_cni "$node"
    cgroup_make "$CGROUP/$node"
    machine_start "$node" bash "$ROOT/tests/e2e/lib/node-root.sh" "$(node_root "$node")" "$CACHE"
    network_node "$node"
    daemon_start "$node" containerd /usr/bin/containerd --config /etc/containerd/config.toml
    daemon_check "$node" containerd 60 node_cri_answers "$node"
}
# containerd answers before its part for the kubelet has looked through what an earlier run left, and the kubelet asks once.
# An empty message to RuntimeService/Version: a reply with something in it is its name.
node_cri_answers() {
    [ "$(machine_run "$1" sh -c 'printf "\0\0\0\0\0" | curl -s --max-time 5 --http2-prior-knowledge --data-binary @- \
        --unix-socket /run/containerd/containerd.sock -H "content-type: application/grpc" -H "te: trailers" \
        http://containerd/runtime.v1.RuntimeService/Version | wc -c')" -gt 5 ]
}

node_kubelet() {
    daemon_start "$1" kubelet /opt/stowage-e2e/bin/kubelet --config /etc/kubernetes/kubelet.yaml \
        --kubeconfig /etc/kubernetes/kubelet.conf --hostname-override "$1" --node-ip "$(node_ip "$1")"
    daemon_start "$1" kube-proxy /opt/stowage-e2e/bin/kube-proxy --config /etc/kubernetes/kube-proxy.yaml \
        --hostname-override "$1"
}

node_wait() { daemon_check "$1" kubelet 90 node_is_ready "$1"; }
node_is_ready() { kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -qx True; }

# node_crash NODE: everything that runs on it ends at once, and its mounts, loop devices, network and control groups with it;
# its disk stays
node_crash() {
    machine_stop "$1"
    cgroup_remove "$CGROUP/$1"
    loops_let_go "$(node_root "$1")$LOCAL_POOL/.stowage/data"
}
# node_boot NODE: after a crash; returns when it is Ready
node_boot() {
    node_start "$1"
    node_kubelet "$1"
    node_wait "$1"
}

# node_files NODE: what differs from node to node; node-root.sh adds the rest
node_files() {
    local node=$1 kubernetes
    kubernetes=$(node_root "$node")/etc/kubernetes
    mkdir -p "$kubernetes" "$(node_root "$node")/etc/containerd" "$(node_root "$node")$LOCAL_POOL"
    install -m 644 "$PKI/ca.crt" "$kubernetes/ca.crt"
    install -m 600 "$PKI/$node.conf" "$kubernetes/kubelet.conf"
    install -m 600 "$PKI/kube-proxy.conf" "$kubernetes/kube-proxy.conf"
    install -m 600 "$PKI/$node-serving.crt" "$kubernetes/serving.crt"
    install -m 600 "$PKI/$node-serving.key" "$kubernetes/serving.key"
    node_containerd_config >"$(node_root "$node")/etc/containerd/config.toml"
    node_kubelet_config "$node" >"$kubernetes/kubelet.yaml"
    node_proxy_config >"$kubernetes/kube-proxy.yaml"
    printf '127.0.0.1 localhost\n%s %s\n' "$(node_ip "$node")" "$node" >"$(node_root "$node")/etc/hosts"
    printf '%s\n' "$node" >"$(node_root "$node")/etc/hostname"
    # No name server: there is nobody to ask outside, and services are found by address.
    : >"$(node_root "$node")/etc/resolv.conf"
}

node_containerd_config() {
    cat <<TOML
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/$PAUSE_IMAGE"
  restrict_oom_score_adj = true # a machine that is a guest itself may lack CAP_SYS_RESOURCE, and pods would not start
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
TOML
}

# No image is ever collected (it could not be pulled again), and no pod evicted for the disk of the machine below.
node_kubelet_config() {
    cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_ip "$1")
port: $KUBELET_PORT
readOnlyPort: 0
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: /etc/kubernetes/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: /etc/kubernetes/serving.crt
tlsPrivateKeyFile: /etc/kubernetes/serving.key
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$1
failCgroupV1: false
failSwapOn: false
resolvConf: /etc/resolv.conf
clusterDomain: cluster.local
volumePluginDir: /var/lib/kubelet/volume-plugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%, imagefs.inodesFree: 1%}
YAML
}

# nf_conntrack_max belongs to the machine below and is not the cluster's to set.
node_proxy_config() {
    cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $POD_NETWORK.0.0/16
clientConnection: {kubeconfig: /etc/kubernetes/kube-proxy.conf}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

# --- control groups -------------------------------------------------------------------------------------------------

cgroup_hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/self/mounts; }

# cgroup_make PATH: in every hierarchy; version 1's cpuset starts empty and takes no process so, version 2 hands its
# controllers down only when told.
cgroup_make() {
    local top dir part file
    while read -r top; do
        dir=$top
        for part in ${1//\// }; do
            if [ -e "$dir/cgroup.subtree_control" ]; then
                while read -r -d ' ' file; do
                    printf '+%s\n' "$file" 2>/dev/null >"$dir/cgroup.subtree_control" || true
                done < <(tr '\n' ' ' <"$dir/cgroup.controllers")
            fi
            mkdir -p "$dir/$part"
            for file in cpuset.cpus cpuset.mems; do
                [ ! -e "$dir/cgroup.clone_children" ] || [ ! -e "$dir/$file" ] || cat "$dir/$file" >"$dir/$part/$file"
            done
            dir=$dir/$part
        done
    done < <(cgroup_hierarchies)
}

# cgroup_remove PATH: all below, innermost first; a group stays busy for a moment after its last process
cgroup_remove() {
    local top
    while read -r top; do
        [ ! -d "$top/$1" ] || wait_until 10 cgroup_remove_tree "$top/$1" ||
            note "control group $top/$1 is still busy: $(find "$top/$1" -name cgroup.procs -exec cat {} + | tr '\n' ' ')"
    done < <(cgroup_hierarchies)
}
cgroup_remove_tree() { find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || [ ! -d "$1" ]; }
