#!/usr/bin/env bash
# Local volumes beside what they lie on, with direct I/O, in one run: an image beside a file of the same file system, a whole
# disk beside the same kind of disk without Stowage, and (in user-mode Linux where the kernel has no project quota) a
# directory with a quota beside one without. Then how long a snapshot and a clone of a 10 GiB volume that holds 5 GiB take
# on XFS, and where each kind stops a writer.
#
# usage: bench/local.sh        (through bench/run.sh)
#   LOCAL_SECONDS: of one measurement (default 4); LOCAL_ROUNDS (default 3); LOCAL_MIB: file size (default 1024);
#   LOCAL_DIR: a directory on the disk to measure (default /var/tmp)
#
# Every round measures both sides one after the other, in turns; a ratio is volume to raw, the median of the rounds' ratios.
set -euo pipefail
if [ "${LOCAL_SIDE:-}" != quota ]; then export TMPDIR=${LOCAL_DIR:-/var/tmp}; fi
# shellcheck source=tests/support/local-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/support/local-kit.sh"
SECONDS_EACH=${LOCAL_SECONDS:-4} ROUNDS=${LOCAL_ROUNDS:-3} SIZE_MIB=${LOCAL_MIB:-1024}
MIB=1048576

# measure SIDE ROUND FILE: every job on it
measure() {
    local job rw bs depth
    while read -r job rw bs depth; do
        fio --name="$job" --filename="$3" --rw="$rw" --bs="$bs" --iodepth="$depth" --size="${SIZE_MIB}M" --direct=1 \
            --ioengine=libaio --time_based --runtime="$SECONDS_EACH" --output-format=json >"$WORK/fio.json"
        python3 - "$WORK/fio.json" "$1" "$2" "$job" >>"$WORK/figures" <<'PY'
import json, sys
job = json.load(open(sys.argv[1]))["jobs"][0]
if job["error"]:
    sys.exit(f"fio: error {job['error']}")
print(*sys.argv[2:], job["read"]["bw_bytes"] + job["write"]["bw_bytes"])
PY
    done <<'JOBS'
seq_read read 1M 8
seq_write write 1M 8
rand_read_qd1 randread 4k 1
rand_read_qd32 randread 4k 32
rand_write_qd1 randwrite 4k 1
rand_write_qd32 randwrite 4k 32
JOBS
}

# compare KIND RAW VOLUME: files or devices, both written once before
compare() {
    local file round
    : >"$WORK/figures"
    for file in "$2" "$3"; do
        dd if=/dev/zero of="$file" bs=1M count="$SIZE_MIB" oflag=direct conv=notrunc,fsync status=none
    done
    for round in $(seq "$ROUNDS"); do
        if ((round % 2)); then # neither is always the one that finds the disk as the other left it
            measure raw "$round" "$2"
            measure volume "$round" "$3"
        else
            measure volume "$round" "$3"
            measure raw "$round" "$2"
        fi
    done
    python3 - "$WORK/figures" "$1" <<'PY'
import statistics
import sys

figures = {}
for line in open(sys.argv[1]):
    side, round_, job, value = line.split()
    figures.setdefault(job, {}).setdefault(round_, {})[side] = float(value)
kind, ratios = sys.argv[2], {}
for job, rounds in figures.items():
    for side in ("raw", "volume"):
        print(f"local.{kind}_{job}_{side} {statistics.median(r[side] for r in rounds.values()) / 1e6:.0f} MB/s")
    ratios[job] = statistics.median(r["volume"] / r["raw"] for r in rounds.values())
    print(f"local.{kind}_{job}_ratio {ratios[job]:.2f} ratio")
for name in ("seq", "rand"):
    print(f"local.{kind}_{name}_ratio {min(v for k, v in ratios.items() if k.startswith(name)):.2f} ratio")
PY
}

# limit KIND FILE BYTES: what was taken of BYTES before the writer was stopped
limit() {
    if dd if=/dev/zero of="$2" bs=1M oflag=direct count=$(($3 / MIB + 64)) 2>"$WORK/error"; then fail "$1 took more than $3 bytes"; fi
    grep -qE 'No space left|quota exceeded' "$WORK/error" || fail "$1: $(cat "$WORK/error")"
    awk -v written="$(sed -n 's/^\([0-9]*\) bytes.*/\1/p' "$WORK/error")" -v bytes="$3" -v kind="$1" \
        'BEGIN { printf "local.%s_limit_taken %.2f percent\n", kind, 100 * written / bytes }'
}
available_of() { df --block-size=1 --output=avail "$1" | tail -n 1 | tr -d ' '; }

