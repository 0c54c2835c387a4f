#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The test cluster is one: pods of both nodes reach each other and services, exec and logs work, mounts propagate to the node.
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

# plain_pod NAME NODE COMMAND [MORE_OF_SPEC [MORE_OF_CONTAINER]]
plain_pod() {
    apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 1
  ${4:-}
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, $(json_text "$3")]
    ${5:-}
YAML
}
address_of() { k get pod "$1" -o 'jsonpath={.status.podIP}'; }
# expect_answer POD ADDRESS WANTED: from a web server's port 80 (Debian's static wget crashes)
answers() { in_pod "$1" "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 $2 80" | grep -qx "$3"; }
expect_answer() { wait_until 20 answers "$@" || fail "$1 does not get '$3' from $2"; }

for node in "${NODES[@]}"; do
    plain_pod "web-$node" "$node" "echo hello from $node; mkdir /www; echo $node >/www/index.html; exec httpd -f -p 80 -h /www"
    k expose pod "web-$node" --port 80 >/dev/null
done
running web-node-1 web-node-2
ok "a pod runs on each node"

for from in "${NODES[@]}"; do
    for to in "${NODES[@]}"; do
        expect_answer "web-$from" "$(address_of "web-$to")" "$to"
        expect_answer "web-$from" "$(k get service "web-$to" -o 'jsonpath={.spec.clusterIP}')" "$to"
    done
    in_pod "web-$from" "nc -w 5 $API_SERVICE_IP 443 </dev/null" || fail "web-$from does not reach the API server's service"
done
ok "pods reach pods and services of both nodes, their own too, and the API server"

expect "logs" "$(k logs web-node-2)" "hello from node-2"
expect "exec" "$(in_pod web-node-2 'cat /etc/hostname')" web-node-2
ok "logs and exec work"

# The folder is below /run of the node, which ends with the node.
plain_pod mounter node-1 'mkdir -p /shared/point && mount -t tmpfs -o size=1m seen-by-the-node /shared/point && sleep 3600' \
    'volumes: [{name: shared, hostPath: {path: /run/case-propagation, type: DirectoryOrCreate}}]' \
    'securityContext: {privileged: true}
    volumeMounts: [{name: shared, mountPath: /shared, mountPropagation: Bidirectional}]'
running mounter
mounted_on_node() { machine_run node-1 grep -q 'seen-by-the-node' /proc/self/mounts; }
wait_until 10 mounted_on_node || fail "the node does not see a mount that a pod made with Bidirectional propagation"
expect "mounts of the machine below" "$(grep -c seen-by-the-node /proc/self/mounts || true)" 0
in_pod mounter 'umount /shared/point'
not_mounted_on_node() { ! mounted_on_node; }
wait_until 10 not_mounted_on_node || fail "the node still sees the mount after its end"
ok "a mount that a pod makes is seen on its node, and there only"

# fuseblk and libfuse need more than busybox has; opening the device and mounting with it is what the kernel must allow.
plain_pod fuse node-2 'mkdir /point && exec 3<>/dev/fuse && mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 case /point &&
    grep -q " /point fuse" /proc/mounts && umount /point && echo mounted && sleep 3600' '' 'securityContext: {privileged: true}'
running fuse
fuse_mounted() { [ "$(k logs fuse)" = mounted ]; }
wait_until 20 fuse_mounted || fail "a privileged pod cannot mount FUSE: $(k logs fuse)"
ok "a privileged pod mounts FUSE"
