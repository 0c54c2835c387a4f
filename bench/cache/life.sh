# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The sections of bench/cache.sh that are no speeds: epochs of a training, what a volume weighs, and what readers see when a
# daemon dies or is replaced. Sourced by it.

sample() { "$ROOT/bench/cache/sample.py" "$@"; }

# --- epochs

# Bytes that the server has read from its disk or page cache to answer READs: its sockets are not counted there.
origin_bytes() { awk '/^rchar:/ { print $2 }' "/proc/$NFS_PID/io"; }
epoch() { # SIDE SEED [big]: one, in a random order; prints the bytes that came from the origin
    local before
    drop_pages # or what is measured is the page cache
    before=$(origin_bytes)
    [ "${3:-}" != big ] || reader seq "$WORK/m/$1/big" 0 >/dev/null
    reader all "$WORK/m/$1/small" 4 "$2" >/dev/null
    say $(($(origin_bytes) - before))
}

section_epochs() {
    local set=$((SMALL * 131072)) number bytes from_origin=0
    cached_flags "$WORK/epochs" ttl
    stowage_start stowage "${flags[@]}"
    bytes=$(epoch stowage 1 big)
    [ "$bytes" -ge $((set + MIB * 1048576)) ] || die "the first epoch took $bytes of the set from the server: they are not counted right"
    single epoch1_origin_bytes byte "$bytes"
    single epoch2_origin_bytes byte "$(epoch stowage 2 big)"
    single epoch3_origin_bytes byte "$(epoch stowage 3 big)"
    side_stop stowage
    rm -rf "$WORK/epochs"

    cached_flags "$WORK/epochs" ttl
    [ "$PLAIN" = 1 ] || flags+=(--cache-size $((set / 2)))
    stowage_start stowage "${flags[@]}"
    epoch stowage 1 >/dev/null
    for number in $(seq 2 "$EPOCHS"); do
        bytes=$(epoch stowage "$number")
        from_origin=$((from_origin + bytes))
    done
    single epoch_hit_ratio ratio "$(awk -v o=$from_origin -v all=$((set * (EPOCHS - 1))) 'BEGIN { printf "%.3f", 1 - o / all }')"
    side_stop stowage
    rm -rf "$WORK/epochs"
    report
}

# --- weight

section_weight() {
    local side pids=() readers=() sampler sampling before cpu
    cached_flags "$WORK/weight" ttl
    stowage_start stowage "${flags[@]}"
    sleep 1
    sample memory "${PID[stowage]}" </dev/null >"$WORK/memory"
    single volume_rss_mib MiB "$(cut -d ' ' -f 1 "$WORK/memory")"
    single volume_pss_mib MiB "$(cut -d ' ' -f 2 "$WORK/memory")"

    # One reader of hot pages, as fast as it gets, and one of the disk: neither is the daemon's business.
    reader seq "$WORK/m/stowage/big" 0 >/dev/null
    complete stowage
    reader seq "$WORK/m/stowage/big" 6 >"$WORK/speeds-buffered" &
    readers+=($!)
    reader seq "$WORK/m/stowage/big" 6 direct >"$WORK/speeds-direct" &
    readers+=($!)
    sleep 0.5
    before=$(sample cpu "${PID[stowage]}")
    sleep 5
    cpu=$(sample cpu "${PID[stowage]}")
    wait "${readers[@]}"
    single daemon_cpu percent "$(awk -v a="$before" -v b="$cpu" 'BEGIN { printf "%.2f", (b - a) / 5 * 100 }')"
    single daemon_cpu_buffered MB/s "$(cat "$WORK/speeds-buffered")"
    single daemon_cpu_direct MB/s "$(cat "$WORK/speeds-direct")"
    side_stop stowage
    rm -rf "$WORK/weight"

    for side in one two three; do
        cached_flags "$WORK/weight" ttl
        [ "$PLAIN" = 1 ] || flags+=(--cache-volume "bench-$side")
        stowage_start "$side" "${flags[@]}"
        pids+=("${PID[$side]}")
    done
    drop_pages
    mkfifo "$WORK/sampling"
    sample memory "${pids[@]}" <"$WORK/sampling" >"$WORK/memory" &
    sampler=$!
    exec {sampling}>"$WORK/sampling"
    readers=()
    reader seq "$WORK/m/one/big" 0 >/dev/null &
    readers+=($!)
    reader all "$WORK/m/two/small" 32 1 >/dev/null &
    readers+=($!)
    tar_read "$WORK/m/three" tree >/dev/null &
    readers+=($!)
    wait "${readers[@]}"
    exec {sampling}>&-
    wait "$sampler"
    single node_rss_mib MiB "$(cut -d ' ' -f 1 "$WORK/memory")"
    single node_pss_mib MiB "$(cut -d ' ' -f 2 "$WORK/memory")"
    for side in one two three; do side_stop "$side"; done
    rm -rf "$WORK/weight"
    report
}

