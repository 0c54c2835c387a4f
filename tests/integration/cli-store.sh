#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The store's commands of `stowage` against a real stowage-sidecar: values, queues, objects, files, pipes, mistakes.
# Ends with "N passed, N failed".
#
# usage: tests/integration/cli-store.sh
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar" ] || build dev
WORK=$(mktemp -d)
server="" passed=0 failed=0
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$WORK"
}
trap clean_up EXIT

st() { "$BUILD/bin/stowage" "$@"; }
check() { # check WHAT GOT WANTED
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "FAILED $1: got '${2:0:300}', wanted '$3'"
    fi
}
gives() { # gives WANTED COMMAND…: its output
    local wanted=$1 got code=0
    shift
    got=$(st "$@" 2>&1) || code=$?
    check "$* (exit code $code)" "$got" "$wanted"
}
fails() { # fails CODE PART COMMAND…: with this exit code, and PART in the message
    local wanted=$1 part=$2 got code=0
    shift 2
    got=$(st "$@" 2>&1 >/dev/null) || code=$?
    check "the exit code of $*" "$code" "$wanted"
    case $got in
    *"$part"*) passed=$((passed + 1)) ;;
    *)
        failed=$((failed + 1))
        say "FAILED $*: '$part' is not in '$got'"
        ;;
    esac
}
same() { check "$1" "$(cmp "$2" "$3" 2>&1 && say same)" same; }
started() {
    port=$(sed -n 's/.*"event":"started".*"port":\([0-9]*\).*/\1/p' "$WORK/log")
    [ -n "$port" ]
}

unset LEPTON_WORKSPACE_URL LEPTON_WORKSPACE_TOKEN
fails 1 "start stowage-sidecar" kv namespaces --url http://127.0.0.1:9
"$BUILD/bin/stowage-sidecar" --data-dir "$WORK/data" --listen 127.0.0.1:0 --listen "unix:$WORK/socket" --log-format json \
    2>"$WORK/log" &
server=$!
wait_until 20 started || { cat "$WORK/log" && die "the server did not start"; }
export STOWAGE_URL=http://127.0.0.1:$port STOWAGE_TOKEN_FILE=$WORK/data/token
head -c 3000000 /dev/urandom >"$WORK/bytes"
head -c 100000 "$WORK/bytes" >"$WORK/value"

# whose store, whose token
fails 1 "token" kv namespaces --token wrong
fails 1 "is no URL" kv namespaces --url localhost
fails 1 "no-such-file" kv namespaces --token-file "$WORK/no-such-file"
gives "" kv create settings --url "unix:$WORK/socket"

# keys and values
gives "" kv put settings rate 0.001
gives 0.001 kv get settings rate
st kv put settings bytes <"$WORK/value"
st kv get settings bytes >"$WORK/out"
same "a value through pipes" "$WORK/value" "$WORK/out"
gives $'bytes\nrate' kv ls settings
gives rate kv ls settings r
check "keys with NUL" "$(st kv ls settings --null | tr '\0' ,)" "bytes,rate,"
fails 3 "no such key" kv get settings none
fails 3 "none" kv get none rate
fails 1 "if-new" kv put settings rate 1 --if-new --if-version 1
fails 1 "was to be new" kv put settings rate 1 --if-new
version=$(st kv get settings rate --json | sed -n 's/.*"version": \([0-9]*\).*/\1/p')
gives "" kv put settings rate 0.002 --if-version "$version"
fails 1 "version" kv put settings rate 0.003 --if-version "$version"
fails 1 "limit" kv put settings large --file "$WORK/bytes"
(st kv watch settings --max 1 >"$WORK/seen") &
watcher=$!
changed() { [ -s "$WORK/seen" ] || { st kv put settings watched now && [ -s "$WORK/seen" ]; }; }
wait_until 20 changed || true
wait "$watcher" || true
check "what a watch sees" "$(cut -d ' ' -f 2- "$WORK/seen")" "put watched"
gives "" kv rm settings rate
gives "" kv rm settings rate
gives "" kv delete settings
fails 2 "KEY is missing" kv get settings

# queues
gives "" queue create dead
gives "" queue create jobs --max-receives 1 --dead-letter dead --dedup 60
gives "" queue send jobs one
printf 'two\nthree' | st queue send jobs --lines
gives 3 queue length jobs
gives "" queue send jobs one
gives 3 queue length jobs
gives one queue receive jobs
gives $'two\nthree' queue peek jobs
leased=$(st queue receive jobs --lease --max 2 --visibility 60)
check "leased messages" "$(cut -f 2 <<<"$leased" | tr '\n' ,)" "two,three,"
fails 3 "no message" queue receive jobs
mapfile -t receipts < <(cut -f 1 <<<"$leased")
gives "" queue extend jobs "${receipts[@]}" --visibility 90
gives "" queue ack jobs "${receipts[0]}"
fails 3 "was over" queue ack jobs "${receipts[0]}"
gives "" queue nack jobs "${receipts[1]}"
fails 3 "no message" queue receive jobs --lease
gives three queue peek dead
gives "" queue redrive dead
gives three queue receive jobs
gives "" queue purge jobs
gives 0 queue length jobs
fails 1 "UTF-8" queue send jobs --file "$WORK/value"
fails 3 "none" queue send none text
gives "" queue delete jobs
check "the queues" "$(st queue ls | tail -n +2 | tr -s ' ')" "dead 0 0 0 0 -"

