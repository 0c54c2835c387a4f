#!/usr/bin/env bash
# The node plugin with the kernel's NFS client: user-mode Linux is booted, with the kernel's own NFS server in it, and the
# controller and the node run there. Volumes are mounted with NFSv3 and NFSv4.2, written, read, measured and unmounted;
# then csi-sanity runs on them if there is one.
#
# usage: tests/integration/kernel-nfs.sh
#   CSI_SANITY: a ready csi-sanity; default: what tests/sanity/run.sh built
# Exit: 0 passed, 77 skipped (user-mode Linux is not installed), else failed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/uml.sh
. "$ROOT/tests/support/uml.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"

LIMIT_S=420 # of the whole guest

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac

# --- outside --------------------------------------------------------------------------------------------------------

outside() {
    local reason log rc=0 sanity
    reason=$(uml_reason)
    [ -z "$reason" ] || skip "$reason"
    if [ ! -x "$BIN/stowage-node" ] || [ ! -x "$BIN/stowage-controller" ]; then
        die "no programs in $BIN; build them with scripts/build.sh"
    fi
    sanity=${CSI_SANITY:-${XDG_CACHE_HOME:-$HOME/.cache}/stowage/csi-sanity-$CSI_SANITY_VERSION/csi-sanity}
    log=$(mktemp)
    uml_boot "$LIMIT_S" "$log" "${BASH_SOURCE[0]}" BIN="$BIN" CSI_SANITY="$sanity" || rc=$?
    tr -d '\r' <"$log" | grep -E '^(ok|not ok|note:|sanity:|log:) ' || true
    if ! grep -q '^ok ' "$log"; then
        tail -n 20 "$log"
    fi
    rm -f "$log"
    [ "$rc" = 0 ] || die "failed inside user-mode Linux (exit code $rc)"
    say "passed: kernel NFS v3 and v4.2 in user-mode Linux"
}

# --- inside ---------------------------------------------------------------------------------------------------------

W=/run/stowage
failures=0

check() {
    local text=$1 started
    shift
    started=$(now_ms)
    if "$@" >/run/check.log 2>&1; then
        say "ok $text ($(seconds_since "$started") s)"
    else
        say "not ok $text"
        grep -v '^sanity:' /run/check.log | tail -n 8 | sed 's/^/log: /' || true
        failures=$((failures + 1))
    fi
}

ctl() { stowage_ctl "$W" "$@"; }
mounted_as() { grep -E " $1 .* - nfs4? .*vers=$2" /proc/self/mountinfo; }
not_mounted() { ! grep -F " $W/" /proc/self/mountinfo; }
write_and_read() {
    printf 'through the kernel\n' >"$1/file"
    [ "$(cat "/mnt/root/export/$2/file")" = "through the kernel" ]
    dd if=/dev/urandom of="$1/big" bs=1M count=16 conv=fsync status=none
    cmp "$1/big" "/mnt/root/export/$2/big"
}
cannot_write() { ! touch "$1/refused"; }

# one VERSION NAME: the life of one volume
one() {
    local version=$1 name=$2 id staging=$W/staging-$2 target=$W/target-$2
    shift 2
    check "v$version: a volume is created" ctl volume create "$name" --size 1Gi -p server=127.0.0.1 \
        -p share=/export -p mountMode=kernel "$@"
    id=$(sed -n 's/^id  *//p' /run/check.log)
    check "v$version: it is staged" ctl volume stage "$id" --staging "$staging" --mount-option "vers=$version"
    check "v$version: mountinfo says NFS $version" mounted_as "$staging" "$version"
    check "v$version: it is published" ctl volume publish "$id" --staging "$staging" --target "$target"
    check "v$version: it is published again for reading" ctl volume publish "$id" --staging "$staging" \
        --target "$target-ro" --read-only
    check "v$version: the server has what is written" write_and_read "$target" "$name"
    check "v$version: the read-only target refuses" cannot_write "$target-ro"
    check "v$version: its usage is told" ctl volume stats "$id" --path "$target"
    check "v$version: it is unpublished" ctl volume unpublish "$id" --target "$target-ro"
    check "v$version: it is unpublished everywhere" ctl volume unpublish "$id" --target "$target"
    check "v$version: it is unstaged" ctl volume unstage "$id" --staging "$staging"
    check "v$version: no mount is left" not_mounted
    check "v$version: it is deleted" ctl volume delete "$id"
}

run_sanity() {
    local rc=0
    printf 'server: "127.0.0.1"\nshare: "/export"\nmountMode: "kernel"\n' >"$W/class.yaml"
    printf 'onDelete: "delete"\n' >"$W/mutable.yaml"
    timeout 240 "$CSI_SANITY" --ginkgo.no-color --csi.endpoint="unix://$W/node.sock" \
        --csi.controllerendpoint="unix://$W/controller.sock" --csi.testvolumesize=1073741824 \
        --csi.testvolumeexpandsize=2147483648 --csi.testvolumeparameters="$W/class.yaml" \
        --csi.testvolumemutableparameters="$W/mutable.yaml" --csi.testnodevolumeattachlimit \
        --csi.mountdir="$W/sanity-mount" --csi.stagingdir="$W/sanity-staging" >/run/sanity.log 2>&1 || rc=$?
    say "sanity: $(grep -E '[0-9]+ Passed' /run/sanity.log | tail -n 1)"
    if [ "$rc" != 0 ]; then
        grep -A 8 -E '^ *\[FAILED\]' /run/sanity.log | cut -c 1-300 | sed 's/^/sanity: /' || true
    fi
    return "$rc"
}

inside() {
    uml_setup
    uml_serve_nfs /mnt/root
    mkdir -p "$W"
    check "stowage-controller starts" stowage_start controller "$W" --share 127.0.0.1/export \
        --node guest=3
    check "stowage-node starts" stowage_start node "$W" --node-id guest --max-volumes 3 --mount-mode kernel
    one 3 third
    one 4.2 fourth
    if [ -x "$CSI_SANITY" ]; then
        check "csi-sanity" run_sanity
        grep '^sanity:' /run/check.log || true
    else
        say "note: no csi-sanity at $CSI_SANITY; tests/sanity/run.sh builds it"
    fi
    check "stowage-node stops" stowage_stop node "$W"
    check "stowage-controller stops" stowage_stop controller "$W"
    if [ "$failures" != 0 ]; then
        grep -h '"level":"error"' "$W"/*.log | tail -n 10 | sed 's/^/log: /' || true
    fi
}

if uml_inside; then
    inside || failures=$((failures + 1))
    uml_halt "$((failures > 0))"
else
    outside
fi
