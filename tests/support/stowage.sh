# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Starts and stops Stowage's daemons for one test. Sourced after scripts/lib.sh; BIN is the folder of the programs
# (default: that of STOWAGE_BUILD_DIR, else of preset dev).
#
#   stowage_start controller DIR [FLAG...]   DIR/controller.sock, .pid, .log; state in DIR/controller
#   stowage_start node DIR [FLAG...]         DIR/node.sock, …
#   stowage_stop controller|node DIR         asks, waits, kills after 15 s; the pid file goes away
#   stowage_ctl DIR COMMAND…                 the `stowage` command with DIR's sockets

BIN=${BIN:-${STOWAGE_BUILD_DIR:-$ROOT/build/dev}/bin}

stowage_start() {
    local kind=$1 dir=$2 pid flags=()
    shift 2
    [ -x "$BIN/stowage-$kind" ] || die "$BIN/stowage-$kind is missing; build it with scripts/build.sh"
    mkdir -p "$dir/$kind"
    flags=(--socket "$dir/$kind.sock" --state-dir "$dir/$kind" --log-format json "$@")
    # A group of its own: an interrupt of the terminal reaches the script, which stops the daemons in order.
    setsid "$BIN/stowage-$kind" "${flags[@]}" </dev/null >>"$dir/$kind.log" 2>&1 &
    pid=$!
    printf '%s\n' "$pid" >"$dir/$kind.pid"
    if ! wait_until 20 stowage_answers "$kind" "$dir"; then
        tail -n 20 "$dir/$kind.log" >&2
        stowage_stop "$kind" "$dir"
        note "stowage-$kind did not start; its log is above"
        return 1
    fi
}

stowage_answers() {
    "$BIN/stowage" csi Probe --at "$1" --"$1" "$2/$1.sock" --timeout 2
}

stowage_stop() {
    local kind=$1 dir=$2
    [ -s "$dir/$kind.pid" ] || return 0
    stop_pid "$(cat "$dir/$kind.pid")" 15
    rm -f "$dir/$kind.pid" "$dir/$kind.sock"
}

stowage_pid() { cat "$2/$1.pid"; }

stowage_ctl() {
    local dir=$1
    shift
    "$BIN/stowage" "$@" --controller "$dir/controller.sock" --node "$dir/node.sock"
}

# Ends what serves mounts below a directory: daemons are told by the paths in their command lines. For cleaning up only.
stowage_end_mounts() {
    local dir=$1 pid
    unmount_below "$dir"
    for pid in /proc/[0-9]*; do
        pid=${pid#/proc/}
        if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = stowage-cachefs ] &&
            tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$dir/"; then
            stop_pid "$pid" 5
        fi
    done
}
