#!/usr/bin/env bash
# The CSI project's own conformance tests, csi-sanity, against Stowage on the real thing: class shared on an NFS server, class
# node-group on the same with a cache on this machine's disk, class local on a pool of it.
# Ends with "N passed, N failed, N skipped", counted from csi-sanity's report.
#
# usage: tests/sanity/run.sh shared|node-group|local [--kind KIND] [--block] [--pool DIR] [--keep] [--focus REGEX]
#   --kind KIND    local volumes of this kind: image (default), device (on loop devices), or quota; where the kernel has no
#                  project quota that is run in user-mode Linux
#   --block        local volumes as block devices instead of file systems
#   --pool DIR     a directory for local volumes (default: one below /tmp); on XFS with reflink snapshots share blocks
#   --keep         leave the logs and the report behind, and say where
#   --focus REGEX  only the specs whose name matches
#
# Installs (root, Debian 12 or newer) what it needs, builds csi-sanity with go into ~/.cache/stowage (CSI_SANITY names a
# ready one), and exits 77 when there is no go or no module proxy. STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"
# shellcheck source=tests/support/uml.sh
. "$ROOT/tests/support/uml.sh"

CAPACITY=1073741824          # bytes of a test volume, and after expanding
EXPANDED_CAPACITY=2147483648
DISKS=24                     # of kind device: more than a spec makes volumes and snapshots
VOLUMES_PER_NODE=3           # small: the attach limit spec makes a volume for every slot

class="" keep=0 focus="" access=mount pool="" kind=image
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        show_help
        exit 0
        ;;
    --keep) keep=1 ;;
    --focus)
        focus=${2:?--focus needs a regular expression}
        shift
        ;;
    --block) access=block ;;
    --kind)
        kind=${2:?--kind needs image, quota or device}
        case $kind in image | quota | device) ;; *) note "unknown kind '$kind': take image, quota or device" && exit 2 ;; esac
        shift
        ;;
    --pool)
        pool=${2:?--pool needs a directory}
        shift
        ;;
    shared | node-group | local) class=$1 ;;
    *)
        note "unknown argument '$1'"
        show_help >&2
        exit 2
        ;;
    esac
    shift
done
[ -n "$class" ] || { show_help >&2 && exit 2; }

find_csi_sanity() {
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/csi-sanity-$CSI_SANITY_VERSION
    sanity=${CSI_SANITY:-$dir/csi-sanity}
    [ ! -x "$sanity" ] || return 0
    go_ready || skip "go is missing (apt-get install golang-go, or see go.dev), so csi-sanity cannot be built"
    note "building csi-sanity $CSI_SANITY_VERSION into $dir"
    go_install "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@$CSI_SANITY_VERSION" "$dir" ||
        skip "csi-sanity $CSI_SANITY_VERSION cannot be built here: see go's message above"
}

clean_up() {
    local rc=$?
    trap - EXIT INT TERM
    stowage_stop node "$work"
    stowage_end_mounts "$work"
    "end_${class//-/_}"
    if [ "$keep" = 1 ]; then
        note "logs and report: $work"
    else
        rm -rf --one-file-system "$work"
    fi
    exit "$rc"
}

# With further flags of stowage-node.
start_shared() {
    install_for build nfs-server fuse
    nfs_server_start "$work/nfs" "$work/export"
    # shellcheck disable=SC1091 # written by nfs_server_start
    . "$work/nfs/env"
    # shellcheck disable=SC2153 # from that file
    cat >"$work/class.yaml" <<YAML
server: "$NFS_HOST"
share: "$NFS_SHARE"
nfsPort: "$NFS_PORT"
mountPort: "$MNT_PORT"
nfsVersion: "3"
YAML
    controller_socket=$work/controller.sock node_socket=$work/node.sock
    stowage_start controller "$work" --share "$NFS_HOST:$NFS_PORT:$MNT_PORT+3$NFS_SHARE" \
        --node "sanity-node=$VOLUMES_PER_NODE"
    stowage_start node "$work" --node-id sanity-node --max-volumes "$VOLUMES_PER_NODE" --mount-mode fuse "$@"
}
end_shared() {
    stowage_stop controller "$work"
    nfs_server_stop "$work/nfs"
}

# csi-sanity asks for volumes where NodeGetInfo says this node is.
start_node_group() {
    mkdir "$work/cache"
    start_shared --node-group sanity --cache-dir "$work/cache"
    printf '%s\n' 'nodeGroup: "sanity"' 'cacheMode: "ttl"' 'cacheTtl: "30"' 'cacheSize: "1Gi"' >>"$work/class.yaml"
}
end_node_group() { end_shared; }

# Links to loop devices of the size that is asked for: disks of the machine.
make_disks() {
    local i
    for i in $(seq -w "$DISKS"); do
        truncate -s "$CAPACITY" "$pool/$i.img"
        ln -s "$(losetup --find --show "$pool/$i.img")" "$pool/disk-$i"
    done
}

