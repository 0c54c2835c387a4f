#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Node-group volumes on a file system that is mounted already: the controller makes, copies and deletes them in a directory of
# its own machine, the node reads them through the directories its administrator allowed; other groups, other directories,
# symbolic links and a missing cache are refused or survived as documented.
set -euo pipefail
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"

[ -e /dev/fuse ] || skip "no /dev/fuse"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/stowage-origin.XXXXXX")
NFS_PID=""
clean_up() {
    stowage_stop controller "$WORK" || true
    stowage_stop node "$WORK" || true
    stowage_end_mounts "$WORK" 2>/dev/null || true
    rm -rf "$WORK"
}
trap clean_up EXIT
ORIGIN=$WORK/lustre
mkdir -p "$ORIGIN/projects" "$WORK/staging" "$WORK/pods" "$WORK/disk"
STAGING=$WORK/staging/volume

ctl() { stowage_ctl "$WORK" "$@"; }
start_controller() { stowage_start controller "$WORK" --origin "lustre=$ORIGIN"; }
start_node() { # FLAG…
    stowage_start node "$WORK" --node-id node-1 --mount-mode kernel --node-group a --origin-path-allowed "$ORIGIN" --origin-dir "$WORK/origins" "$@"
}
context_of() { # ID: of the volume, as JSON
    ctl csi ControllerGetVolume "$(jq -nc --arg id "$1" '{volume_id: $id}')" | jq -c .volume.volume_context
}
CAPABILITY='{"mount":{},"access_mode":{"mode":"MULTI_NODE_MULTI_WRITER"}}'
stage() { # ID [CONTEXT]
    mkdir -p "$STAGING"
    node_csi NodeStageVolume "$(jq -nc --arg id "$1" --arg path "$STAGING" --argjson context "${2:-$(context_of "$1")}" \
        --argjson capability "$CAPABILITY" '{volume_id: $id, staging_target_path: $path, volume_capability: $capability, volume_context: $context}')"
}
unstage() { node_csi NodeUnstageVolume "$(jq -nc --arg id "$1" --arg path "$STAGING" '{volume_id: $id, staging_target_path: $path}')" >/dev/null; }
# refused TEXT COMMAND…
refused() {
    local text=$1
    shift
    if "$@" >"$WORK/out" 2>&1; then fail "accepted: $*"; fi
    grep -qF -- "$text" "$WORK/out" || fail "refused without '$text': $(cat "$WORK/out")"
}
create() { # NAME [FLAG…]
    local name=$1
    shift
    ctl volume create "$name" -p nodeGroup=a -p origin=mount -p originName=lustre -p "originPath=$ORIGIN" -p share=/projects "$@" >"$WORK/created" || return 1
    awk '$1 == "id" { print $2 }' "$WORK/created"
}

start_controller
start_node --cache-dir "$WORK/disk/cache"

echo "a volume is a directory of the origin, and its id says which origin"
id=$(create data)
case $id in v-*@mount=lustre/projects) ;; *) fail "id $id" ;; esac
[ -d "$ORIGIN/projects/data" ] || fail "no directory: $(find "$ORIGIN")"
[ "$(create data)" = "$id" ] || fail "the same name gives another volume"
refused "another nodeGroup, cache or origin" create data -p cacheMode=immutable
refused "no origin 'ceph'" ctl volume create x -p nodeGroup=a -p origin=mount -p originName=ceph -p "originPath=$ORIGIN"

echo "the node mounts it in user space, with a cache, and both sides see the same"
stage "$id" >/dev/null
echo hello >"$STAGING/file"
[ "$(cat "$ORIGIN/projects/data/file")" = hello ] || fail "the origin has other data"
echo changed >"$ORIGIN/projects/data/other"
[ "$(cat "$STAGING/other")" = changed ] || fail "the mount has other data"
findmnt -no FSTYPE "$STAGING" | grep -qx fuse.stowage || fail "mounted otherwise: $(findmnt -no FSTYPE "$STAGING")"
[ -d "$WORK/disk/cache" ] || fail "the directory of the cache was not made"
[ "$(stat -c %a "$WORK/disk/cache")" = 700 ] || fail "the directory of the cache can be read by others"

