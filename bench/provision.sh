#!/usr/bin/env bash
# Provisioning: CreateVolume and DeleteVolume at 1 and at 32 in flight, ListVolumes, resident memory; called by bench/run.sh.
# Then the same against the kernel's NFS server in user-mode Linux, where csi-driver-nfs (needs kernel mounts) can run too.
#
# usage: bench/provision.sh        (through bench/run.sh)
#   PROVISION_VOLUMES: how many volumes (default 10000); PROVISION_PEER_VOLUMES: in the guest (default 20)
#
# The peer is csi-driver-nfs when its Go module can be built here; otherwise the least it does for a volume: mount the
# share, make the directory, unmount. provision.create_ratio is our rate over the peer's, one in flight, in one guest.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"
# shellcheck source=tests/support/uml.sh
. "$ROOT/tests/support/uml.sh"

VOLUMES=${PROVISION_VOLUMES:-10000}
PEER_VOLUMES=${PROVISION_PEER_VOLUMES:-20}
GUEST_LIMIT_S=300

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac

# figures PREFIX: turns "name value unit" on standard input into lines of this area
figures() { sed "s/^/provision.$1/"; }
load() { BENCH_IDS=$work/ids "$BIN/bench-provision" "$@"; }

# --- outside: nfs-ganesha on loopback -------------------------------------------------------------------------------

clean_up() {
    local rc=$?
    trap - EXIT INT TERM
    stowage_stop node "$work"
    stowage_stop controller "$work"
    nfs_server_stop "$work/nfs"
    rm -rf --one-file-system "$work"
    exit "$rc"
}

rss_figures() {
    say "provision.controller_rss_mib_$1 $(rss_mib "$(stowage_pid controller "$work")") MiB"
    say "provision.node_rss_mib_$1 $(rss_mib "$(stowage_pid node "$work")") MiB"
}

on_ganesha() {
    local in_flight class
    nfs_server_start "$work/nfs" "$work/export"
    # shellcheck disable=SC1091 # written by nfs_server_start
    . "$work/nfs/env"
    # shellcheck disable=SC2153 # from that file
    class=(server="$NFS_HOST" share="$NFS_SHARE" nfsPort="$NFS_PORT" mountPort="$MNT_PORT" nfsVersion=3)
    stowage_start controller "$work" --log-level warning
    stowage_start node "$work" --log-level warning
    rss_figures before
    for in_flight in 1 32; do
        load "$work/controller.sock" create "$VOLUMES" "$in_flight" "${class[@]}" | figures "create_${in_flight}_"
        if [ "$in_flight" = 32 ]; then
            load "$work/controller.sock" list | figures list_
            say "provision.controller_rss_mib $(rss_mib "$(stowage_pid controller "$work")") MiB"
            say "provision.node_rss_mib $(rss_mib "$(stowage_pid node "$work")") MiB"
        fi
        load "$work/controller.sock" delete "$VOLUMES" "$in_flight" | figures "delete_${in_flight}_"
    done
    rss_figures after
    stowage_stop node "$work"
    stowage_stop controller "$work"
    nfs_server_stop "$work/nfs"
}

# --- the peer, in user-mode Linux -----------------------------------------------------------------------------------

# Prints the program's path, or nothing: then the module cannot be had here.
build_peer() {
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/csi-driver-nfs-$CSI_DRIVER_NFS_VERSION
    if [ ! -x "$dir/nfsplugin" ] && go_ready; then
        mkdir -p "$dir"
        note "building csi-driver-nfs $CSI_DRIVER_NFS_VERSION in $dir"
        (cd "$dir" && { [ -e go.mod ] || go mod init peer; } &&
            timeout 120 go get "github.com/kubernetes-csi/csi-driver-nfs/cmd/nfsplugin@$CSI_DRIVER_NFS_VERSION" &&
            timeout 900 go build -o nfsplugin github.com/kubernetes-csi/csi-driver-nfs/cmd/nfsplugin) \
            </dev/null >"$dir/build.log" 2>&1 || note "csi-driver-nfs cannot be built: $(tail -n 1 "$dir/build.log")"
    fi
    [ ! -x "$dir/nfsplugin" ] || say "$dir/nfsplugin"
}

in_guest() {
    local reason peer log=$work/guest.log
    reason=$(uml_reason)
    if [ -n "$reason" ]; then
        say "# no comparison: $reason"
        return
    fi
    peer=$(build_peer)
    if ! uml_boot "$GUEST_LIMIT_S" "$log" "${BASH_SOURCE[0]}" BIN="$BIN" PEER="${peer:-none}" \
        PEER_VOLUMES="$PEER_VOLUMES"; then
        tail -n 20 "$log"
        die "the comparison in user-mode Linux failed (above)"
    fi
    tr -d '\r' <"$log" | grep -E '^(provision\.|# )'
    tr -d '\r' <"$log" | awk '
        $1 == "provision.guest_create_1_rate" { ours = $2 }
        $1 == "provision.peer_create_1_rate" { peer = $2 }
        END { if (ours && peer) printf "provision.create_ratio %.1f x\n", ours / peer }'
}

# --- inside ---------------------------------------------------------------------------------------------------------

# What csi-driver-nfs does at least for every volume.
mount_mkdir_umount() {
    local i started took
    mkdir -p /run/peer
    started=$(now_ms)
    for i in $(seq "$PEER_VOLUMES"); do
        mount -t nfs -o vers=4.1 127.0.0.1:/export /run/peer
        mkdir "/run/peer/peer-$i"
        umount /run/peer
    done
    took=$(($(now_ms) - started))
    say "# peer: mount -t nfs, mkdir, umount for each volume (csi-driver-nfs could not be built here)"
    awk -v n="$PEER_VOLUMES" -v ms="$took" 'BEGIN { printf "provision.peer_create_1_rate %.2f 1/s\n", n * 1000 / ms }'
}

peer_driver() {
    local pid
    say "# peer: csi-driver-nfs $CSI_DRIVER_NFS_VERSION"
    mkdir -p /run/peer
    # shellcheck disable=SC2153 # from the command line of the guest
    "$PEER" --endpoint=unix:///run/peer.sock --nodeid=guest --working-mount-dir=/run/peer >/run/peer.log 2>&1 &
    pid=$!
    wait_until 20 test -S /run/peer.sock
    load /run/peer.sock create "$PEER_VOLUMES" 1 server=127.0.0.1 share=/export | figures peer_create_1_
    say "provision.peer_rss_mib $(rss_mib "$pid") MiB"
    stop_pid "$pid"
}

inside() {
    uml_setup
    uml_serve_nfs /mnt/root
    work=/run/stowage
    mkdir -p "$work"
    stowage_start controller "$work" --log-level warning
    load "$work/controller.sock" create 200 1 server=127.0.0.1 share=/export | figures guest_create_1_
    load "$work/controller.sock" delete 200 1 | figures guest_delete_1_
    stowage_stop controller "$work"
    if [ "$PEER" = none ]; then
        mount_mkdir_umount
    else
        peer_driver
    fi
}

if uml_inside; then
    trap 'uml_halt 1' EXIT
    inside
    trap - EXIT
    uml_halt 0
else
    install_for uml
    work=$(mktemp -d /tmp/stowage-bench.XXXXXX)
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    on_ganesha
    in_guest
fi
