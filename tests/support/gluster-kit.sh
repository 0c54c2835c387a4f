# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests on a real GlusterFS: a volume "data" of two bricks that hold the same files, in namespaces of the test's own (mounts,
# network, processes), so that nothing of it is seen outside, and nothing stays behind. Sourced before cachefs-kit.sh.
#
#   gluster_start                  glusterd and the volume; needs WORK. Its address is GLUSTER
#   gluster_brick_pid 1|2          of the process that serves that brick
#   gluster_kill_brick 1|2         kill -9
#   gluster_revive                 starts what of the volume was killed
#   gluster_wait_healed MOUNT      until both bricks have the same again and MOUNT reaches them; fails after 120 s each
#   gluster_stop

if [ "${STOWAGE_OWN_MOUNTS:-}" != 1 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "skipped: needs root"
        exit 77
    fi
    for tool in glusterd gluster glusterfsd mount.glusterfs ip setsid; do
        command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
    done
    STOWAGE_OWN_MOUNTS=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private "$0" "$@"
fi

GLUSTER=10.77.0.1 # glusterd refuses loopback addresses; this one is on the loopback device of the namespace

gluster_cli() { gluster --mode=script "$@" >>"$WORK/gluster/cli.log" 2>&1; }

gluster_start() {
    local dir=$WORK/gluster
    mkdir -p "$dir"/{lib,log,brick1,brick2}
    ip link set lo up
    ip address add "$GLUSTER/32" dev lo
    mount --bind "$dir/lib" /var/lib/glusterd
    mount --bind "$dir/log" /var/log/glusterfs
    mount -t tmpfs run /run
    sed "/end-volume/i option transport.socket.bind-address $GLUSTER" /etc/glusterfs/glusterd.vol >"$dir/glusterd.vol"
    glusterd -f "$dir/glusterd.vol" -p "$dir/glusterd.pid" || return 1
    for _ in $(seq 100); do
        gluster_cli volume list && break
        sleep 0.2
    done
    if ! gluster_cli volume create data replica 2 "$GLUSTER:$dir/brick1" "$GLUSTER:$dir/brick2" force ||
        ! gluster_cli volume start data; then
        tail -n 5 "$dir/cli.log"
        return 1
    fi
}

gluster_brick_pid() {
    local file
    file=$(find /run/gluster/vols/data -name "*brick$1.pid")
    cat "$file"
}

gluster_kill_brick() { kill -KILL "$(gluster_brick_pid "$1")"; }

gluster_revive() { gluster_cli volume start data force; }

# A mount connects to a brick that came back in its own time; until then it has no other when that one goes.
gluster_wait_connected() {
    for _ in $(seq 240); do
        [ "$(cat "$1"/.meta/graphs/active/data-client-{0,1}/private | grep -c '^connected = 1$')" != 2 ] || return 0
        sleep 0.5
    done
    return 1
}

gluster_wait_healed() {
    local said
    gluster_wait_connected "$1" || { echo "$1 does not reach both bricks"; return 1; }
    for _ in $(seq 240); do
        gluster_cli volume heal data || true # refused until both bricks are there
        said=$(gluster --mode=script volume heal data info 2>&1 || true)
        [ "$(grep -c '^Number of entries: 0$' <<<"$said")" != 2 ] || return 0
        sleep 0.5
    done
    echo "$said"
    return 1
}

gluster_stop() {
    local pid
    [ -s "$WORK/gluster/glusterd.pid" ] || return 0
    gluster_cli volume stop data force || true
    pid=$(cat "$WORK/gluster/glusterd.pid")
    kill -TERM "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
}
