#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An NFS server that is reached through IPv6 only: a volume is created, staged, published, written, unstaged and deleted,
# with NFSv3 and NFSv4, and its server written as ::1 and as [::1], which are one server.
set -euo pipefail
export NFS_BIND=::1
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"
grep -q ' lo$' /proc/net/if_inet6 2>/dev/null || skip "this machine has no IPv6 loopback"
node_kit_start --mount-mode fuse
stowage_start controller "$WORK"
trap 'stowage_stop controller "$WORK"; node_kit_stop' EXIT

controller_csi() { "$BIN/stowage" csi "$1" "$2" --timeout 20 --controller "$WORK/controller.sock"; }

create() { # SERVER VERSION NAME: prints the volume's id
    controller_csi CreateVolume "{\"name\":\"$3\",\"capacity_range\":{\"required_bytes\":1048576},
        \"volume_capabilities\":[$(node_capability)],
        \"parameters\":{\"server\":\"$1\",\"share\":\"/export\",\"nfsVersion\":\"$2\",\"nfsPort\":\"$NFS_PORT\",
        \"mountPort\":\"$MNT_PORT\"}}" | python3 -c '
import json, sys
volume = json.load(sys.stdin)["volume"]
print(volume["volume_id"])'
}

for version in 3 4; do
    echo "NFSv$version over IPv6"
    name=six-$version
    VOLUME=$(create ::1 "$version" "$name")
    [ "$VOLUME" = "$(create '[::1]' "$version" "$name")" ] || fail "::1 and [::1] are two servers"
    grep -qF '@[::1]:' <<<"$VOLUME" || fail "the id does not hold the address: $VOLUME"
    for server in ::1 '[::1]'; do
        CONTEXT=$(printf '{"server":"%s","share":"/export","subDir":"%s","nfsPort":"%s","mountPort":"%s","nfsVersion":"%s"}' \
            "$server" "$name" "$NFS_PORT" "$MNT_PORT" "$version")
        node_stage >/dev/null
        grep -qF " [::1]:/export/$name " /proc/self/mountinfo || fail "the source is not [::1]:/export/$name"
        node_publish "$WORK/pods/a" >/dev/null
        echo "$server" >"$WORK/pods/a/file"
        [ "$(cat "$WORK/export/$name/file")" = "$server" ] || fail "the file did not reach the server"
        node_unpublish "$WORK/pods/a" >/dev/null
        node_unstage >/dev/null
    done
    controller_csi DeleteVolume "{\"volume_id\":\"$VOLUME\"}" >/dev/null
    [ ! -e "$WORK/export/$name" ] || fail "the volume is still there"
done
echo "all of it worked"
