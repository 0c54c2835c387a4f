# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests of stowage-cachefs: an NFS server and mounts of it, in a mount namespace of the test's own.
#
#   cachefs_kit_start            needs root; sets WORK, EXPORT and the server's variables; skips (77) where it cannot run
#   cachefs_kit_prepare          the same without a server
#   cachefs_mount NAME [FLAG...] mounts the share at $WORK/NAME; its pid is in $WORK/NAME.pid. With CACHEFS_CACHE=1 in the
#                                environment each mount has a cache of its own, as if it were on a node of its own
#   cachefs_run NAME [FLAG...]   the same of what FLAGS say; CACHEFS_AS is put before the program
#   cachefs_kill NAME            kill -9 of the daemon, and waits until another has taken over
#   cachefs_umount NAME          unmounts and waits until the process ended; fails after 15 s
#   cachefs_umount_wait NAME     the latter part of it, for what is unmounted already
#   cachefs_server stop|start    the server, on the same ports

ROOT=${ROOT:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")}
BIN=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}/bin

if [ "${STOWAGE_OWN_MOUNTS:-}" != 1 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "skipped: needs root"
        exit 77
    fi
    STOWAGE_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi

# shellcheck source=tests/support/nfs-server.sh
. "$ROOT/tests/support/nfs-server.sh"

fail() {
    echo "FAILED: $*"
    exit 1
}

# umount2(2) itself: umount(8) asks the file system first, and hangs with a frozen server
cachefs_detach() {
    python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2) != 0)' "$1"
}

cachefs_kit_stop() {
    local rc=$? pid
    trap - EXIT INT TERM
    [ -z "${NFS_PID:-}" ] || kill -CONT "$NFS_PID" 2>/dev/null || true
    for pid in "$WORK"/*.pid; do
        [ -e "$pid" ] || continue
        cachefs_detach "${pid%.pid}" || true
        kill -TERM "$(cat "$pid")" 2>/dev/null || true
    done
    if [ -d "$WORK/nfs" ]; then nfs_server_stop "$WORK/nfs" || true; fi
    rm -rf --one-file-system "$WORK"
    exit "$rc"
}

cachefs_kit_prepare() {
    local tool
    for tool in python3 setpriv "$@"; do
        command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
    done
    [ -e /dev/fuse ] || { echo "skipped: no /dev/fuse"; exit 77; }
    [ -x "$BIN/stowage-cachefs" ] || fail "$BIN/stowage-cachefs is not built"
    WORK=$(mktemp -d /tmp/stowage-cachefs.XXXXXX)
    chmod 755 "$WORK"
    EXPORT=$WORK/export
    trap cachefs_kit_stop EXIT INT TERM
    mkdir -p "$EXPORT"
}

cachefs_kit_start() {
    cachefs_kit_prepare ganesha.nfsd rpcbind "$@"
    cachefs_server start || fail "no NFS server"
}

cachefs_server() {
    if [ "$1" = stop ]; then
        nfs_server_stop "$WORK/nfs"
    else
        nfs_server_start "$WORK/nfs" "$EXPORT" ${NFS_PORT:+"$NFS_PORT" "$MNT_PORT"} || return 1
        # shellcheck disable=SC1091
        . "$WORK/nfs/env"
    fi
}

cachefs_mount() {
    local name=$1
    shift
    cachefs_run "$name" --server 127.0.0.1 --share /export --nfs-port "$NFS_PORT" --mount-port "$MNT_PORT" "$@"
}

cachefs_run() {
    local name=$1 line
    shift
    mkdir -p "$WORK/$name"
    if [ "${CACHEFS_CACHE:-}" = 1 ]; then
        mkdir -p "$WORK/cache-$name"
        set -- --cache-dir "$WORK/cache-$name" --cache-settle 2 "$@"
    fi
    mkfifo "$WORK/$name.ready"
    ${CACHEFS_AS:-} "$BIN/stowage-cachefs" --mount-point "$WORK/$name" --fs-name "test-$name" --ready-fd 9 "$@" \
        9>"$WORK/$name.ready" 2>"$WORK/$name.log" &
    echo $! >"$WORK/$name.pid"
    read -r line <"$WORK/$name.ready" || line="no answer"
    rm "$WORK/$name.ready"
    [ "$line" = ready ] || { echo "$line"; return 1; }
}

cachefs_kill() {
    local keeper daemon next
    keeper=$(cat "$WORK/$1.pid")
    daemon=$(pgrep -P "$keeper" | head -n 1)
    kill -KILL "$daemon"
    for _ in $(seq 200); do
        next=$(pgrep -P "$keeper" | head -n 1 || true)
        if [ -n "$next" ] && [ "$next" != "$daemon" ] && grep -q "took the mount over" "$WORK/$1.log"; then return 0; fi
        sleep 0.05
    done
    return 1
}

cachefs_umount() {
    cachefs_detach "$WORK/$1" || fail "cannot unmount $1"
    cachefs_umount_wait "$1"
}

cachefs_umount_wait() {
    local pid
    pid=$(cat "$WORK/$1.pid")
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then fail "stowage-cachefs is still there after the unmount of $1"; fi
    wait "$pid" || fail "stowage-cachefs ended with $?: $(cat "$WORK/$1.log")"
    rm "$WORK/$1.pid"
}
