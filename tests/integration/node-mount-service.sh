#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-node and its mount service as Kubernetes runs them: each in a mount and a PID namespace of its own, with the
# kubelet directory shared in both directions and every directory elsewhere than by default. The mount is seen in both
# and on the "host"; the node process is killed with its whole container under I/O and a new one, with other pids, finds
# everything again; a daemon that dies is told and replaced; the service ends last, and in order.
set -euo pipefail
# shellcheck source=tests/support/node-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node-kit.sh"

for tool in unshare nsenter curl; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done

SERVICE_PID='' WRITER_PID=''
HTTP=127.0.0.1:$(nfs_server_free_port 24190)

# container NAME PROGRAM...: in mount and PID namespaces of its own, whose first process it is. Mounts go both ways below
# the kubelet directory (Bidirectional) and nowhere else, for all of the rest is private here.
container() {
    local name=$1
    shift
    setsid unshare --mount --propagation unchanged --pid --fork --kill-child --mount-proc "$@" </dev/null \
        >>"$WORK/$name.log" 2>&1 &
    CONTAINER_PID=$!
}

start_service() {
    container service "$BIN/stowage-cachefs" --serve "$WORK/plugin/mounts.sock" --stop-grace 5 --http "$HTTP" \
        --log-format json
    SERVICE_PID=$CONTAINER_PID
    wait_until 10 test -S "$WORK/plugin/mounts.sock" || fail "the service does not serve: $(cat "$WORK/service.log")"
}

start_node() {
    mkdir -p "$WORK/elsewhere"
    container node "$BIN/stowage-node" --socket "$WORK/node.sock" --state-dir "$WORK/elsewhere/state" \
        --mount-service "$WORK/plugin/mounts.sock" --cachefs /nowhere/stowage-cachefs --mount-mode fuse \
        --inline-dir "$KUBELET/plugins/inline" --inline-shares '127.0.0.1:/export/volume-1' --log-format json
    NODE_PID=$CONTAINER_PID
    wait_until 20 stowage_answers node "$WORK" || fail "the node does not answer: $(tail -n 5 "$WORK/node.log")"
}

