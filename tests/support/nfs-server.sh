#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A private nfs-ganesha on loopback for one test: starts it, waits until it answers, stops it by pid.
#
# As a command:   nfs-server.sh start STATE_DIR EXPORT_DIR [NFS_PORT MNT_PORT]
#                 nfs-server.sh stop STATE_DIR
# As a library:   . tests/support/nfs-server.sh; nfs_server_start STATE_DIR EXPORT_DIR [NFS_PORT MNT_PORT]
#
# EXPORT_DIR is served as /export for NFSv3 and NFSv4.0. STATE_DIR holds the server's configuration, its log, `pid`, and
# `env` with NFS_HOST, NFS_PORT, MNT_PORT, NFS_SHARE, NFS_EXPORT_DIR, NFS_PID and RPCBIND_STARTED (1: by this start).
# Environment: SQUASH=no_root_squash|root_squash|all_squash (default no_root_squash); NFS_LOG_LEVEL (default EVENT);
#              NFS_BIND: address to serve on (default 127.0.0.1; "::1" for IPv6);
#              NFS_MINOR_VERSIONS: of NFSv4, comma-separated (default 0);
#              STOP_RPCBIND=1 with stop: also stops the rpcbind that this state directory started.
# Without ports, two free ones are taken. Needs root and the Debian packages nfs-ganesha, nfs-ganesha-vfs and rpcbind.

nfs_server_say() {
    printf 'nfs-server: %s\n' "$*" >&2
}

nfs_server_need() {
    local tool
    for tool in ganesha.nfsd rpcbind rpcinfo ss; do
        if ! command -v "$tool" >/dev/null; then
            nfs_server_say "'$tool' is missing: apt-get install nfs-ganesha nfs-ganesha-vfs rpcbind iproute2"
            return 1
        fi
    done
    if [ "$(id -u)" != 0 ]; then
        nfs_server_say "must run as root: ganesha opens files by handle"
        return 1
    fi
    if [ ! -e /etc/mtab ]; then # a bare container image has none, and ganesha finds no file system to export
        nfs_server_say "making /etc/mtab, a link to /proc/self/mounts"
        ln -s /proc/self/mounts /etc/mtab
    fi
}

# nfs_server_free_port FIRST: the first port from FIRST on that nobody listens on.
nfs_server_free_port() {
    local port=$1 used
    used=$(ss -Htln | awk '{ n = split($4, part, ":"); print part[n] }')
    while grep -qx "$port" <<<"$used"; do
        port=$((port + 1))
    done
    printf '%s\n' "$port"
}

# Becomes a program that outlives us, without any descriptor of ours: an inherited lock or pipe would keep others
# waiting. For a subshell: `( nfs_server_become PROGRAM … )`, or with `&`, where $! is then the program's pid.
nfs_server_become() {
    local fd
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || eval "exec $fd>&-" 2>/dev/null || true
    done
    exec "$@" </dev/null >/dev/null 2>&1
}

# Prints 1 when it had to start rpcbind. Several servers may start at once. (Debian 12's rpcbind crashes on -h 127.0.0.1.)
nfs_server_rpcbind() {
    (
        flock -w 20 9
        if rpcinfo -p 127.0.0.1 >/dev/null 2>&1; then
            printf '0\n'
            exit 0
        fi
        mkdir -p /run/rpcbind
        (nfs_server_become rpcbind -w)
        for _ in $(seq 50); do
            if rpcinfo -p 127.0.0.1 >/dev/null 2>&1; then
                printf '1\n'
                exit 0
            fi
            sleep 0.1
        done
        nfs_server_say "rpcbind does not answer on port 111"
        exit 1
    ) 9>/run/stowage-rpcbind.lock
}

nfs_server_config() {
    local state=$1 export_dir=$2 nfs_port=$3 mnt_port=$4 squash=$5
    cat <<CONF
NFS_CORE_PARAM {
    NFS_Protocols = 3,4;
    NFS_Port = $nfs_port;
    MNT_Port = $mnt_port;
    Bind_addr = ${NFS_BIND:-127.0.0.1};
    Enable_NLM = false;
    Enable_RQUOTA = false;
    Enable_UDP = false;
    mount_path_pseudo = true;
}
NFSV4 {
    Graceless = true;
    Minor_Versions = ${NFS_MINOR_VERSIONS:-0};
    RecoveryBackend = fs;
    RecoveryRoot = $state/recovery;
}
EXPORT {
    Export_Id = 1;
    Path = $export_dir;
    Pseudo = /export;
    Tag = export;
    Protocols = 3,4;
    Transports = TCP;
    Attr_Expiration_Time = ${ATTR_EXPIRATION:-60};
    Access_Type = RW;
    Squash = $squash;
    SecType = sys;
    FSAL { Name = VFS; }
}
LOG { Default_Log_Level = ${NFS_LOG_LEVEL:-EVENT}; }
CONF
}