# mounted NAME BYTES: a volume, published at $WORK/pods/NAME; its id is in $id
mounted() {
    id=$(local_create "$1" "$2" mount)
    local_stage "$id" >/dev/null
    local_publish "$id" "$WORK/pods/$1" >/dev/null
}
unmounted() {
    local_unpublish "$id" "$WORK/pods/$1" >/dev/null
    local_unstage "$id" >/dev/null
    local_delete "$id" >/dev/null
}

bench_image() {
    FS_TYPE=$(df --output=fstype "$POOL" | tail -n 1)
    case $FS_TYPE in ext4 | xfs) ;; *) FS_TYPE=ext4 ;; esac
    mounted image $(((SIZE_MIB * 5 / 4 + 300) * MIB))
    mkdir "$POOL/raw"
    compare image "$POOL/raw/file" "$WORK/pods/image/file"
    rm -r "$POOL/raw" "$WORK/pods/image/file"
    limit image "$WORK/pods/image/file" "$(available_of "$WORK/pods/image")"
    unmounted image
}

bench_quota() {
    mounted quota $(((SIZE_MIB + 64) * MIB))
    mkdir "$POOL/raw"
    compare quota "$POOL/raw/file" "$WORK/pods/quota/file"
    rm -r "$POOL/raw" "$WORK/pods/quota/file"
    limit quota "$WORK/pods/quota/file" $(((SIZE_MIB + 64) * MIB))
    unmounted quota
}

bench_device() {
    local bytes=$(((SIZE_MIB + 64) * MIB)) name
    for name in raw volume; do
        truncate -s "$bytes" "$WORK/$name.img"
        ln -s "$(losetup --find --show --direct-io=on --sector-size 4096 "$WORK/$name.img")" "$WORK/disk-$name"
    done
    RAW=$(readlink "$WORK/disk-raw") DISK=$(readlink "$WORK/disk-volume") # for the trap
    rm "$WORK/disk-raw"
    trap 'KIT_RC=$?; losetup --detach "$RAW" "$DISK" || true; local_kit_stop' EXIT
    id=$(local_create disk "$bytes" block)
    local_stage "$id" block >/dev/null
    local_publish "$id" "$WORK/pods/disk" block >/dev/null
    compare device "$RAW" "$WORK/pods/disk"
    limit device "$WORK/pods/disk" "$bytes"
    unmounted disk
}

took() { # NAME COMMAND…
    local name=$1 started
    shift
    started=$(now_ms)
    "$@" >"$WORK/reply"
    say "local.$name $(($(now_ms) - started)) ms"
}
bench_copies() {
    local bytes=$((10240 * MIB)) source
    took create_10g local_create large "$bytes"
    id=$(cat "$WORK/reply")
    local_stage "$id" >/dev/null
    local_publish "$id" "$WORK/pods/large" >/dev/null
    dd if=/dev/urandom of="$WORK/pods/large/data" bs=4M count=1280 oflag=direct status=none
    sync --file-system "$WORK/pods/large" # a snapshot writes out what is dirty: here that is not what is measured
    took snapshot_10g_mounted local_snapshot mounted "$id"
    local_unpublish "$id" "$WORK/pods/large" >/dev/null
    local_unstage "$id" >/dev/null
    took snapshot_10g local_snapshot unmounted "$id"
    source=$(cat "$WORK/reply")
    took restore_10g local_create restored "$bytes" mount ",\"volume_content_source\":{\"snapshot\":{\"snapshot_id\":\"$source\"}}"
    took clone_10g local_create clone "$bytes" mount ",\"volume_content_source\":{\"volume\":{\"volume_id\":\"$id\"}}"
}

case ${LOCAL_SIDE:-} in
"")
    command -v fio >/dev/null || die "fio is missing: apt-get install $(packages_for bench-local)"
    for side in image device copies; do LOCAL_SIDE=$side "$0"; done
    say "# project quota: in user-mode Linux, on a disk in memory"
    # shellcheck source=tests/support/uml.sh
    . "$ROOT/tests/support/uml.sh"
    log=$(mktemp)
    rc=0
    UML_MEMORY=3072M uml_boot 600 "$log" "$ROOT/tests/support/uml-quota.sh" QUOTA_FS=xfs QUOTA_RUN=bench \
        STOWAGE_BUILD_DIR="$(dirname "$BIN")" LOCAL_SECONDS="$SECONDS_EACH" LOCAL_ROUNDS="$ROUNDS" LOCAL_MIB=512 || rc=$?
    uml_output "$log"
    rm -rf "$log" "$WORK"
    exit "$rc"
    ;;
quota)
    POOL_KIND=quota
    local_kit_start
    ;;
device)
    # shellcheck disable=SC2034 # for the kit
    POOL_KIND=device POOL_AT="$WORK/disk-*"
    local_kit_start --state-dir "$WORK/state"
    ;;
copies)
    local_pool_on 40G xfs
    local_kit_start
    ;;
*) local_kit_start ;;
esac
"bench_$LOCAL_SIDE"
