#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the chart runs around the store (images/store-backup.sh, images/store-restore.sh): so many backups are kept and no others are
# touched; a restore happens once, keeps what was there before, and may be ended at any point. Ends with "N passed, N failed".
#
# usage: tests/integration/store-backup.sh
# STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar" ] || build dev
WORK=$(mktemp -d)
DATA=$WORK/data BACKUPS=$WORK/backups
export PATH=$BUILD/bin:$PATH STOWAGE_ADMIN_TOKEN_FILE=$DATA/admin-token STOWAGE_TOKEN_FILE=$DATA/token
server="" passed=0 failed=0
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$server" ] || stop_pid "$server"
    rm -rf "$WORK"
}
trap clean_up EXIT
check() { # check WHAT GOT WANTED
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "FAILED $1: got '${2:0:300}', wanted '$3'"
    fi
}
started() {
    port=$(sed -n 's/.*"event":"started".*"port":\([0-9]*\).*/\1/p' "$WORK/log")
    [ -n "$port" ]
}
serve() {
    : >"$WORK/log"
    stowage-sidecar --data-dir "$DATA" --listen 127.0.0.1:0 --backup-dir "$BACKUPS" --log-format json 2>"$WORK/log" &
    server=$!
    wait_until 20 started || { cat "$WORK/log" && die "the server did not start"; }
    export STOWAGE_URL=http://127.0.0.1:$port
}
quit() {
    stop_pid "$server"
    server=""
}
backup() { "$ROOT/images/store-backup.sh" "$BACKUPS" "$@" >"$WORK/out" 2>&1; }
restore() { "$ROOT/images/store-restore.sh" "$BACKUPS/$1" "$DATA" >"$WORK/out" 2>&1; }
listing() { find "$BACKUPS" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' '; }

# --- backups -----------------------------------------------------------------------------------------------------------
serve
stowage kv create settings
stowage kv put settings rate 1
head -c 100000 /dev/urandom >"$WORK/object"
stowage object put big <"$WORK/object"
stowage store backup by-hand >/dev/null
mkdir "$BACKUPS/scheduled-20200101-000000" "$BACKUPS/scheduled-20200102-000000" "$BACKUPS/scheduled-20200102-000000.partial" "$BACKUPS/scheduled-other"
echo >"$BACKUPS/scheduled-20200103-000000"
backup 2 && code=0 || code=$?
check "a backup" "$code" 0
check "the oldest goes, and nothing that was not made so" "$(listing | sed 's/scheduled-202[1-9][0-9]*-[0-9]*/NEW/')" \
    "by-hand scheduled-20200102-000000 scheduled-20200102-000000.partial scheduled-20200103-000000 NEW scheduled-other "
backup 2 --admin-token wrong && code=0 || code=$?
check "a backup that fails" "$code" 1
check "and removes none" "$(listing | grep -o scheduled-20200102-000000 | wc -l)" 2
sleep 1.1 # names have seconds
backup 1 || true
check "one is kept" "$(find "$BACKUPS" -maxdepth 1 -type d -name 'scheduled-*-??????' | wc -l)" 1

# --- restores ----------------------------------------------------------------------------------------------------------
token=$(cat "$DATA/token")
stowage kv put settings rate 2
quit
restore no-such && code=0 || code=$?
check "a backup that is not there" "$code" 1
check "is told with those that are" "$(grep -c "no backup.*by-hand" "$WORK/out")" 1
check "and changes nothing" "$(find "$DATA" -name 'store.before*')" ""
restore by-hand || cat "$WORK/out"
serve
check "the value of the backup" "$(stowage kv get settings rate)" 1
check "the object of the backup" "$(stowage object get big | cmp - "$WORK/object" && say same)" same
check "the token is the same" "$(cat "$DATA/token")" "$token"
stowage kv put settings rate 3
quit
restore by-hand
serve
check "the second time nothing happens" "$(stowage kv get settings rate)" 3
quit
mv "$DATA/store" "$WORK/aside" && cp -a "$DATA/store.before-by-hand/store" "$DATA/store"
serve
check "what was before is whole" "$(stowage kv get settings rate)" 2
quit
rm -rf "$DATA/store" && mv "$WORK/aside" "$DATA/store"

# Ended at every step, then run again: what it leaves is what the step would have left.
again() { # again WHAT: after a half, the restore ends and gives the backup's value, and what was before is kept
    restore by-hand || cat "$WORK/out"
    serve
    check "$1: the value" "$(stowage kv get settings rate)" 1
    quit
    check "$1: what was before" "$(find "$DATA/store.before-by-hand" -name store.db | wc -l)" "$2"
    rm -rf "$DATA/store.before-by-hand"
}
rm -rf "$DATA/store.before-by-hand"
mkdir "$DATA/store.before-by-hand"
again "ended before anything was moved" 1
mkdir "$DATA/store.before-by-hand" && mv "$DATA/store" "$DATA/store.before-by-hand/"
again "ended after the move" 1
mkdir "$DATA/store.before-by-hand" && mv "$DATA/store" "$DATA/store.before-by-hand/" && mkdir "$DATA/store.partial" && echo >"$DATA/store.partial/store.db"
again "ended within the copy" 1
mkdir "$DATA/store.before-by-hand" && mv "$DATA/store" "$DATA/store.before-by-hand/" && stowage-sidecar --restore "$BACKUPS/by-hand" --data-dir "$DATA" 2>/dev/null
again "ended after the copy" 1
rm -rf "$DATA"
again "into an empty volume" 0

say "$passed passed, $failed failed"
[ "$failed" = 0 ]