start_local() {
    install_for build local-volumes
    [ -e /dev/loop-control ] || skip "this machine has no loop devices (modprobe loop)"
    pool=${pool:-$work/pool}
    mkdir -p "$pool"
    if [ "$kind" = device ]; then
        EXPANDED_CAPACITY=$CAPACITY # a whole disk has its size
        make_disks
    fi
    printf 'pool: "sanity"\n' >"$work/class.yaml"
    controller_socket=$work/local.sock node_socket=$work/local.sock
    stowage_start node "$work" --node-id sanity-node --max-volumes "$VOLUMES_PER_NODE" --mount-mode fuse \
        --pool "sanity=$kind:$pool$([ "$kind" != device ] || printf '/disk-*')" --local-socket "$work/local.sock"
}
end_local() {
    local device link
    for link in "$pool"/disk-*; do
        [ ! -e "$link" ] || losetup --detach "$(readlink "$link")" || true
    done
    for device in $(losetup --list --noheadings --output NAME,BACK-FILE | awk -v dir="$pool/" 'index($2, dir) == 1 { print $1 }'); do
        note "$device was left behind"
        losetup --detach "$device" || true
        rc=1
    done
}

run_sanity() {
    local flags=()
    [ -z "$focus" ] || flags=(--ginkgo.focus="$focus")
    # Serial, as csi-sanity wants it; mountdir and stagingdir must not exist yet.
    timeout -k 10 900 "$sanity" --ginkgo.no-color --ginkgo.timeout=14m --ginkgo.junit-report="$work/report.xml" \
        "${flags[@]}" \
        --csi.endpoint="unix://$node_socket" --csi.controllerendpoint="unix://$controller_socket" \
        --csi.testvolumeaccesstype="$access" --csi.testvolumesize="$CAPACITY" --csi.testvolumeexpandsize="$EXPANDED_CAPACITY" \
        --csi.testvolumeparameters="$work/class.yaml" --csi.testsnapshotparameters="$work/snapshot.yaml" \
        --csi.testvolumemutableparameters="$work/mutable.yaml" --csi.testnodevolumeattachlimit \
        --csi.mountdir="$work/mount" --csi.stagingdir="$work/staging" \
        </dev/null >"$work/sanity.log" 2>&1
}

# Failed specs with the assertion that failed, skipped ones with the reason; then the counts. Pending specs (csi-sanity has
# one that it switched off itself) are "skipped" in a report's header, so specs are counted one by one.
show_report() {
    awk -v RS='<testcase ' '
        function attribute(text, name,    at) {
            at = match(text, name "=\"[^\"]*\"")
            return at ? substr(text, RSTART + length(name) + 2, RLENGTH - length(name) - 3) : ""
        }
        function plain(text) {
            gsub(/&#xA;|&#x9;/, " ", text); gsub(/&#34;|&quot;/, "\"", text); gsub(/&#39;/, "\x27", text)
            gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&amp;/, "\\&", text)
            return text
        }
        function one_line(text) {
            gsub(/[[:space:]]+/, " ", text)
            return text
        }
        NR > 1 {
            name = attribute($0, "name"); status = attribute($0, "status")
            if (name !~ /^\[It\]/) { if (status == "failed") print "FAILED  " plain(name) }
            else if (status == "passed") passed++
            else if (status == "pending") next
            else if (status == "skipped") {
                skipped++
                if (match($0, /<skipped message="[^"]*"/))
                    reason = plain(substr($0, RSTART + 18, RLENGTH - 19))
                if (reason !~ /^skipped$/) print "skipped " plain(substr(name, 6)) ": " reason
            } else {
                failed++
                print "FAILED  " plain(substr(name, 6))
                if (match($0, /<(failure|error) message="[^"]*"/))
                    print "        " substr(one_line(plain(substr($0, RSTART, RLENGTH))), 1, 300)
            }
        }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$work/report.xml"
}

# The counts of the guest's run are its last line.
in_user_mode_linux() {
    local log rc=0 reason
    reason=$(uml_reason)
    [ -z "$reason" ] || skip "$reason"
    log=$(mktemp)
    note "project quota: in user-mode Linux"
    UML_MEMORY=1536M uml_boot 600 "$log" "$ROOT/tests/support/uml-quota.sh" QUOTA_FS=xfs QUOTA_RUN=sanity \
        STOWAGE_BUILD_DIR="$(dirname "$BIN")" CSI_SANITY="$sanity" || rc=$?
    uml_output "$log"
    rm -f "$log"
    exit "$rc"
}

find_csi_sanity
[ "$access" = mount ] || [ "$class" = local ] || die "--block is for class local: a shared volume is a file system"
install_for build
[ -n "${STOWAGE_BUILD_DIR:-}" ] || build dev
if [ "$kind" = quota ] && [ -z "$pool" ]; then
    install_for uml
    in_user_mode_linux
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/stowage-sanity.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT TERM
printf '{}\n' >"$work/snapshot.yaml"
printf 'onDelete: "delete"\n' >"$work/mutable.yaml"
"start_${class//-/_}"
started=$(now_ms)
rc=0
run_sanity || rc=$?
note "csi-sanity $CSI_SANITY_VERSION ended after $(seconds_since "$started") s"
if [ ! -s "$work/report.xml" ]; then
    tail -n 30 "$work/sanity.log"
    die "csi-sanity wrote no report (exit code $rc)"
fi
report=$(show_report)
if [ "$rc" != 0 ]; then
    for log in controller node; do
        [ ! -e "$work/$log.log" ] || grep -h '"level":"error"' "$work/$log.log" | tail -n 10 | sed "s/^/$log: /" || true
    done
fi
say "$report"
counts=$(tail -n 1 <<<"$report")
[ "$rc" = 0 ] || exit 1
# All of them, or something was left out without saying so.
[ -n "$focus" ] || [ "$counts" = "$CSI_SANITY_SPECS passed, 0 failed, 0 skipped" ] || exit 1
