#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real Kubernetes cluster on this machine, for tests and for daily work: etcd, the control plane, and two nodes with a
# kubelet, containerd and kube-proxy each, in namespaces of their own. No container registry, no Docker, no listening port
# outside the cluster's own networks. Root on Debian 12 or newer, with go.
#
# usage: tests/e2e/cluster.sh COMMAND
#   up [--bare]               builds what is not in the cache (about 10 minutes, once) and starts the cluster (half a minute);
#                             --bare: without the snapshot controller and its CRDs
#   down                      ends it and removes all of it, also what an interrupted `up` left
#   status                    machines, processes with their memory, nodes, pods that do not run
#   kubectl ARGUMENT…         as the cluster's administrator
#   helm ARGUMENT…            likewise
#   run COMMAND…              any command in the control plane's network with KUBECONFIG set: run curl, run k9s, run bash
#   node NODE COMMAND…        in all namespaces of a node (node-1, node-2): node node-1 findmnt
#   images FILE…              imports image archives (docker, OCI) into both nodes
#   logs [NAME [TAIL ARGUMENT…]]  of one process (see status for the names): logs node-1-kubelet -f; without NAME: where they are
#   stop NAME, start NAME, restart NAME   one process: restart node-1-kubelet
#   build                     fills the cache only
#
# Nodes: node-1 (10.200.0.11), node-2 (10.200.0.12); the control plane has 10.200.0.1. All state is in /var/lib/stowage-e2e, or
# in STOWAGE_E2E_DIR, which also makes a second cluster. The cache is $XDG_CACHE_HOME/stowage/k8s-…; it may be removed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
for part in layout build archives images pki network control-plane node snapshot; do
    # shellcheck source=/dev/null
    . "$ROOT/tests/e2e/lib/$part.sh"
done

STATE_MARK=.stowage-e2e # `down` removes all of STATE, so it must be known for a cluster's

# Only one run at a time changes the cluster. The lock is on the state directory itself, so that none is left.
lock_state() {
    mkdir -p "$STATE"
    [ -e "$STATE/$STATE_MARK" ] || [ -z "$(ls -A "$STATE")" ] ||
        die "$STATE holds something that is not a test cluster; name an empty or a new folder with STOWAGE_E2E_DIR"
    touch "$STATE/$STATE_MARK"
    exec 9<"$STATE"
    flock -w 300 9 || die "another run of cluster.sh has been changing $STATE for five minutes; end it first"
}

require_root() { [ "$(id -u)" = 0 ] || die "needs root (namespaces, mounts): sudo $0 $*"; }

require_path() {
    case $STATE in
    /*[!A-Za-z0-9/._-]*) die "STOWAGE_E2E_DIR='$STATE' may hold letters, digits and ._-/ only" ;;
    /?*/?*) ;;
    *) die "STOWAGE_E2E_DIR='$STATE' must be an absolute path of a folder that the cluster may own, such as /var/lib/stowage-e2e" ;;
    esac
}

is_up() { [ -e "$STATE/up" ] && machine_pid control >/dev/null && kubectl get --raw /readyz >/dev/null 2>&1; }
exists() { [ -e "$STATE" ] || machine_pid control >/dev/null; }

# progress TEXT: with the seconds since the start
progress() { printf '%7s s  %s\n' "$(seconds_since "$started")" "$*"; }

