#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Process 1 of a user-mode Linux guest with a file system that keeps project quota, which the host's kernel may lack.
# Environment: QUOTA_FS xfs|ext4, QUOTA_RUN sanity|cases|bench, STOWAGE_BUILD_DIR, CSI_SANITY (for sanity).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/uml.sh
. "$ROOT/tests/support/uml.sh"

make_pool() {
    local module
    for module in loop "$QUOTA_FS" quota_v2; do
        modprobe -q "$module" || true # built in, or not needed by this file system
    done
    [ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
    mkdir /run/disk
    mount -t tmpfs -o size=85% disk /run/disk
    truncate -s 64G /run/disk/pool.img
    case $QUOTA_FS in
    xfs) mkfs.xfs -q -K /run/disk/pool.img ;;
    ext4) mkfs.ext4 -q -F -m0 -E nodiscard,lazy_itable_init=1 -O project,quota -E quotatype=prjquota /run/disk/pool.img ;;
    esac
    mkdir -p /mnt/pool
    mount -o loop,prjquota /run/disk/pool.img /mnt/pool
}

inside() {
    uml_setup
    make_pool
    case $QUOTA_RUN in
    sanity) "$ROOT/tests/sanity/run.sh" local --kind quota --pool /mnt/pool ;;
    bench) POOL_AT=/mnt/pool STOWAGE_OWN_MOUNTS=1 LOCAL_SIDE=quota "$ROOT/bench/local.sh" ;;
    cases) POOL_KIND=quota POOL_AT=/mnt/pool STOWAGE_OWN_MOUNTS=1 "$ROOT/tests/support/quota-cases.sh" ;;
    esac
}

uml_inside || die "this is for a guest only: see tests/integration/local-quota.sh"
rc=0
(inside) || rc=$?
uml_halt "$rc"
