#!/usr/bin/env bash
# What the sidecar beside a workload costs, as Dapr measures itself: a KV get and a queue send at 1,000 requests a second through
# stowage-sidecar --engine remote, less the same against the store directly; and its memory. Called by bench/run.sh.
#
# usage: bench/sidecar.sh
#   SIDECAR_ROUNDS (default 5), SIDECAR_SECONDS a measurement (default 4), SIDECAR_RATE (default 1000), SIDECAR_CLIENTS
#   connections (default 16), SIDECAR_PORT: first of five on loopback (default 27300), SIDECAR_DIR (default /var/tmp)
#
# The store, the sidecar and the sidecar with its cache have short turns in every round; a figure is the median of the rounds'
# differences, of one percentile to the same of the store.
# Then, how long a change of a key takes to the file that shows it (--project), of SIDECAR_CHANGES (default 1000), with one key and with 1,000
# in the namespace. kubelet looks at a ConfigMap once a minute, and documents its delay as that plus its cache's.
# Dapr publishes +0.75 ms (p90) and +1.52 ms (p99) at that rate, and 48 MB.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
ROUNDS=${SIDECAR_ROUNDS:-5}
SECONDS_EACH=${SIDECAR_SECONDS:-4}
RATE=${SIDECAR_RATE:-1000}
CLIENTS=${SIDECAR_CLIENTS:-16}
PORT=${SIDECAR_PORT:-27300}
KEYS=1000
BIN=${BIN:-${STOWAGE_BUILD_DIR:-$ROOT/build/release}/bin}
declare -A PID
work='' files=''

# shellcheck disable=SC2329 # called by the trap
clean_up() {
    local rc=$? side
    trap - EXIT INT TERM
    for side in "${!PID[@]}"; do stop_pid "${PID[$side]}" 20; done
    [ -z "$work" ] || rm -rf --one-file-system "$work"
    [ -z "$files" ] || rm -rf --one-file-system "$files"
    exit "$rc"
}

# serve SIDE PORT FLAG…: in the background, until it accepts connections
serve() {
    local side=$1 port=$2
    shift 2
    setsid "$BIN/stowage-sidecar" --listen "127.0.0.1:$port" --log-level warning "$@" </dev/null >"$work/$side.log" 2>&1 &
    PID[$side]=$!
    if ! wait_until 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; then
        tail -n 20 "$work/$side.log" >&2
        die "$side did not start (above)"
    fi
}
ask() { curl -fsS -o /dev/null -X "$1" -H "Authorization: Bearer $token" "http://127.0.0.1:$PORT/api/v1/$2" "${@:3}"; }
memory_mib() { awk -v name="$2:" '$1 == name { printf "%.2f", $2 / 1024 }' "/proc/${PID[$1]}/status"; }

# measure OPERATION PORT…: of the store, the sidecar, the one with a cache
measure() {
    "$BIN/bench-sidecar-rate" -c "$CLIENTS" -r "$RATE" -s "$SECONDS_EACH" -k "$KEYS" -t "$token" "$@" |
        sed "s/^0 /$1 store /; s/^1 /$1 sidecar /; s/^2 /$1 cached /" >>"$work/figures"
}

summarise() {
    python3 - "$work/figures" <<'PY'
import statistics
import sys

rows = {}
for line in open(sys.argv[1]):
    operation, side, figure, value, _ = line.split()
    rows.setdefault(operation, {}).setdefault(side, {}).setdefault(figure, []).append(float(value))
worst = {}
for operation, sides in rows.items():
    name = operation.replace("-", "_")
    for side, figures in sides.items():
        print(f"# {operation} {side}: " + ", ".join(
            f"{part} {statistics.median(figures[part]):.3f} ms" for part in ("p50", "p90", "p99"))
            + f" at {statistics.median(figures['rate']):.0f}/s")
    for side in sides:
        if side == "store":
            continue
        for part in ("p50", "p90", "p99"):
            added = [through - direct for direct, through in zip(sides["store"][part], sides[side][part])]
            middle = statistics.median(added)
            prefix = "added" if side == "sidecar" else "cached_added"
            print(f"sidecar.{name}_{prefix}_{part}_ms {middle:.3f} ms")
            print(f"# from {min(added):.3f} to {max(added):.3f} in {len(added)} rounds")
            if side == "sidecar":
                worst[part] = max(worst.get(part, middle), middle)
for part, value in worst.items():
    print(f"sidecar.added_{part}_ms {value:.3f} ms")
print("# the worse of both operations; Dapr publishes p90 0.75 ms, p99 1.52 ms")
PY
}

# files_updates SIDE PORT NAMESPACE
files_updates() {
    ask POST "kv/namespaces/$3"
    ask PUT "kv/namespaces/$3/values/bench" -d begin
    serve "$1" "$2" --engine remote --store-url "http://127.0.0.1:$PORT" --token-file "$work/store/token" --project "$3=$files/$1"
    wait_until 20 test -s "$files/$1/bench" || die "no files: $(tail -n 3 "$work/$1.log")"
    "$BIN/bench-sidecar-files" -p "$PORT" -t "$token" -n "$3" -d "$files/$1" -c "${SIDECAR_CHANGES:-1000}"
}

main() {
    local round
    install_for build
    trap clean_up EXIT INT TERM
    work=$(mktemp -d "${SIDECAR_DIR:-/var/tmp}/stowage-bench-sidecar.XXXXXX")
    serve store "$PORT" --data-dir "$work/store"
    token=$(awk '!/^#/ { print $1; exit }' "$work/store/token")
    ask POST kv/namespaces/bench
    ask POST queue -d '{"name":"bench"}'
    "$BIN/bench-store-load" -c 16 -f -n "$KEYS" -k "$KEYS" -t "$token" http kv-put "$PORT" >/dev/null
    serve sidecar $((PORT + 1)) --engine remote --store-url "http://127.0.0.1:$PORT" --token-file "$work/store/token"
    serve cached $((PORT + 2)) --engine remote --store-url "http://127.0.0.1:$PORT" --token-file "$work/store/token" --cache 4Mi
    sleep 2
    say "sidecar.idle_rss_mib $(memory_mib sidecar VmRSS) MiB"
    say "# of it not shared with other programs: $(memory_mib sidecar RssAnon) MiB"
    for round in $(seq "$ROUNDS"); do
        measure kv-get "$PORT" $((PORT + 1)) $((PORT + 2))
        measure queue-send "$PORT" $((PORT + 1))
        note "round $round of $ROUNDS"
    done
    say "sidecar.load_rss_mib $(memory_mib sidecar VmHWM) MiB"
    say "# the most it ever had; Dapr publishes 48 MB"
    summarise
    files=$(mktemp -d -p /dev/shm stowage-bench-files.XXXXXX) # in memory, as the volumes of injected pods are
    files_updates files $((PORT + 3)) one
    say "# a change among 1,000 keys:"
    files_updates more-files $((PORT + 4)) bench >"$work/more" # no pipe: who is started there would be forgotten
    sed 's/file_update/file_update_among_1000/' "$work/more"
    say "sidecar.files_rss_mib $(memory_mib files VmRSS) MiB"
    say "# kubelet: 60,000 ms and its cache's delay"
}

main
