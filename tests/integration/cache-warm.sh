#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Warm-up, status, pin and evict of a cached volume, through `stowage cache` and a real NFS server: a tree is fetched and read while
# the server is frozen; cancelled, resumed, unmounted in the middle; no room; who may; read-only mounts; the flag --warm-up.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
cachefs_kit_start jq
[ -x "$BIN/stowage" ] || fail "$BIN/stowage is not built"
CACHE=$WORK/cache
FILES=500
chmod 755 "$EXPORT"
mkdir -p "$CACHE" "$EXPORT/data/sub/deep" "$EXPORT/more"

stowage() { "$BIN/stowage" cache "$@"; }
mount_cached() { # NAME FLAG...
    cachefs_mount "$1" --cache-dir "$CACHE" --cache-volume "vol-$1" --cache-mode immutable "${@:2}"
}
# of JSON on standard input: field FILTER
field() { jq -r "$1"; }
status() { stowage status --json "$1" | field "$2"; }
warm_state() { python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "stowage.cache.warm").decode())' "$1" | field "$2"; }
freeze() {
    kill -STOP "$NFS_PID"
    until ! grep -hs '^State:' "/proc/$NFS_PID/task"/*/status | grep -v 'T (stopped)' >/dev/null; do sleep 0.05; done
}
thaw() { kill -CONT "$NFS_PID"; }
# until_state PATH STATE: at most 20 s
until_state() {
    for _ in $(seq 400); do
        [ "$(warm_state "$1" .state)" = "$2" ] && return 0
        sleep 0.05
    done
    fail "the warm-up of $1 is not $2 but $(warm_state "$1" .)"
}
# same A B: equal trees
same() { diff -r "$1" "$2" >/dev/null || fail "$1 differs from $2"; }

for i in $(seq $FILES); do
    case $((i % 3)) in 0) d=data ;; 1) d=data/sub ;; *) d=data/sub/deep ;; esac
    head -c $((i * 331 + 1)) /dev/urandom >"$EXPORT/$d/file$i"
done
head -c 100M /dev/urandom >"$EXPORT/data/big"
: >"$EXPORT/data/empty"
ln -s big "$EXPORT/data/link"
head -c 60M /dev/urandom >"$EXPORT/more/one"
head -c 3M /dev/urandom >"$EXPORT/more/two"
total=$(find "$EXPORT/data" -type f -printf '%s\n' | paste -sd+ | bc)

echo "a tree is fetched"
mount_cached a || fail "no mount"
stowage warm --wait --json "$WORK/a/data" >"$WORK/warm.json" || fail "the warm-up: $(cat "$WORK/warm.json")"
[ "$(field '[.state, .counted, .files, .files_done, .bytes, .bytes_done, .skipped, .errors] | map(tostring) | join(" ")' <"$WORK/warm.json")" = \
    "done true $((FILES + 2)) $((FILES + 2)) $total $total 0 0" ] || fail "$(cat "$WORK/warm.json"), not $total bytes"
[ "$(status "$WORK/a/data/big" '"\(.state) \(.bytes) \(.size) \(.pinned) \(.mode)"')" = "complete 104857600 104857600 false closed" ] ||
    fail "$(stowage status --json "$WORK/a/data/big")"
[ "$(status "$WORK/a/more/one" .state)" = none ] || fail "fetched what was not asked for"
origin=$(status "$WORK/a" .origin_bytes)
[ "$origin" = "$total" ] || fail "$origin bytes came from the origin instead of $total"

echo "what is there is not fetched again"
stowage warm --wait "$WORK/a/data" >"$WORK/out" || fail "$(cat "$WORK/out")"
grep -q "'$WORK/a/data' is in the cache: $((FILES + 2)) of $((FILES + 2)) files, " "$WORK/out" || fail "$(cat "$WORK/out")"
[ "$(status "$WORK/a" .origin_bytes)" = "$origin" ] || fail "the second warm-up fetched data"

echo "read while the server is frozen"
(cd "$EXPORT" && find data -type f) >"$WORK/names"
expected=$(cd "$EXPORT" && xargs -a "$WORK/names" cat | sha256sum)
(cd "$WORK/a" && xargs -a "$WORK/names" stat >/dev/null) # names and attributes are the kernel's to ask for
freeze
found=$(cd "$WORK/a" && timeout 60 xargs -a "$WORK/names" cat | sha256sum) || { thaw; fail "the tree cannot be read without the server"; }
[ "$found" = "$expected" ] || { thaw; fail "the tree reads differently"; }
[ "$(timeout 10 "$BIN/stowage" cache status --json "$WORK/a" | field .volume)" = vol-a ] || { thaw; fail "no status without the server"; }
thaw

echo "cancelled with the server away, and resumed"
[ "$(status "$WORK/a/more" .volume)" = vol-a ] || fail "a directory does not tell its volume"
stowage warm --wait "$WORK/a/more" >/dev/null
stowage evict "$WORK/a/more" >"$WORK/out"
grep -q '^evicted: 2 files, 63Mi' "$WORK/out" || fail "$(cat "$WORK/out")"
[ "$(status "$WORK/a/more/one" .state)" = none ] || fail "not evicted"
freeze
timeout 20 "$BIN/stowage" cache warm "$WORK/a/more" >"$WORK/out" 2>&1 || { thaw; fail "not started without the server: $(cat "$WORK/out")"; }
[ "$(warm_state "$WORK/a/more" .state)" = running ] || { thaw; fail "$(warm_state "$WORK/a/more" .)"; }
timeout 20 "$BIN/stowage" cache warm --cancel "$WORK/a/more" >/dev/null || { thaw; fail "no cancel"; }
(until_state "$WORK/a/more" cancelled) || { thaw; exit 1; }
thaw
stowage warm --wait "$WORK/a/more" >/dev/null || fail "not resumed"
[ "$(status "$WORK/a/more/one" .state)" = complete ] || fail "not complete after it was resumed"
same "$WORK/a/more" "$EXPORT/more"

echo "an interrupted --wait leaves it running"
stowage evict "$WORK/a/more" >/dev/null
freeze
"$BIN/stowage" cache warm --wait "$WORK/a/more" >"$WORK/out" 2>&1 &
waiter=$!
for _ in $(seq 100); do
    [ "$(warm_state "$WORK/a/more" .state)" = running ] && break
    sleep 0.05
done
sleep 0.5 # it installs its handler after that
kill -INT "$waiter"
if wait "$waiter"; then thaw; fail "an interrupted wait is a success"; fi
grep -q 'the warm-up goes on' "$WORK/out" || { thaw; fail "$(cat "$WORK/out")"; }
[ "$(warm_state "$WORK/a/more" .state)" = running ] || { thaw; fail "the warm-up ended with its watcher"; }
thaw
until_state "$WORK/a/more" "done"

echo "a daemon that dies meanwhile: its successor goes on"
stowage evict "$WORK/a/more" >/dev/null
freeze
"$BIN/stowage" cache warm --wait "$WORK/a/more" >"$WORK/out" 2>&1 &
waiter=$!
for _ in $(seq 100); do
    [ "$(warm_state "$WORK/a/more" .state)" = running ] && break
    sleep 0.05
done
kill -KILL "$(cat "/proc/$(cat "$WORK/a.pid")/task/$(cat "$WORK/a.pid")/children")"
thaw
wait "$waiter" || fail "the warm-up did not survive the daemon: $(cat "$WORK/out")"
[ "$(status "$WORK/a/more/one" .state)" = complete ] || fail "not complete after the daemon died"

echo "pinned and not"
stowage pin "$WORK/a/data/sub" >"$WORK/out"
grep -q '^pinned: ' "$WORK/out" || fail "$(cat "$WORK/out")"
[ "$(status "$WORK/a/data/sub/file1" .pinned)" = true ] || fail "not pinned"
[ "$(status "$WORK/a/data/big" .pinned)" = false ] || fail "pinned beside"
[ "$(status "$WORK/a" .pinned_bytes)" -gt 0 ] || fail "no pinned bytes"
stowage unpin "$WORK/a/data/sub" >/dev/null
[ "$(status "$WORK/a" .pinned_bytes)" = 0 ] || fail "still pinned"

echo "what is open is not evicted"
exec 8<"$WORK/a/data/big"
[ "$(status "$WORK/a/data/big" .mode)" != closed ] || fail "an open file is closed"
stowage evict "$WORK/a/data" >"$WORK/out"
grep -q '^left, because they are in use: 1 files' "$WORK/out" || fail "$(cat "$WORK/out")"
[ "$(status "$WORK/a/data/big" .state)" = complete ] || fail "an open file was evicted"
[ "$(status "$WORK/a/data/file3" .state)" = none ] || fail "a closed file was not"
cmp - "$EXPORT/data/big" <&8 || fail "the open file reads something else"
exec 8<&-

echo "readers go on meanwhile"
stowage evict "$WORK/a/data" >/dev/null
stowage warm "$WORK/a/data" >/dev/null
same "$WORK/a/data" "$EXPORT/data"
until_state "$WORK/a/data" "done"

echo "the tables"
stowage status >"$WORK/out" || fail "no status"
grep -q '^VOLUME .*RESIDENT .*FROM ORIGIN$' "$WORK/out" || fail "$(cat "$WORK/out")"
grep -q '^vol-a ' "$WORK/out" || fail "$(cat "$WORK/out")"
stowage status --dir "$CACHE" >"$WORK/out" || fail "no status of a directory"
grep -q '^vol-a ' "$WORK/out" || fail "$(cat "$WORK/out")"
stowage status vol-a --path data/big | grep -q '^state  *complete' || fail "a volume's id is not found"
grep -q '"sick": false' <<<"$(stowage status --json --dir "$CACHE")" || fail "no disk in $(stowage status --json --dir "$CACHE")"

echo "no room: it ends and says so, readers are served"
stowage evict "$WORK/a/data/big" >/dev/null # volumes of one origin share what they have
mount_cached small --cache-size 20Mi || fail "no mount with a limit"
if stowage warm --wait "$WORK/small/data/big" 2>"$WORK/out"; then fail "100 MiB went into 20"; fi
grep -q 'no room' "$WORK/out" || fail "$(cat "$WORK/out")"
cmp "$WORK/small/data/big" "$EXPORT/data/big" || fail "differs"
[ "$(stowage status --json "$WORK/small" | field .bytes)" -le $((24 << 20)) ] || fail "beyond its limit: $(stowage status --json "$WORK/small")"
cachefs_umount small

echo "a file that is changing is left out"
mount_cached strict --cache-mode strict || fail "no strict mount"
head -c 1M /dev/urandom >"$EXPORT/more/fresh"
[ "$(stowage warm --wait --json "$WORK/strict/more/fresh" | field '"\(.state) \(.skipped)"')" = "done 1" ] || fail "a fresh file was taken"
cachefs_umount strict

echo "who may"
chown 1234 "$WORK/a/more" # through NFS: the server keeps what it knows of its files
chmod 777 "$WORK/a/data/sub"
mount_cached b || fail "no mount for others"
message=$(setpriv --reuid 1235 --clear-groups "$BIN/stowage" cache warm "$WORK/b/data/sub" 2>&1) && fail "a stranger warmed it up"
[[ $message == *"only the owner"* ]] || fail "$message"
setpriv --reuid 1234 --clear-groups "$BIN/stowage" cache warm --wait "$WORK/b/more" >/dev/null || fail "the owner may not"
chmod 600 "$WORK/a/more/two" # root's: the server refuses to let the owner of the directory read it
stowage evict "$WORK/b/more" >/dev/null
message=$(setpriv --reuid 1234 --clear-groups "$BIN/stowage" cache warm --wait "$WORK/b/more" 2>&1) && fail "fetched what the caller may not read"
[[ $message == *"1 could not be fetched"*"'two': Permission denied"* ]] || fail "$message"
chmod 644 "$WORK/a/more/two"
cachefs_umount b

echo "a read-only mount"
mount_cached ro --read-only || fail "no read-only mount"
stowage evict "$WORK/ro/more" >/dev/null || fail "no evict on a read-only mount"
stowage warm --wait "$WORK/ro/more" >/dev/null || fail "no warm-up on a read-only mount"
[ "$(status "$WORK/ro/more/one" .state)" = complete ] || fail "not complete"
cachefs_umount ro

echo "at the mount"
stowage evict --dir "$CACHE" >/dev/null
mount_cached c --warm-up data/sub,missing,more/one || fail "no mount with --warm-up"
until_state "$WORK/c/data/sub" "done"
until_state "$WORK/c/more/one" "done"
[ "$(status "$WORK/c/data/sub/deep/file2" .state)" = complete ] || fail "not warmed up"
for _ in $(seq 100); do
    grep -q "warm-up failed.*'missing': No such file" "$WORK/c.log" && break
    sleep 0.05
done
grep -q "warm-up failed.*'missing': No such file" "$WORK/c.log" || fail "nothing about the missing path: $(cat "$WORK/c.log")"

echo "unmounted in the middle, with the server frozen"
stowage evict "$WORK/c/more" >/dev/null
stat "$WORK/c/more" >/dev/null
freeze
timeout 20 "$BIN/stowage" cache warm "$WORK/c/more" >/dev/null || { thaw; fail "not started"; }
cachefs_umount c
thaw

echo "not cached, and not there"
cachefs_mount plain || fail "no plain mount"
message=$(stowage warm "$WORK/plain" 2>&1) && fail "warmed up without a cache"
[[ $message == *"not on a cached volume"* ]] || fail "$message"
message=$(stowage warm "$WORK" 2>&1) && fail "warmed up a directory of the disk"
[[ $message == *"not on a cached volume"* ]] || fail "$message"
message=$(stowage status vol-none 2>&1) && fail "a volume that is not there has a status"
[[ $message == *"neither a path nor a cached volume"* ]] || fail "$message"
cachefs_umount plain
cachefs_umount a
