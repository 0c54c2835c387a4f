#!/usr/bin/env bash
# The store beside Redis, etcd, NATS JetStream and nginx: what it does a second, how long one waits, and what it weighs.
# All write to the same disk and answer a write when it is on it (nginx's DAV module never syncs: it is measured as it is and,
# as "nginx_synced", with a rename that syncs). One load generator speaks to all, from the same two hands: client and server
# share the processors, and what each took is told in comments. Called by bench/run.sh.
#
# usage: bench/store.sh [ROW…]     ROW: kv, queue, object, memory (default: all)
#   STORE_ROUNDS (default 5), STORE_SECONDS a measurement (default 3), STORE_PORT: first of ten on loopback (default 27100),
#   STORE_DIR: where everybody's data goes (default /var/tmp), ETCD: the etcd to compare with
#
# Every round measures all sides one after the other; a ratio is ours to theirs, the median of the rounds' ratios.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
ROUNDS=${STORE_ROUNDS:-5}
SECONDS_EACH=${STORE_SECONDS:-3}
PORT=${STORE_PORT:-27100}
KEYS=100000
FILES=10000
MIB=1048576
BIN=${BIN:-${STOWAGE_BUILD_DIR:-$ROOT/build/release}/bin}
declare -A PID # of every server that runs
work=

clean_up() {
    local rc=$? side
    trap - EXIT INT TERM
    for side in "${!PID[@]}"; do stop "$side"; done
    [ -z "$work" ] || rm -rf --one-file-system "$work"
    exit "$rc"
}

# --- peers ----------------------------------------------------------------------------------------------------------

# The one that the test cluster was built with, else Debian's: its path, or nothing.
find_etcd() {
    local path
    for path in "${ETCD:-}" "${XDG_CACHE_HOME:-$HOME/.cache}"/stowage/k8s-*/bin/etcd "$(command -v etcd || true)"; do
        if [ -n "$path" ] && [ -x "$path" ]; then
            say "$path"
            return
        fi
    done
    note "no etcd to compare with: apt-get install etcd-server, or run tests/e2e/run.sh once"
}
find_nats() {
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/nats-server-$NATS_VERSION
    if [ ! -x "$dir/nats-server" ]; then
        go_ready || { note "no NATS to compare with: there is no go to build it" && return; }
        note "building nats-server $NATS_VERSION into $dir"
        go_install "github.com/nats-io/nats-server/v2@$NATS_VERSION" "$dir" || return 0
    fi
    say "$dir/nats-server"
}

# --- servers --------------------------------------------------------------------------------------------------------

# serve SIDE PORT COMMAND…: in the background, until it accepts connections
serve() {
    local side=$1 port=$2
    shift 2
    setsid "$@" </dev/null >"$work/$side.log" 2>&1 &
    PID[$side]=$!
    if ! wait_until 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; then
        tail -n 20 "$work/$side.log" >&2
        die "$side did not start (above)"
    fi
}
stop() {
    stop_pid "${PID[$1]}" 20
    unset "PID[$1]"
}
# With the processes it has started, as a list for the load generator
pids_of() { printf '%s' "${PID[$1]}" && ps -o pid= --ppid "${PID[$1]}" | awk '{ printf ",%s", $1 }'; }

start_stowage() {
    serve stowage "$PORT" "$BIN/stowage-sidecar" --data-dir "$work/stowage" --listen "127.0.0.1:$PORT" --log-level warning
    token=$(awk '!/^#/ { print $1; exit }' "$work/stowage/token")
}
ask_stowage() { curl -fsS -o /dev/null -X "$1" -H "Authorization: Bearer $token" "http://127.0.0.1:$PORT/api/v1/$2" "${@:3}"; }

start_redis() {
    mkdir "$work/redis"
    serve redis $((PORT + 1)) redis-server --port $((PORT + 1)) --bind 127.0.0.1 --dir "$work/redis" --save '' \
        --appendonly yes --appendfsync always
}

start_etcd() {
    local client=http://127.0.0.1:$((PORT + 2)) peer=http://127.0.0.1:$((PORT + 3))
    serve etcd $((PORT + 2)) "$etcd" --name bench --data-dir "$work/etcd" --log-level error \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "bench=$peer"
}

start_nats() {
    mkdir "$work/nats"
    printf 'listen: "127.0.0.1:%s"\njetstream { store_dir: "%s", sync_interval: always }\n' $((PORT + 4)) "$work/nats" \
        >"$work/nats.conf"
    serve nats $((PORT + 4)) "$nats" --config "$work/nats.conf"
    python3 - $((PORT + 4)) <<'PY'
import json, socket, sys
wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10).makefile("rwb")
wire.readline()
wire.write(b'CONNECT {"verbose":false}\r\nSUB answers 1\r\n')
for subject, what in (
    ("STREAM.CREATE.bench", {"name": "bench", "subjects": ["bench"], "storage": "file", "retention": "workqueue"}),
    ("CONSUMER.DURABLE.CREATE.bench.worker",
     {"stream_name": "bench", "config": {"durable_name": "worker", "ack_policy": "explicit"}}),
):
    text = json.dumps(what).encode()
    wire.write(b"PUB $JS.API.%s answers %d\r\n%s\r\n" % (subject.encode(), len(text), text))
    wire.flush()
    while not (line := wire.readline()).startswith(b"MSG"):
        assert line, "NATS closed the connection"
    answer = wire.readline()
    assert b'"error"' not in answer, answer
