#!/usr/bin/env bash
# The `stowage` command against real daemons and a real NFS server: what it prints, for people and as JSON, what it says
# about mistakes, and its exit codes.
#
# usage: tests/integration/cli.sh
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"
# shellcheck source=tests/support/stowage.sh
. "$ROOT/tests/support/stowage.sh"

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
nfs_server_need || skip "no NFS server can be started here"
[ -e /dev/fuse ] || skip "no /dev/fuse here"

work=$(mktemp -d /tmp/stowage-cli.XXXXXX)
clean_up() {
    local rc=$?
    trap - EXIT INT TERM
    stowage_stop node "$work"
    stowage_end_mounts "$work"
    stowage_stop controller "$work"
    nfs_server_stop "$work/nfs"
    rm -rf --one-file-system "$work"
    exit "$rc"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

ctl() { stowage_ctl "$work" "$@"; }

# run CODE COMMAND…: its output is in $out, what it said in $said; any other exit code ends the test.
run() {
    local want=$1 rc=0
    shift
    out=$(ctl "$@" 2>"$work/said") || rc=$?
    said=$(cat "$work/said")
    [ "$rc" = "$want" ] || die "stowage $*: exit code $rc instead of $want: $out $said"
}
# has TEXT PATTERN: fails unless the text holds the pattern
has() { grep -qE -- "$2" <<<"$1" || die "'$2' is not in: $1"; }
# json EXPRESSION: of the last output, as Python's `it`
json() { python3 -c 'import json, sys; it = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1" <<<"$out"; }

# Without daemons: usage is 2, an unreachable daemon is 1 and says what to do.
run 2 volume create
has "$said" 'NAME is missing'
run 2 volume create name --size 3Zi
has "$said" "3Zi"
run 2 volume frobnicate
has "$said" 'stowage help'
run 0 help volume create
has "$out" '--from-snapshot'
has "$out" 'mountPermissions'
run 1 volume list
has "$said" 'stowage-controller is not reachable.*--controller'

nfs_server_start "$work/nfs" "$work/export"
# shellcheck disable=SC1091 # written by nfs_server_start
. "$work/nfs/env"
# shellcheck disable=SC2153 # from that file
class=(-p server="$NFS_HOST" -p share="$NFS_SHARE" -p nfsPort="$NFS_PORT" -p mountPort="$MNT_PORT" -p nfsVersion=3)
stowage_start controller "$work"
stowage_start node "$work" --node-id here --mount-mode fuse

# Bad input: the message names the thing, and nothing is made.
run 1 volume create one "${class[@]}" -p colour=red
has "$said" "INVALID_ARGUMENT.*colour"
run 1 volume create one "${class[@]}" -p subDir=../up
has "$said" 'INVALID_ARGUMENT'
run 1 volume create one "${class[@]}" -p broken
has "$said" "'broken' is no NAME=VALUE"
run 1 volume create one "${class[@]}" -p share=/twice
has "$said" "'share' is given twice"
run 1 volume create one -p server=127.0.0.1 -p share=/export -p nfsPort=1 -p mountPort=1 -p nfsVersion=3 --timeout 10
has "$said" 'UNAVAILABLE|DEADLINE_EXCEEDED'
[ "$(find "$work/export" -mindepth 1 -maxdepth 1 ! -name .stowage)" = "" ] || die "a refused volume left a directory"

# A volume's life.
run 0 volume create one --size 1Gi "${class[@]}" --json
volume=$(json 'it["volume"]["volume_id"]')
[ "$(json 'it["volume"]["capacity_bytes"]')" = 1073741824 ] || die "capacity: $out"
run 0 volume create one --size 1Gi "${class[@]}"
has "$out" "^id +${volume//+/.}\$"
has "$out" '^capacity +1Gi$'
run 1 volume create one --size 2Gi "${class[@]}"
has "$said" 'ALREADY_EXISTS'
run 0 volume list
has "$out" "^${volume//+/.} +1Gi +one "
run 0 volume stage "$volume" --staging "$work/staging"
run 0 volume publish "$volume" --staging "$work/staging" --target "$work/target"
echo hello >"$work/target/file"
[ "$(cat "$work/export/one/file")" = hello ] || die "the server does not have what was written"
run 0 volume stats "$volume" --path "$work/target"
has "$out" '^bytes +[0-9]'
has "$out" '^files +[0-9]'
run 1 volume stats "$volume" --path relative
has "$said" 'no absolute path'
run 1 volume expand "$volume"
has "$said" '--size'
run 0 volume expand "$volume" --size 2Gi --path "$work/target"
has "$out" 'capacity of 2Gi'
run 0 volume modify "$volume" -p onDelete=retain
run 1 volume modify "$volume" -p server=elsewhere
has "$said" 'INVALID_ARGUMENT'
run 0 volume get "$volume"
has "$out" '^capacity +2Gi$'
run 0 volume unpublish "$volume" --target "$work/target"
run 0 volume unstage "$volume" --staging "$work/staging"
! grep -F " $work/" /proc/self/mountinfo || die "a mount is left"

# Snapshots: whole when the command returns.
run 0 volume snapshot "$volume" first --json
snapshot=$(json 'it["snapshot"]["snapshot_id"]')
[ "$(json 'it["snapshot"]["ready_to_use"]')" = True ] || die "not ready: $out"
run 0 snapshot list --volume "$volume"
has "$out" "^${snapshot//+/.} +${volume//+/.} +.* yes\$"
run 0 volume create two --size 2Gi "${class[@]}" --from-snapshot "$snapshot" --json
two=$(json 'it["volume"]["volume_id"]')
[ "$(cat "$work/export/two/file")" = hello ] || die "the restored volume does not hold the file"
run 0 snapshot delete "$snapshot"
run 0 snapshot delete "$snapshot"
run 0 volume delete "$two" "$volume"
[ "$(cat "$work/export/one/file")" = hello ] || die "onDelete=retain did not keep the data"
run 0 volume list --json
[ "$(json 'len(it)')" = 0 ] || die "volumes are left: $out"
run 1 volume get "$volume"
has "$said" 'NOT_FOUND'

# Raw calls.
run 0 csi GetPluginInfo
[ "$(json 'it["name"]')" = csi.stowage.dev ] || die "plugin: $out"
run 0 csi nodegetinfo
[ "$(json 'it["node_id"]')" = here ] || die "node: $out"
run 1 csi DeleteVolume '{"volume": "x"}'
has "$said" 'volume_id'
say "passed: the stowage command"
