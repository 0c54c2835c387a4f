# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The cluster's network: a bridge in the control machine, to which each node has a link; routes between the nodes' pods. The
# machine that the cluster runs on gets no link, no address and no rule. Sourced after scripts/lib.sh and layout.sh.

network_control() {
    machine_net control ip link add cluster type bridge
    machine_net control ip address add "$CONTROL_IP/24" dev cluster
    machine_net control ip link set cluster up
    network_forward control
}

# network_node NODE: its eth0, and the routes to all other nodes' pods, of the control plane too
network_node() {
    local node=$1 other pid
    pid=$(need_machine "$node")
    machine_net control ip link add "$node" type veth peer name eth0 netns "$pid"
    machine_net control ip link set "$node" master cluster up
    machine_net "$node" ip address add "$(node_ip "$node")/24" dev eth0
    machine_net "$node" ip link set eth0 up
    machine_net "$node" ip route add default via "$CONTROL_IP"
    machine_net control ip route replace "$(node_pods "$node")" via "$(node_ip "$node")"
    for other in "${NODES[@]}"; do
        [ "$other" = "$node" ] || machine_net "$node" ip route replace "$(node_pods "$other")" via "$(node_ip "$other")"
    done
    network_forward "$node"
}

# /proc/sys/net is that of the process's own network
network_forward() { machine_net "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'; }

# network_cni NODE: routed links (ptp) rather than a bridge, because a bridge needs br_netfilter for a service whose endpoint
# is on the caller's own node.
network_cni() {
    mkdir -p "$(node_root "$1")/etc/cni/net.d"
    cat >"$(node_root "$1")/etc/cni/net.d/10-stowage-e2e.conflist" <<JSON
{
  "cniVersion": "1.0.0",
  "name": "stowage-e2e",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{ "subnet": "$(node_pods "$1")" }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
JSON
}