PY
}

# start_nginx SIDE PORT WORKERS [NAME=VALUE]: files of $work/www and, to PUT, of $work/SIDE
start_nginx() {
    local side=$1 port=$2
    mkdir -p "$work/www" "$work/$side/files" "$work/$side/body"
    cat >"$work/$side.conf" <<CONF
user root;
worker_processes $3;
pid $work/$side.pid;
error_log $work/$side.log;
daemon off;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path $work/$side/body;
    server {
        listen 127.0.0.1:$port reuseport;
        location /www/ { root $work; }
        location /files/ { root $work/$side; dav_methods PUT; }
    }
}
CONF
    serve "$side" "$port" env "${@:4}" nginx -c "$work/$side.conf"
}

# --- measuring ------------------------------------------------------------------------------------------------------

# measure NAME SIDE ROUND ARGUMENT…: of the load generator
measure() {
    local name=$1 side=$2 round=$3
    shift 3
    sync -f "$work" # what another side left unwritten is nobody else's cost
    "$BIN/bench-store-load" -p "$(pids_of "$side")" "$@" | sed "s/^/$name $side $round /" >>"$work/figures"
}
# stowage_load and so on: NAME ROUND FLAG… OPERATION, timed
timed() { measure "$2" "$1" "$3" -s "$SECONDS_EACH" "${@:4}"; }
load_stowage() { timed stowage "$1" "$2" -t "$token" "${@:3:$#-3}" http "${!#}" "$PORT"; }
load_redis() { timed redis "$1" "$2" "${@:3:$#-3}" redis "${!#}" $((PORT + 1)); }
load_etcd() { timed etcd "$1" "$2" "${@:3:$#-3}" etcd "${!#}" $((PORT + 2)); }
load_nats() { timed nats "$1" "$2" "${@:3:$#-3}" nats "${!#}" $((PORT + 4)); }
# transfer NAME SIDE ROUND PORT FLAG… OPERATION: of 1 GiB, three times
transfer() { measure "$1" "$2" "$3" -n 3 -k 1 -b $((1024 * MIB)) "${@:5:$#-5}" http "${!#}" "$4"; }

summarise() {
    python3 - "$work/figures" <<'PY'
import statistics
import sys

rows = {}
for line in open(sys.argv[1]):
    name, side, round_, figure, value, _ = line.split()
    rows.setdefault(name, {}).setdefault(side, {}).setdefault(figure, []).append(float(value))
for name, sides in rows.items():
    def middle(side, figure):
        return statistics.median(sides[side][figure])
    for side in sides:
        if name.endswith("_1g"):
            print(f"store.{name}_{side} {middle(side, 'rate') * 1024:.0f} MiB/s")
        else:
            print(f"store.{name}_{side} {middle(side, 'rate'):.0f} 1/s")
            for part in ("p50", "p99"):
                print(f"store.{name}_{side}_{part} {middle(side, part):.0f} us")
    for side in sides:
        if side != "stowage":
            ratios = [ours / theirs for ours, theirs in zip(sides["stowage"]["rate"], sides[side]["rate"])]
            print(f"store.{name}_{side}_ratio {statistics.median(ratios):.2f} ratio")
            print(f"# from {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds")
    print("# processors busy: " + "; ".join(
        f"{side} {middle(side, 'server_cpu'):.2f}, its client {middle(side, 'client_cpu'):.2f}" for side in sides))
PY
    rm -f "$work/figures"
}

# --- rows -----------------------------------------------------------------------------------------------------------

row_kv() {
    local round clients
    ask_stowage POST kv/namespaces/bench
    start_redis
    "$BIN/bench-store-load" -c 64 -f -n "$KEYS" -k "$KEYS" -t "$token" http kv-put "$PORT" >"$work/fill"
    "$BIN/bench-store-load" -c 64 -f -n "$KEYS" -k "$KEYS" redis kv-put $((PORT + 1)) >"$work/fill"
    for round in $(seq "$ROUNDS"); do
        load_stowage kv_get_64 "$round" -c 64 -k "$KEYS" kv-get
        load_redis kv_get_64 "$round" -c 64 -k "$KEYS" kv-get
    done
    [ -z "$etcd" ] || start_etcd
    for clients in 64 1; do
        for round in $(seq "$ROUNDS"); do
            load_stowage "kv_put_$clients" "$round" -c "$clients" -k "$KEYS" kv-put
            load_redis "kv_put_$clients" "$round" -c "$clients" -k "$KEYS" kv-put
            [ -z "$etcd" ] || load_etcd "kv_put_$clients" "$round" -c "$clients" -k "$KEYS" kv-put
        done
    done
    stop redis
    [ -z "$etcd" ] || stop etcd
    rm -rf "$work/redis" "$work/etcd"
    summarise
}