echo "in every mode, what is written here is read here"
for mode in strict ttl immutable; do
    other=$(create "mode-$mode" -p "cacheMode=$mode")
    unstage "$id"
    stage "$other" >/dev/null
    echo first >"$STAGING/file"
    [ "$(cat "$STAGING/file")" = first ] || fail "$mode: a new file reads '$(cat "$STAGING/file")'"
    echo second >>"$STAGING/file"
    [ "$(wc -l <"$STAGING/file") $(tail -n 1 "$STAGING/file")" = "2 second" ] || fail "$mode: appended, it reads '$(cat "$STAGING/file")'"
    echo third >"$STAGING/file"
    [ "$(cat "$STAGING/file")" = third ] || fail "$mode: written anew, it reads '$(cat "$STAGING/file")'"
    unstage "$other"
    ctl volume delete "$other" >/dev/null
    stage "$id" >/dev/null
done

echo "snapshots, clones and a new controller work on it as on a share"
stowage_stop controller "$WORK"
start_controller
snapshot=$(ctl snapshot create before "$id" --json | jq -r .snapshot.snapshot_id)
case $snapshot in s-*@mount=lustre/projects) ;; *) fail "id $snapshot" ;; esac
copy=$(create copy --from-snapshot "$snapshot")
[ "$(cat "$ORIGIN/projects/copy/file")" = hello ] || fail "the copy has other data"
ctl volume delete "$copy"
ctl snapshot delete "$snapshot"

echo "a volume of another group, or in another directory, is refused"
context=$(context_of "$id")
unstage "$id"
refused "node group 'b' and this node of 'a'" stage "$id" "$(jq -c '.nodeGroup = "b"' <<<"$context")"
refused "not allowed" stage "$id" "$(jq -c '.originPath = "/etc"' <<<"$context")"
refused "not allowed" stage "$id" "$(jq -c '.originPath += "-other"' <<<"$context")"
refused "'..'" stage "$id" "$(jq -c '.originPath += "/../.."' <<<"$context")"
mkdir -p "$WORK/secret/inside"
ln -s "$WORK/secret" "$ORIGIN/link"
refused "" stage "$id" "$(jq -c '.originPath += "/link" | .share = "/" | .subDir = "inside"' <<<"$context")"
refused "" stage "$id" "$(jq -c '.share = "/link" | .subDir = "inside"' <<<"$context")"
refused "origin 'lustre'" ctl volume create y -p nodeGroup=a -p origin=mount -p originName=lustre -p "originPath=$ORIGIN" -p share=/link
[ ! -e "$WORK/secret/.stowage" ] || fail "the controller followed a link out of the origin"

echo "an origin that the node shall mount and cannot is told, and leaves nothing"
mounted='{"nodeGroup":"a","origin":"mount","subDir":"data"}'
of_type() { jq -c --arg type "$1" --arg source "$2" ".originType = \$type | .originSource = \$source" <<<"$mounted"; }
refused "cannot be mounted; use one of" stage "$id" "$(of_type ext4 /dev/sda)"
refused "no NFS share" stage "$id" "$(of_type nfs server)"
refused "originPath" stage "$id" "$(of_type path "$ORIGIN")"
refused "origin 127.0.0.1:/nothing" stage "$id" "$(of_type nfs 127.0.0.1:/nothing)"
[ -z "$(find "$WORK/origins" -mindepth 1)" ] || fail "left behind: $(find "$WORK/origins")"

echo "a cache that cannot be had hinders nothing; one that was never given is told"
stowage_stop node "$WORK"
start_node --cache-dir "$WORK/missing/cache"
stage "$id" >/dev/null
[ "$(cat "$STAGING/file")" = hello ] || fail "without its cache the volume has other data"
grep -q "there is no cache" "$WORK/node.log" || fail "the log does not tell that there is no cache"
unstage "$id"
stowage_stop node "$WORK"
start_node
refused "--cache-dir" stage "$id"
stowage_stop node "$WORK"
stowage_start node "$WORK" --node-id node-1 --origin-path-allowed "$ORIGIN" --cache-dir "$WORK/disk/cache"
refused "this node of none" stage "$id" "$context"

echo "an origin that is not mounted makes the calls fail, not the data"
mv "$ORIGIN" "$WORK/away"
stowage_stop controller "$WORK"
start_controller
refused "origin 'lustre'" ctl volume delete "$id"
mv "$WORK/away" "$ORIGIN"
ctl volume delete "$id"
gone() { [ ! -e "$ORIGIN/projects/data" ]; }
wait_until 20 gone || fail "the deleted volume stays"
echo passed