first_child() { tr -d ' ' <"/proc/$1/task/$1/children"; }
service_init() { first_child "$SERVICE_PID"; }
metric_is() { grep -qx "$1" <<<"$(curl -fsS "http://$HTTP/metrics")"; }
no_daemon() { [ -z "$(first_child "$(service_init)")" ]; }

end_container() { # PID SIGNAL: of its first process, which takes all the others with it
    local init
    init=$(first_child "$1")
    [ -z "$init" ] || kill "-$2" "$init"
    wait "$1" 2>/dev/null || true
}

clean_up() {
    [ -z "$WRITER_PID" ] || kill "$WRITER_PID" 2>/dev/null || true
    [ -z "${NODE_PID:-}" ] || [ ! -e "/proc/$NODE_PID" ] || end_container "$NODE_PID" KILL
    [ -z "$SERVICE_PID" ] || [ ! -e "/proc/$SERVICE_PID" ] || end_container "$SERVICE_PID" KILL
    unmount_below "$WORK" || true
    node_kit_stop
}

seen_by() { # PID PATH: is it a mount point of ours in that process's mount namespace?
    awk -v path="$2" '$5 == path && / - fuse.stowage / { found = 1 } END { exit !found }' "/proc/$1/mountinfo"
}

NODE_KIT_NO_NODE=1 node_kit_start
trap clean_up EXIT
KUBELET=$WORK/var/kubelet
mkdir -p "$KUBELET/pods" "$KUBELET/plugins/staging" "$WORK/plugin"
mount --bind "$KUBELET" "$KUBELET"
mount --make-shared "$KUBELET"
STAGING=$KUBELET/plugins/staging/volume-1
TARGET=$KUBELET/pods/a
mkdir "$STAGING"

echo "without the service the node waits, and says for what"
container node "$BIN/stowage-node" --socket "$WORK/node.sock" --state-dir "$WORK/elsewhere/state" \
    --mount-service "$WORK/plugin/mounts.sock" --mount-mode fuse --log-format json
NODE_PID=$CONTAINER_PID
wait_until 10 grep -q 'waiting for the mount service' "$WORK/node.log" || fail "the node does not say that it waits"
start_service
wait_until 20 stowage_answers node "$WORK" || fail "the node did not go on: $(tail -n 5 "$WORK/node.log")"
end_container "$NODE_PID" TERM
start_node
[ "$(stat -c %a "$WORK/plugin/mounts.sock")" = 600 ] || fail "others may use the service's socket"

echo "the service tells how it is"
[ "$(curl -fsS "http://$HTTP/healthz")" = ok ] || fail "the service is not healthy"
metric_is 'stowage_mount_daemons 0' || fail "no count of daemons: $(curl -fsS "http://$HTTP/metrics")"

echo "a mount is seen in the service, in the node and on the host"
node_stage >/dev/null
node_publish "$TARGET" >/dev/null
for path in "$STAGING" "$TARGET"; do
    for pid in "$$" "$(service_init)" "$(first_child "$NODE_PID")"; do
        seen_by "$pid" "$path" || fail "$path is no mount in the namespace of process $pid"
    done
done
[ "$(readlink "/proc/$(service_init)/ns/pid")" != "$(readlink "/proc/$(first_child "$NODE_PID")/ns/pid")" ] ||
    fail "the test's containers share a PID namespace"
[ -n "$(first_child "$(service_init)")" ] || fail "the daemon is no child of the service"
metric_is 'stowage_mount_daemons 1' || fail "the daemon is not counted"

echo "the node's container is killed under I/O and comes back: no error, the same daemon"
daemon=$(first_child "$(service_init)")
(for i in $(seq 100000); do echo "$i" >>"$TARGET/log" || exit 1; done) 2>"$WORK/writer.err" &
WRITER_PID=$!
for _ in 1 2 3; do
    end_container "$NODE_PID" KILL
    start_node
    node_stage >/dev/null
    node_publish "$TARGET" >/dev/null
done
kill -0 "$WRITER_PID" 2>/dev/null || fail "the writer ended: $(cat "$WORK/writer.err")"
kill "$WRITER_PID"
wait "$WRITER_PID" 2>/dev/null || true
WRITER_PID=''
[ ! -s "$WORK/writer.err" ] || fail "the writer saw an error: $(cat "$WORK/writer.err")"
[ "$(first_child "$(service_init)")" = "$daemon" ] || fail "the daemon is another one"
cmp "$TARGET/log" "$WORK/export/volume-1/log" || fail "the server has other data than was written"
[ "$(node_mounts | grep -c "^$KUBELET/")" = 2 ] || fail "expected the mounts of staging and target: $(node_mounts)"

echo "a service that is frozen takes nothing from the pods, and no call hangs"
kill -STOP "$(service_init)"
node_stage >/dev/null || fail "staging again needs the service"
echo still here >"$TARGET/frozen"
kill -CONT "$(service_init)"

echo "a daemon that dies is told, and replaced with the next publish"
kill -KILL "$daemon"
wait_until 10 grep -q 'daemon died' "$WORK/node.log" || fail "the node did not notice that the daemon died"
grep -q '"daemon ended"' "$WORK/service.log" || fail "the service did not say that the daemon ended"
metric_is 'stowage_mount_daemons_ended_total{how="died"} 1' || fail "the service did not count it"
node_publish "$TARGET" >/dev/null
[ "$(cat "$TARGET/frozen")" = "still here" ] || fail "the volume is not there again"

echo "the service is asked to stop: the mount in use stays until it is unpublished, then it is ended"
kill -TERM "$(service_init)"
wait_until 5 grep -q 'mount is in use' "$WORK/service.log" || fail "the service does not say what is in use"
[ "$(cat "$TARGET/frozen")" = "still here" ] || fail "the mount in use was taken away"
node_unpublish "$TARGET" >/dev/null
wait_until 10 test ! -e "/proc/$SERVICE_PID" || fail "the service does not end: $(tail -n 5 "$WORK/service.log")"
wait "$SERVICE_PID" || fail "the service ended with $?"
grep -q 'mount that nobody uses is ended' "$WORK/service.log" || fail "the service does not say what it ended"
[ ! -e "$WORK/plugin/mounts.sock" ] || fail "its socket is left"

echo "with a new service the volume is mounted again and unstaged"
start_service
node_stage >/dev/null
node_publish "$TARGET" >/dev/null
[ "$(cat "$TARGET/frozen")" = "still here" ] || fail "the volume is not there with the new service"
node_unpublish "$TARGET" >/dev/null
node_unstage >/dev/null
[ "$(node_mounts | grep "^$KUBELET/")" = "" ] || fail "mounts are left: $(node_mounts)"
wait_until 5 no_daemon || fail "a daemon is left"
[ -z "$(find "$WORK/elsewhere/state" -name '*.json')" ] || fail "a record is left"

echo "an inline volume: mounted by the service, seen everywhere, kept over the end of the node's container, and gone"
publish_inline() {
    node_csi NodePublishVolume "{\"volume_id\":\"csi-1\",\"target_path\":\"$TARGET\",\"readonly\":true,
        \"volume_capability\":$(node_capability),\"volume_context\":{\"server\":\"127.0.0.1\",\"share\":\"/export\",
        \"mountFrom\":\"/volume-1\",\"nfsPort\":\"$NFS_PORT\",\"mountPort\":\"$MNT_PORT\",
        \"csi.storage.k8s.io/ephemeral\":\"true\"}}" >/dev/null
}
publish_inline
for pid in "$$" "$(service_init)" "$(first_child "$NODE_PID")"; do
    seen_by "$pid" "$TARGET" || fail "$TARGET is no mount in the namespace of $pid"
done
daemon=$(first_child "$(service_init)")
end_container "$NODE_PID" KILL
[ "$(cat "$TARGET/frozen")" = "still here" ] || fail "the inline volume ended with the node's container"
start_node
publish_inline
[ "$(first_child "$(service_init)")" = "$daemon" ] || fail "the daemon is another one"
VOLUME=csi-1 node_unpublish "$TARGET" >/dev/null
[ "$(node_mounts | grep "^$KUBELET/")" = "" ] || fail "mounts are left: $(node_mounts)"
wait_until 5 no_daemon || fail "a daemon is left"
[ -z "$(find "$WORK/elsewhere/state" -name '*.json')" ] || fail "a record is left"
[ -z "$(ls -A "$KUBELET/plugins/inline")" ] || fail "a directory is left"
echo "all of it worked"