row_queue() {
    local round
    ask_stowage POST queue -d '{"name":"bench"}'
    start_redis
    redis-cli -p $((PORT + 1)) XGROUP CREATE bench group '$' MKSTREAM >/dev/null
    [ -z "$nats" ] || start_nats
    for round in $(seq "$ROUNDS"); do
        load_stowage queue_64 "$round" -c 64 queue
        load_redis queue_64 "$round" -c 64 queue
        [ -z "$nats" ] || load_nats queue_64 "$round" -c 64 queue
    done
    stop redis
    [ -z "$nats" ] || stop nats
    rm -rf "$work/redis" "$work/nats"
    summarise
}

row_object() {
    local round at=/api/v1/objects/public/ number file
    start_nginx nginx $((PORT + 5)) auto
    start_nginx nginx_synced $((PORT + 6)) 16 LD_PRELOAD="$BIN/bench-synced-rename.so"
    head -c 4096 /dev/zero | tr '\0' v >"$work/www/small"
    for number in $(seq -f %09.0f 0 $((FILES - 1))); do cp "$work/www/small" "$work/www/small$number"; done
    "$BIN/bench-store-load" -c 64 -f -n "$FILES" -k "$FILES" -b 4096 -u "${at}small" -t "$token" http object-put "$PORT" \
        >"$work/fill"
    for round in $(seq "$ROUNDS"); do
        timed stowage object_get_4k "$round" -c 64 -k "$FILES" -b 4096 -u "${at}small" http object-get "$PORT"
        timed nginx object_get_4k "$round" -c 64 -k "$FILES" -b 4096 -u /www/small http object-get $((PORT + 5))
    done
    for round in $(seq "$ROUNDS"); do
        timed stowage object_put_4k "$round" -c 64 -k "$FILES" -b 4096 -u "${at}put" -t "$token" http object-put "$PORT"
        timed nginx object_put_4k "$round" -c 64 -k "$FILES" -b 4096 -u /files/put http object-put $((PORT + 5))
        timed nginx_synced object_put_4k "$round" -c 64 -k "$FILES" -b 4096 -u /files/put http object-put $((PORT + 6))
    done
    for round in $(seq "$ROUNDS"); do
        transfer object_put_1g stowage "$round" "$PORT" -u "${at}large" -t "$token" object-put
        transfer object_put_1g nginx "$round" $((PORT + 5)) -u /files/large object-put
        transfer object_put_1g nginx_synced "$round" $((PORT + 6)) -u /files/large object-put
    done
    file=$(find "$work/stowage/store" -type f -size 1G | head -n 1)
    [ -n "$file" ] || die "the object of 1 GiB is no file below $work/stowage/store"
    ln "$file" "$work/www/large000000000" # the very same file
    for round in $(seq "$ROUNDS"); do
        transfer object_get_1g stowage "$round" "$PORT" -u "${at}large" object-get
        transfer object_get_1g nginx "$round" $((PORT + 5)) -u /www/large object-get
    done
    stop nginx
    stop nginx_synced
    rm -rf "$work/www" "$work/nginx" "$work/nginx_synced"
    summarise
}

peak_mib() { awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/${PID[stowage]}/status"; }

row_memory() {
    local busy
    busy=$(peak_mib)
    stop stowage
    rm -rf "$work/stowage"
    start_stowage
    sleep 5 # the start is over, and what it needed given back
    say "store.idle_rss_mib $(rss_mib "${PID[stowage]}") MiB"
    for operation in put get; do
        echo 5 >"/proc/${PID[stowage]}/clear_refs" # the greatest from here on
        "$BIN/bench-store-load" -n 1 -k 1 -b $((4096 * MIB)) -u /api/v1/objects/public/huge -t "$token" \
            http "object-$operation" "$PORT" >"$work/fill"
        say "store.object_${operation}_4g_peak_rss_mib $(peak_mib) MiB"
    done
    say "store.busy_peak_rss_mib $busy MiB"
    say "# the last: the greatest of a process that all the rows before went to"
}

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
install_for store-peers
for program in stowage-sidecar bench-store-load bench-synced-rename.so; do
    [ -e "$BIN/$program" ] || die "$BIN/$program is missing; build preset release, or name a build by STOWAGE_BUILD_DIR"
done
trap clean_up EXIT
trap 'exit 130' INT TERM
work=$(mktemp -d "${STORE_DIR:-/var/tmp}/stowage-bench-store.XXXXXX")
etcd=$(find_etcd)
nats=$(find_nats)
[ $# -gt 0 ] || set -- kv queue object memory
say "# redis $(redis-server --version | sed 's/.* v=\([^ ]*\).*/\1/'), $(nginx -v 2>&1 | sed 's/.*nginx version: //')," \
    "etcd $("${etcd:-false}" --version 2>/dev/null | sed -n 's/^etcd Version: //p' || say none)," \
    "$("${nats:-false}" --version 2>/dev/null || say "no nats-server");" \
    "load $(cut -d ' ' -f 1-3 /proc/loadavg) before the start"
start_stowage
for row in "$@"; do "row_$row"; done