# An RPC null call to the program at this very port, without asking rpcbind.
nfs_server_answers() {
    local port=$1 program=$2 version=$3
    local host=${NFS_BIND:-127.0.0.1} net=tcp
    [[ $host != *:* ]] || net=tcp6
    timeout 2 rpcinfo -a "$host.$((port / 256)).$((port % 256))" -T "$net" "$program" "$version" >/dev/null 2>&1
}

nfs_server_start() {
    local state=${1:?state directory} export_dir=${2:?export directory} nfs_port=${3:-} mnt_port=${4:-}
    local squash=${SQUASH:-no_root_squash} rpcbind_started pid
    nfs_server_need || return 1
    mkdir -p "$state/recovery" "$export_dir" /run/ganesha /var/lib/nfs/ganesha
    state=$(realpath "$state")
    export_dir=$(realpath "$export_dir")
    if [ -s "$state/pid" ] && kill -0 "$(cat "$state/pid")" 2>/dev/null; then
        nfs_server_say "a server already runs from $state (pid $(cat "$state/pid"))"
        return 1
    fi
    # Ports are taken under a lock that is held until the server listens, so that parallel starts differ.
    rpcbind_started=$(nfs_server_rpcbind) || return 1
    exec {nfs_server_lock}>/run/stowage-nfs-ports.lock
    flock -w 60 "$nfs_server_lock" || return 1
    nfs_port=${nfs_port:-$(nfs_server_free_port 26100)}
    mnt_port=${mnt_port:-$(nfs_server_free_port $((nfs_port + 1)))}
    nfs_server_config "$state" "$export_dir" "$nfs_port" "$mnt_port" "$squash" >"$state/ganesha.conf"
    : >"$state/ganesha.log"
    nfs_server_become setsid ganesha.nfsd -F -f "$state/ganesha.conf" -L "$state/ganesha.log" \
        -p "$state/ganesha.pid" &
    pid=$!
    printf '%s\n' "$pid" >"$state/pid"
    if ! nfs_server_wait "$pid" "$nfs_port" "$mnt_port"; then
        nfs_server_say "ganesha did not come up on ports $nfs_port and $mnt_port; the end of $state/ganesha.log:"
        tail -n 15 "$state/ganesha.log" >&2
        nfs_server_stop "$state"
        exec {nfs_server_lock}>&-
        return 1
    fi
    exec {nfs_server_lock}>&-
    disown "$pid" 2>/dev/null || true
    cat >"$state/env" <<ENV
NFS_HOST=${NFS_BIND:-127.0.0.1}
NFS_PORT=$nfs_port
MNT_PORT=$mnt_port
NFS_SHARE=/export
NFS_EXPORT_DIR=$export_dir
NFS_PID=$pid
RPCBIND_STARTED=$rpcbind_started
ENV
}

nfs_server_wait() {
    local pid=$1 nfs_port=$2 mnt_port=$3
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || return 1
        if nfs_server_answers "$nfs_port" 100003 3 && nfs_server_answers "$nfs_port" 100003 4 &&
            nfs_server_answers "$mnt_port" 100005 3; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

# Never fails: what is gone already is fine. A frozen server is let go on first, so that it can end.
nfs_server_stop() {
    local state=${1:?state directory} pid
    [ -s "$state/pid" ] || return 0
    pid=$(cat "$state/pid")
    kill -CONT "$pid" 2>/dev/null || true
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -KILL "$pid" 2>/dev/null; then
        nfs_server_say "ganesha (pid $pid) did not end within 5 s and was killed"
    fi
    wait "$pid" 2>/dev/null || true
    rm -f "$state/pid" "$state/ganesha.pid"
    rm -rf "$state/recovery"
    if [ "${STOP_RPCBIND:-0}" = 1 ] && grep -qx 'RPCBIND_STARTED=1' "$state/env" 2>/dev/null; then
        nfs_server_stop_rpcbind
    fi
}

nfs_server_stop_rpcbind() {
    local pid
    pid=$(ss -Htlnp 'sport = :111' | sed -n 's/.*"rpcbind",pid=\([0-9]*\).*/\1/p' | head -n 1)
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
    fi
}

nfs_server_main() {
    set -euo pipefail
    case ${1:-} in
    start | stop)
        local verb=$1
        shift
        if [ $# -lt 1 ] || { [ "$verb" = start ] && [ $# -lt 2 ]; }; then
            nfs_server_main --help >&2
            exit 2
        fi
        "nfs_server_$verb" "$@"
        ;;
    -h | --help)
        sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        ;;
    *)
        nfs_server_main --help >&2
        exit 2
        ;;
    esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    nfs_server_main "$@"
fi