# objects
gives "" object put runs/7 "$WORK/bytes" --content-type application/x-run
st object get runs/7 "$WORK/out"
same "an object as a file" "$WORK/bytes" "$WORK/out"
st object put piped <"$WORK/bytes"
st object get piped | cmp - "$WORK/bytes" && passed=$((passed + 1))
check "a link needs no token" "$(curl -sS -f -m 20 "$(st object url runs/7)" | cmp - "$WORK/bytes" && say same)" same
curl -sS -f -m 20 -T "$WORK/value" "$(st object url upload --for-put)" >/dev/null
st object get upload "$WORK/out"
same "what was put through a link" "$WORK/value" "$WORK/out"
gives runs/7 object ls runs/
gives "" object put page.html "$WORK/value" --public
check "a public object" "$(curl -sS -f -L -m 20 "$(st object url page.html --public)" | cmp - "$WORK/value" && say same)" same
fails 1 "is there" object put runs/7 "$WORK/value" --if-new
fails 3 "object" object get none "$WORK/none"
check "a file that never came" "$(find "$WORK" -name 'none*')" ""
fails 1 "No such file" object put key "$WORK/none"
gives "" object rm runs/7

# files
mkdir -p "$WORK/tree/sub"
printf a >"$WORK/tree/a"
printf b >"$WORK/tree/sub/b with 100% of blanks?"
ln -s a "$WORK/tree/link"
gives "" fs mkdir default/runs
gives "" fs put "$WORK/bytes" default/runs/
st fs get default/runs/bytes "$WORK/out"
same "a file" "$WORK/bytes" "$WORK/out"
st fs put - default/runs/piped <"$WORK/value"
st fs get default/runs/piped | cmp - "$WORK/value" && passed=$((passed + 1))
gives $'bytes\npiped' fs ls default/runs
gives runs/ fs ls default
fails 1 "not empty" fs rm default/runs
check "a tree goes up" "$(st fs sync "$WORK/tree" default/tree 2>&1 | tail -n 1)" "2 copied, 0 were the same"
check "and not again" "$(st fs sync "$WORK/tree" default/tree 2>&1 | tail -n 1)" "0 copied, 2 were the same"
touch -d '+1 hour' "$WORK/tree/a"
check "what is newer goes" "$(st fs sync "$WORK/tree" default/tree 2>/dev/null)" default/tree/a
check "a tree comes down" "$(st fs sync --download default/tree "$WORK/copy" 2>&1 | tail -n 1)" "2 copied, 0 were the same"
rm "$WORK/tree/link"
check "the same" "$(diff -r "$WORK/tree" "$WORK/copy" && say same)" same
fails 3 "no" fs get default/none "$WORK/none"
gives "" fs rm default/runs --recursive
check "the file systems" "$(st fs du | sed -n 's/^\(default\) .*/\1/p')" default

# backups
export STOWAGE_ADMIN_TOKEN_FILE=$WORK/data/admin-token
gives "$WORK/data/backups/first" store backup first
fails 1 "is there already" store backup first
fails 1 "token" store backup second --admin-token wrong
check "a backup by its time" "$(st store backup | grep -c "^$WORK/data/backups/20[0-9]*-[0-9]*$")" 1
check "it can be restored" "$("$BUILD/bin/stowage-sidecar" --restore "$WORK/data/backups/first" --data-dir "$WORK/again" \
    >/dev/null 2>&1 && say restored)" restored

# memory does not grow with what is moved; completion is a script that bash takes
head -c 200000000 /dev/zero >"$WORK/large"
peak() { # peak COMMAND…: KiB
    /usr/bin/env python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$BUILD/bin/stowage" "$@"
}
for way in "put large $WORK/large" "get large $WORK/out"; do
    # shellcheck disable=SC2086 # words
    used=$(peak object $way)
    check "memory of object ${way%% *} ($used KiB)" "$([ "$used" -lt "${MEMORY_KIB:-32000}" ] && say little)" little
done
same "a large object" "$WORK/large" "$WORK/out"
check "completion" "$(bash -c '. <("$1" completion bash) && complete -p stowage >/dev/null && say() { echo "$@"; } && say yes' \
    bash "$BUILD/bin/stowage")" yes
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
