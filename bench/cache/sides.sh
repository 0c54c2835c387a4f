# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Who is compared in bench/cache.sh: the file system itself, our mounts, and the peers. Sourced after scripts/lib.sh and
# tests/support/nfs-server.sh.
#
#   side_path SIDE                where it shows the set of files
#   stowage_start SIDE [FLAG…]    our mount of the server, without a cache unless the flags say so
#   side_stop SIDE                unmounts, and waits for the process; what it cached is the caller's
#   rclone_start, juicefs_start   1 when it cannot be had, after a comment that says why

declare -A PID # of what serves a mount
READY_S=30

side_path() {
    if [ "$1" = native ]; then say "$WORK/native"; else say "$WORK/m/$1"; fi
}

stowage_start() {
    local side=$1 line
    shift
    mkdir -p "$WORK/m/$side"
    mkfifo "$WORK/$side.ready"
    "$BIN/stowage-cachefs" --server 127.0.0.1 --share /export --nfs-port "$NFS_PORT" --mount-port "$MNT_PORT" \
        --connections "$CONNECTIONS" --mount-point "$WORK/m/$side" --fs-name "bench-$side" --ready-fd 9 "$@" \
        9>"$WORK/$side.ready" 2>"$WORK/$side.log" &
    PID[$side]=$!
    read -r -t "$READY_S" line <"$WORK/$side.ready" || line="no answer"
    rm "$WORK/$side.ready"
    if [ "$line" != ready ]; then
        tail -n 10 "$WORK/$side.log" >&2
        die "stowage-cachefs $*: $line"
    fi
}

# cached_flags DIR MODE: sets `flags`, those of a volume that caches in DIR; with --plain there are none
# shellcheck disable=SC2034 # for the caller
cached_flags() {
    flags=()
    [ "$PLAIN" = 1 ] || flags=(--cache-dir "$1" --cache-mode "$2" --cache-ttl 60 --cache-volume "bench-$2")
    mkdir -p "$1"
}

side_stop() {
    local pid=${PID[$1]:-}
    [ -n "$pid" ] || return 0
    umount -l "$WORK/m/$1" || true
    wait_until 15 process_gone "$pid" || note "$1 does not end after its unmount"
    stop_pid "$pid" 5
    unset "PID[$1]"
}
process_gone() { ! kill -0 "$1" 2>/dev/null; }

is_mounted() { awk -v at="$1" '$5 == at { found = 1 } END { exit !found }' /proc/self/mountinfo; }

# peer_wait SIDE: until its mount is there
peer_wait() {
    wait_until "$READY_S" is_mounted "$WORK/m/$1" && return
    say "# $1: not compared, it did not mount: $(tail -n 1 "$WORK/$1.log")"
    stop_pid "${PID[$1]}" 5
    unset "PID[$1]"
    return 1
}

# A local path behind it, not NFS: its cache is the same, and its first reads are not compared.
rclone_start() {
    command -v rclone >/dev/null || {
        say "# rclone: not compared, it is not installed (apt-get install rclone)"
        return 1
    }
    mkdir -p "$WORK/m/rclone" "$WORK/peers/rclone"
    rclone mount "$WORK/export" "$WORK/m/rclone" --config "$WORK/peers/rclone.conf" --vfs-cache-mode full \
        --cache-dir "$WORK/peers/rclone" --vfs-cache-max-age 24h --dir-cache-time 1h --attr-timeout 60s \
        >"$WORK/rclone.log" 2>&1 &
    PID[rclone]=$!
    peer_wait rclone
}

# go_build_replaced MODULE VERSION OUTPUT TAGS: the command of a module whose go.mod replaces others, which `go install` refuses.
# Its go.mod and go.sum are taken over, so that all other versions are those it was released with.
go_build_replaced() {
    local from dir=$3.src
    mkdir -p "$dir"
    from=$(cd / && go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    sed -E "s,^module .*,module stowage.bench/peer," "$from/go.mod" >"$dir/go.mod"
    cat "$from/go.sum" >"$dir/go.sum"
    cd "$dir"
    go mod edit -require "$1@$2"
    CGO_ENABLED=0 GOFLAGS='-mod=mod -trimpath -buildvcs=false' GOWORK=off \
        timeout 1800 go build -p 2 -tags "$4" -ldflags "-s -w" -o "$3.new" "$1"
    mv "$3.new" "$3"
    cd / && rm -r "$dir"
}

# Sets `juicefs`. All object stores but the local one, and all metadata engines but Badger, are left out.
find_juicefs() {
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/juicefs-$JUICEFS_VERSION log tags
    juicefs=$dir/juicefs
    [ ! -x "$juicefs" ] || return 0
    go_ready || {
        say "# juicefs: not compared, there is no go to build it (apt-get install golang-go, or see go.dev)"
        return 1
    }
    note "building JuiceFS $JUICEFS_VERSION into $dir (once; two to four minutes)"
    tags=nogateway,nowebdav,nocos,nobos,nohdfs,noibmcos,noobs,nooss,noqingstor,noqingstore,nosftp,noswift,noazure,nogs
    tags+=,noufile,nob2,nonfs,nodragonfly,nos3,noqiniu,noscw,noredis,nosqlite,nomysql,nopg,notikv,noetcd
    mkdir -p "$dir"
    log=$dir/build.log
    # A sub-shell with -e of its own: in a condition bash would ignore a failure in the middle.
    (set -e && go_build_replaced github.com/juicedata/juicefs "$JUICEFS_VERSION" "$juicefs" "$tags") </dev/null >"$log" 2>&1 &
    if ! wait "$!"; then
        say "# juicefs: not compared, building it failed: $(tail -n 1 "$log")"
        return 1
    fi
}

juicefs_start() {
    local meta=badger://$WORK/peers/juicefs/meta
    [ -x "$juicefs" ] || return 1 # find_juicefs has said why
    mkdir -p "$WORK/m/juicefs" "$WORK/peers/juicefs/bucket"
    "$juicefs" format --storage file --bucket "$WORK/peers/juicefs/bucket/" --trash-days 0 "$meta" bench \
        >"$WORK/juicefs.log" 2>&1 || true # it will not mount, then
    "$juicefs" mount --cache-dir "$WORK/peers/juicefs/cache" --cache-size 20480 --attr-cache 60 --entry-cache 60 \
        --dir-entry-cache 60 --open-cache 60 --no-usage-report --metrics 127.0.0.1:0 --no-syslog "$meta" \
        "$WORK/m/juicefs" >"$WORK/juicefs.log" 2>&1 &
    PID[juicefs]=$!
    peer_wait juicefs
}
