# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script as process 1 of user-mode Linux, where the kernel has an NFS client and server. Sourced after scripts/lib.sh.
#
# Outside:  uml_reason            prints why this cannot run here, or nothing
#           uml_output LOG        what the script printed
#           uml_boot SECONDS LOG SCRIPT [NAME=VALUE...]   boots; the script's exit code becomes ours, its output is in LOG
# Inside:   uml_inside            true in the process that is the guest's init
#           uml_setup             proc, sysfs, writable /run /mnt /var/lib/nfs, loopback network
#           uml_serve_nfs ROOT    the kernel's server, v3 and v4.2, exports ROOT/export as /export
#           uml_halt CODE         ends the guest with that exit code for uml_boot
# The guest's root is the host's, read-only; NAME=VALUE become its environment.

UML_MEMORY=${UML_MEMORY:-1024M}

uml_reason() {
    local tool
    for tool in linux.uml rpc.nfsd exportfs rpc.mountd mount.nfs depmod modprobe rpcbind; do
        if ! PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null; then
            say "'$tool' is missing: apt-get install $(packages_for uml)"
            return
        fi
    done
    [ "$(id -u)" = 0 ] || say "must run as root: the guest reads the host's files"
}

uml_modules() {
    local version
    version=$(basename /usr/lib/uml/modules/*)
    [ ! -e "/lib/modules/$version/modules.dep" ] || return 0
    mkdir -p /lib/modules
    cp -an "/usr/lib/uml/modules/$version" /lib/modules/
    depmod "$version"
}

uml_boot() {
    local limit=$1 log=$2 script=$3 pid line
    shift 3
    uml_modules
    # Its processes are one group, so that all of them can be ended when the time is over.
    setsid linux.uml root=/dev/root rootfstype=hostfs rootflags=/ ro "mem=$UML_MEMORY" con=null con0=null,fd:1 quiet \
        init="$(realpath "$script")" STOWAGE_UML=1 "$@" </dev/null >"$log" 2>&1 &
    pid=$!
    if ! wait_until "$limit" uml_ended "$pid"; then
        kill -KILL -- "-$pid" 2>/dev/null || true
        note "the guest was stopped after $limit s"
    fi
    wait "$pid" 2>/dev/null || true
    line=$(tr -d '\r' <"$log" | sed -n 's/^uml-exit-code \([0-9]*\)$/\1/p' | tail -n 1)
    return "${line:-1}"
}
uml_ended() { ! kill -0 "$1"; }

# What the script said, without what the kernel and its console add.
uml_output() {
    tr -d '\r' <"$1" | sed -E 's,\x1b\[[0-9;]*[A-Za-z],,g' |
        grep -vE '^uml-exit-code|^SELinux|^mmapper|ubd device|^$|wtmp record|^Powering off|System halted' || true
}

uml_inside() { [ "${STOWAGE_UML:-}" = 1 ] && [ "$$" = 1 ]; }

uml_setup() {
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t tmpfs run /run
    mount -t tmpfs mnt /mnt
    mount -t tmpfs nfs /var/lib/nfs
    mkdir -p /run/rpcbind /run/lock /run/tmp /var/lib/nfs/v4recovery /var/lib/nfs/sm /var/lib/nfs/rpc_pipefs
    export TMPDIR=/run/tmp
    ip link set lo up
}

# The server gets a root of its own: NFSv4 walks from "/", and the host's files cannot be exported.
uml_serve_nfs() {
    local root=$1 module
    for module in nfsd nfsv3 nfsv4 fuse; do
        modprobe "$module"
    done
    mount -t nfsd nfsd /proc/fs/nfsd
    touch /var/lib/nfs/etab /var/lib/nfs/rmtab /var/lib/nfs/state
    mkdir -p "$root"
    mount -t tmpfs export "$root"
    mkdir -p "$root/export"
    printf '[exports]\nrootdir=%s\n' "$root" >/run/nfs.conf
    mount --bind /run/nfs.conf /etc/nfs.conf
    rpcbind -w
    rpc.nfsd -V 3 -V 4.2 8
    exportfs -o rw,no_root_squash,no_subtree_check,fsid=1,insecure 127.0.0.1:/export
    rpc.mountd --manage-gids
}

uml_halt() {
    printf '\numl-exit-code %s\n' "$1"
    sync
    sleep 0.2
    poweroff -f
    sleep 10
}