cluster_up() {
    local bare=0 node
    case ${1:-} in
    '') ;;
    --bare) bare=1 ;;
    *) die "up takes --bare or nothing, not '$1'" ;;
    esac
    started=$(now_ms)
    lock_state
    if is_up; then
        say "the cluster in $STATE is up already: tests/e2e/cluster.sh status"
        return 0
    fi
    # What is there is a half of a cluster.
    cluster_remove
    lock_state
    prepare
    ln -s "$CACHE" "$STATE/cache"
    progress "Kubernetes $KUBERNETES_VERSION and the sidecars are in $CACHE"
    trap 'up_failed' EXIT
    mkdir -p "$STATE/log" "$STATE/run"
    pki_make
    control_plane_start
    progress "control plane answers at https://$CONTROL_IP:6443 (in its own network)"
    for node in "${NODES[@]}"; do node_start "$node"; done
    images_import "$CACHE"/images/*.tar 2>"$STATE/log/images.log" || { cat "$STATE/log/images.log" >&2 && exit 1; }
    progress "containerd runs on ${NODES[*]} and has the images"
    for node in "${NODES[@]}"; do node_kubelet "$node"; done
    for node in "${NODES[@]}"; do node_wait "$node"; done
    progress "nodes are Ready: ${NODES[*]}"
    if [ "$bare" = 0 ]; then
        snapshot_install
        progress "snapshot controller runs"
    fi
    touch "$STATE/up"
    trap - EXIT
    say "next: tests/e2e/cluster.sh kubectl get nodes"
}

# Packages and programs. A containerd that is there already, perhaps Docker's own, would be removed by Debian's package.
prepare() {
    install_for cluster
    if ! command -v containerd >/dev/null || ! command -v runc >/dev/null; then
        install_for containerd
    fi
    CACHE=$(cache_of_today)
    [ -e "$CACHE/complete" ] || require_go
    build_cluster
}

# From 1.21 on, go fetches the release that a module asks for.
require_go() {
    local version
    version=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 21 ] ||
        die "building Kubernetes needs go 1.21 or newer; Debian 12's own is older: see go.dev, or apt-get -t bookworm-backports install golang-go"
}

up_failed() {
    note "the cluster did not come up; logs: $STATE/log; clean up with: tests/e2e/cluster.sh down"
}

cluster_down() {
    if ! exists; then
        say "there is no cluster in $STATE"
        return 0
    fi
    started=$(now_ms)
    lock_state
    cluster_remove
    progress "the cluster is gone, with $STATE"
}

# Order: processes hold namespaces, namespaces hold mounts and links, mounts hold files.
cluster_remove() {
    local machine device
    for machine in "${NODES[@]}" control; do machine_stop "$machine"; done
    losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | awk -v dir="$STATE/" 'index($2, dir) == 1 { print $1 }' |
        while read -r device; do losetup --detach "$device"; done
    for machine in "${NODES[@]}"; do # of local volumes that a pod still used
        device=$(node_root "$machine")$LOCAL_POOL/.stowage/data
        [ ! -d "$device" ] || loops_let_go "$device"
    done
    unmount_below "$STATE"
    cgroup_remove "$CGROUP"
    # The mark goes last: what could not be removed this time can be the next.
    find "$STATE" -mindepth 1 -maxdepth 1 ! -name "$STATE_MARK" -exec rm -rf --one-file-system {} +
    rm -rf --one-file-system "$STATE"
    exec 9<&-
}

cluster_status() {
    local name pid machine
    if ! exists; then
        say "there is no cluster in $STATE; bring it up: tests/e2e/cluster.sh up"
        return 1
    fi
    printf '%-34s %8s %10s\n' PROCESS PID "RSS MiB"
    for name in $(daemons); do
        machine=$(machine_of "$name")
        pid=$(outside_pid "$machine" "${name#"$machine"-}")
        printf '%-34s %8s %10s\n' "$name" "${pid:-ended}" "$([ -z "$pid" ] || rss_mib "$pid")"
    done
    say
    kubectl get nodes -o wide
    say
    say "pods that do not run:"
    kubectl get pods --all-namespaces --no-headers --field-selector status.phase!=Running,status.phase!=Succeeded
}

# machine_of NAME: node-1-kubelet is in node-1
machine_of() {
    local machine
    for machine in "${MACHINES[@]}"; do
        if [[ $1 = "$machine"-* ]] && [ -e "$STATE/run/$1.pid" ]; then
            say "$machine"
            return 0
        fi
    done
    die "there is no process '$1'; these are: $(daemons | tr '\n' ' ')"
}

# outside_pid MACHINE NAME: the pid of a daemon as this machine counts
outside_pid() {
    local init inside status
    init=$(machine_pid "$1") || return 0
    inside=$(daemon_pid "$1" "$2") || return 0
    for status in /proc/[0-9]*/status; do
        awk -v inside="$inside" '/^NSpid:/ { found = NF == 3 && $3 == inside } END { exit !found }' "$status" 2>/dev/null ||
            continue
        status=${status#/proc/}
        status=${status%/status}
        if [ "$(readlink "/proc/$status/ns/pid")" = "$(readlink "/proc/$init/ns/pid")" ]; then
            say "$status"
            return 0
        fi
    done
}

cluster_logs() {
    local name=${1:-}
    if [ -z "$name" ]; then
        ls -l "$STATE/log"
        return 0
    fi
    shift
    [ -e "$STATE/log/$name.log" ] || die "there is no log of '$name'; these are: $(daemons | tr '\n' ' ')"
    exec tail "${@:---lines=100}" "$STATE/log/$name.log"
}

# change_daemon stop|start|restart NAME
change_daemon() {
    local action=$1 name=${2:-} machine
    [ -n "$name" ] || die "$action needs the name of a process: $(daemons | tr '\n' ' ')"
    machine=$(machine_of "$name")
    name=${name#"$machine"-}
    [ "$action" = start ] || daemon_stop "$machine" "$name"
    [ "$action" = stop ] || daemon_alive "$machine" "$name" || daemon_again "$machine" "$name"
}

main() {
    local command=${1:-}
    [ $# = 0 ] || shift
    case $command in
    -h | --help | help) show_help && return 0 ;;
    up | down | status | kubectl | helm | run | node | images | logs | stop | start | restart | build) ;;
    '') show_help >&2 && exit 2 ;;
    *)
        note "unknown command '$command'"
        show_help >&2
        exit 2
        ;;
    esac
    require_path
    [ "$command" = build ] || require_root "$command" "$@"
    case $command in
    up) cluster_up "$@" ;;
    down) cluster_down ;;
    status) cluster_status ;;
    kubectl) kubectl "$@" ;;
    helm) KUBECONFIG=$KUBECONFIG_ADMIN machine_net control "$CACHE/bin/helm" "$@" ;;
    run) KUBECONFIG=$KUBECONFIG_ADMIN PATH=$CACHE/bin:$PATH machine_net control "$@" ;;
    node) machine_run "$@" ;;
    images) [ $# -gt 0 ] || die "images needs the archives to import" && images_import "$@" ;;
    logs) cluster_logs "$@" ;;
    stop | start | restart) change_daemon "$command" "$@" ;;
    build) prepare && say "$CACHE" ;;
    esac
    exit # bash would read on, in a file that may have changed in the meantime
}
main "$@"
