#!/usr/bin/env bash
# Shows Stowage on this machine. The main job: an NFS server on loopback, the controller, and two nodes that mount one volume.
# Then stowage-sidecar with one of each thing it keeps.
# Installs and builds what is missing (root, Debian 12 or newer), asks nothing, changes nothing outside a temporary
# directory, and cleans up after itself, also after a failure or Ctrl-C.
#
# usage: scripts/demo.sh [--data DIR]
#   --data DIR     what is copied into the volume (default: /usr/include)
#
# STOWAGE_BUILD_DIR: show this build instead of building preset release.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"

data=/usr/include
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        show_help
        exit 0
        ;;
    --data)
        data=${2:?--data needs a directory}
        shift
        ;;
    *)
        note "unknown argument '$1'"
        show_help >&2
        exit 2
        ;;
    esac
    shift
done
[ -d "$data" ] || die "'$data' is no directory"
[ "$(id -u)" = 0 ] || die "run it as root: it starts an NFS server and mounts"

work="" begin=$(now_ms) log=""

clean_up() {
    local rc=$? started
    trap - EXIT INT TERM
    started=$(now_ms)
    if [ -n "$work" ]; then
        if [ "$rc" != 0 ] && grep -qh '"level":"\(warning\|error\)"' "$work"/*/*.log 2>/dev/null; then
            printf '\nWhat the daemons had to say:\n'
            grep -h '"level":"\(warning\|error\)"' "$work"/*/*.log | tail -n 5
        fi
        stowage_stop node "$work/one"
        stowage_stop node "$work/two"
        stowage_end_mounts "$work"
        stowage_stop controller "$work/one"
        [ -z "${store_pid:-}" ] || store_stop || true
        STOP_RPCBIND=1 nfs_server_stop "$work/nfs"
        rm -rf --one-file-system "$work"
    fi
    if [ "$rc" = 0 ]; then
        printf '%7s s  everything is cleaned up\n\n' "$(seconds_since "$started")"
        say "All of it worked and took $(seconds_since "$begin") s."
    fi
    exit "$rc"
}

# step TEXT COMMAND…: runs it and says how long it took; what it printed is shown when it fails, and kept in $output.
step() {
    local text=$1 started rc=0
    shift
    started=$(now_ms)
    "$@" >"$log" 2>&1 || rc=$?
    output=$(cat "$log")
    if [ "$rc" != 0 ]; then
        printf '%7s s  %s: FAILED\n%s\n' "$(seconds_since "$started")" "$text" "$output"
        exit 1
    fi
    printf '%7s s  %s\n' "$(seconds_since "$started")" "$text"
}

one() { stowage_ctl "$work/one" "$@"; }
two() { "$BIN/stowage" "$@" --controller "$work/one/controller.sock" --node "$work/two/node.sock"; }
# field NAME: of what the last command printed for people
field() { sed -n "s/^$1  *//p" <<<"$output" | head -n 1; }

# mount_at one|two ID NAME: stages a volume on that node and shows it at $work/<node>/<name>
mount_at() {
    mkdir -p "$work/$1/staging"
    "$1" volume stage "$2" --staging "$work/$1/staging/$3"
    "$1" volume publish "$2" --staging "$work/$1/staging/$3" --target "$work/$1/$3"
}
unmount_at() {
    "$1" volume unpublish "$2" --target "$work/$1/$3"
    "$1" volume unstage "$2" --staging "$work/$1/staging/$3"
}
copy_in() { cp -a "$data/." "$1/"; }
same() { diff -r --no-dereference "$data" "$1"; }
note_is_seen() { [ "$(cat "$work/two/data/note")" = "written on node one" ]; }
write_note() { printf 'written on node one\n' >"$work/one/data/note"; }
remove_note() { rm "$work/two/data/note"; }
unmount_all() {
    unmount_at one "$volume" data
    unmount_at two "$volume" data
    unmount_at two "$restored" restored
}
delete_all() {
    one snapshot delete "$snapshot"
    one volume delete "$restored" "$volume"
}
# Of volumes and snapshots at once; the data itself is removed in the background.
nothing_left() {
    local left
    left=$(one volume list --json | tr -d '[:space:]')$(one snapshot list --json | tr -d '[:space:]')
    [ "$left" = "[][]" ] || { printf '%s\n' "$left" && return 1; }
    ! grep -F " $work/" /proc/self/mountinfo
}

trap clean_up EXIT
trap 'exit 130' INT TERM
install_for build nfs-server fuse demo
if [ -z "${STOWAGE_BUILD_DIR:-}" ]; then
    build release
    STOWAGE_BUILD_DIR=$ROOT/build/release
fi
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"
work=$(mktemp -d /tmp/stowage-demo.XXXXXX)
log=$work/step.log
files=$(find "$data" | wc -l)
megabytes=$(du -sm "$data" | cut -f 1)

printf '\nStowage on %s, %s processors. A node is a stowage-node process here.\n\n' "$(uname -srm)" "$(nproc)"
step "an NFS server (nfs-ganesha) answers on loopback" nfs_server_start "$work/nfs" "$work/export"
# shellcheck disable=SC1091 # written by nfs_server_start
. "$work/nfs/env"
# shellcheck disable=SC2153 # from that file
class=(-p server="$NFS_HOST" -p share="$NFS_SHARE" -p nfsPort="$NFS_PORT" -p mountPort="$MNT_PORT" -p nfsVersion=3)
step "stowage-controller serves CSI" stowage_start controller "$work/one"
step "stowage-node serves CSI on node one" stowage_start node "$work/one" --node-id one
step "stowage-node serves CSI on node two" stowage_start node "$work/two" --node-id two
step "a volume of 10Gi is created" one volume create demo --size 10Gi "${class[@]}"
volume=$(field id)
say "             $volume"
step "it is mounted on node one" mount_at one "$volume" data
step "it is mounted on node two" mount_at two "$volume" data
step "$data ($files files, $megabytes MB) is copied in on node one" copy_in "$work/one/data"
step "node two sees the very same" same "$work/two/data"
step "a file is written on node one" write_note
step "node two reads it at once" note_is_seen
step "node two removes it" remove_note
step "a snapshot is taken and whole" one snapshot create demo-snapshot "$volume"
snapshot=$(sed -n 's/^\(s-[^ ]*\).*/\1/p' <<<"$output" | head -n 1)
step "everything is deleted in the volume" find "$work/one/data" -mindepth 1 -delete
step "another volume is made from the snapshot" one volume create demo-restored --size 10Gi "${class[@]}" \
    --from-snapshot "$snapshot"
restored=$(field id)
step "it is mounted on node two" mount_at two "$restored" restored
step "it holds all that was in the volume" same "$work/two/restored"
step "the volume is expanded to 20Gi" one volume expand "$volume" --size 20Gi --path "$work/one/data"
step "its usage is read" two volume stats "$restored" --path "$work/two/restored"
printf '%s\n' "$output" | sed 's/^/             /'
say "             memory: stowage-controller $(rss_mib "$(stowage_pid controller "$work/one")") MiB," \
    "stowage-node $(rss_mib "$(stowage_pid node "$work/one")") MiB on node one," \
    "$(rss_mib "$(stowage_pid node "$work/two")") MiB on node two"
step "the mounts are taken away" unmount_all
step "volumes and snapshot are deleted" delete_all
step "nothing is left" nothing_left
# shellcheck source=scripts/demo-store.sh
. "$ROOT/scripts/demo-store.sh"
demo_store