# --- outages

child_of() { awk '{ print $1 }' "/proc/$1/task/$1/children" 2>/dev/null || true; }
new_child() { local now && now=$(child_of "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }
crash() { # the daemon is the keeper's child
    local old
    old=$(child_of "${PID[stowage]}")
    [ -n "$old" ] || return 0 # the one before has not come back: the readers tell
    kill -KILL "$old"
    wait_until 10 new_child "${PID[stowage]}" "$old" || note "no new daemon within 10 s"
}
upgrade() {
    local old
    old=$(child_of "${PID[stowage]}")
    kill -HUP "${PID[stowage]}"
    wait_until 10 new_child "${PID[stowage]}" "$old" || note "no new daemon within 10 s"
}

calm() { :; }
# outage calm|upgrade|crash: three of them, under readers of each kind; of the calm, that is what disk and processors do to them
outage() {
    local what=$1 readers=() limit=$((OUTAGE_S + 20)) stall held=$WORK/m/stowage/held
    timeout -k 1 $limit "$BIN/bench-cache-stall" hold "$held" "$OUTAGE_S" >"$WORK/stall-passthrough" &
    readers+=($!)
    timeout -k 1 $limit "$BIN/bench-cache-stall" reopen "$WORK/m/stowage/small" "$OUTAGE_S" >"$WORK/stall-open" &
    readers+=($!)
    # Direct: every read is asked of the daemon, be it in the page cache or not.
    timeout -k 1 $limit fio --name=outage --filename="$WORK/m/stowage/big" --readonly --rw=randread --bs=64k --direct=1 \
        --ioengine=psync --numjobs=2 --invalidate=0 --size="${MIB}M" --continue_on_error=all --group_reporting --time_based \
        --runtime="$OUTAGE_S" --rate=50m --output-format=json >"$WORK/fio.json" 2>"$WORK/fio.log" &
    readers+=($!)
    for _ in 1 2 3; do
        sleep $((OUTAGE_S / 5))
        "$what"
    done
    wait "${readers[@]}" || note "a reader did not end well"
    python3 - "$WORK" >"$WORK/stall-fio" <<'PY'
import json, sys
text = open(sys.argv[1] + "/fio.json").read()
try:
    job = json.loads(text[text.index("{"):])["jobs"][0]
    print(job["total_err"], job["read"]["clat_ns"]["max"] / 1e6, job["read"]["total_ios"])
except (ValueError, KeyError):
    print(1, 0, 0)
PY
    for stall in passthrough open fio; do
        [ -s "$WORK/stall-$stall" ] || say "1 ${limit}000 0" >"$WORK/stall-$stall" # never an answer
        single "${what}_${stall}_stall_ms" ms "$(cut -d ' ' -f 2 "$WORK/stall-$stall")"
    done
    single "${what}_errors" errors "$(cat "$WORK"/stall-{passthrough,open,fio} | awk '{ sum += $1 } END { print sum }')"
    single "${what}_stall_ms" ms "$(cat "$WORK"/stall-{passthrough,open,fio} | awk '$2 > most { most = $2 } END { print most }')"
}

section_outages() {
    cached_flags "$WORK/outages" ttl
    stowage_start stowage "${flags[@]}"
    if [ -z "$(child_of "${PID[stowage]}")" ]; then
        say "# outages: not measured, the mount has no keeper (its process has no child)"
    else
        cat "$WORK/m/stowage/held" "$WORK"/m/stowage/small/* >/dev/null # `big` is not: fio reads from the server too
        outage calm
        outage upgrade
        outage crash
    fi
    side_stop stowage
    rm -rf "$WORK/outages"
    report
}
