#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs as process 1 of a node's new namespaces: makes the node's file tree and moves into it. The programs are those of the
# machine below, read-only; everything that a node writes is its own.
#
# usage: node-root.sh ROOT CACHE
#   ROOT   an empty folder but for etc/, which holds the node's own files; or what an earlier run of the node left
#   CACHE  where the built programs are
set -euo pipefail

root=$1 cache=$2

mount_programs() {
    local dir
    mkdir -p /lib/modules # the node plugin wants it, and a kernel without modules has none
    mkdir -p "$root/usr" "$root/opt/stowage-e2e/bin"
    # Pods mount it, as on every node; a machine whose kernel came without modules may lack it, and below it is read-only.
    mkdir -p /lib/modules
    mount --rbind /usr "$root/usr"
    mount -o remount,bind,ro "$root/usr"
    mount --bind "$cache/bin" "$root/opt/stowage-e2e/bin"
    mount -o remount,bind,ro "$root/opt/stowage-e2e/bin"
    for dir in bin sbin lib lib32 lib64 libx32; do
        if [ -L "/$dir" ]; then
            ln -sfn "$(readlink "/$dir")" "$root/$dir"
        elif [ -d "/$dir" ]; then
            mkdir -p "$root/$dir"
            mount --rbind "/$dir" "$root/$dir"
        fi
    done
}

copy_settings() {
    local name
    for name in alternatives group ld.so.cache ld.so.conf ld.so.conf.d netconfig nsswitch.conf passwd protocols rpc services; do
        [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$root/etc/"
    done
}

mount_kernel() {
    mkdir -p "$root/dev" "$root/proc" "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mkdir -p "$root/run" "$root/tmp" "$root/root" "$root/var/lib/kubelet" "$root/var/lib/containerd" "$root/var/log"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mkdir -p "$root/run/lock" "$root/run/netns"
    ln -sfn /run "$root/var/run"
    ln -sfn /run/lock "$root/var/lock"
    chmod 1777 "$root/tmp"
}

# The kubelet sets these for the whole kernel and ends if it cannot. It finds them set, in files of the node's own.
answer_sysctls() {
    local name value
    while read -r name value; do
        mkdir -p "$root/etc/sysctl-shown"
        printf '%s\n' "$value" >"$root/etc/sysctl-shown/${name//\//.}"
        mount --bind "$root/etc/sysctl-shown/${name//\//.}" "$root/proc/sys/$name"
    done <<'SYSCTLS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTLS
}

mount --bind "$root" "$root"
mount_programs
copy_settings
mount_kernel
answer_sysctls
cd "$root"
mkdir -p .below
pivot_root . .below
umount -l /.below
rmdir /.below
# Mounts that a pod makes with Bidirectional propagation are seen on the node and in other pods.
mount --make-rshared /
