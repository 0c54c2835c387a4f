#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A full disk below stowage-sidecar: writes are refused with 507 and change nothing, reads go on, and when there is room again so do
# writes, without a restart. Ends with "N passed, N failed".
#
# usage: tests/integration/store-full-disk.sh
# As root: the disk is a small tmpfs in a mount namespace of its own. STOWAGE_BUILD_DIR: a build to test; default: preset dev.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
[ "$(id -u)" = 0 ] || skip "needs root, for a disk of its own"
[ -n "${IN_NAMESPACE:-}" ] || exec env IN_NAMESPACE=1 unshare --mount --propagation private -- bash "$0" "$@"

BUILD=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}
[ -x "$BUILD/bin/stowage-sidecar" ] || build dev
WORK=$(mktemp -d)
server="" passed=0 failed=0
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    umount "$WORK/disk" 2>/dev/null || true
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
ask() { # ask METHOD PATH [CURL ARGUMENT…]: sets $status and $body
    local method=$1 path=$2
    shift 2
    status=$(curl -s -o "$WORK/body" -w '%{http_code}' -m 30 -X "$method" -H "Authorization: Bearer $token" "$@" \
        "http://127.0.0.1:$port/api/v1$path" || true)
    body=$(tr -d '\0' <"$WORK/body")
}
wants() { # wants STATUS METHOD PATH [CURL ARGUMENT…]
    local wanted=$1
    shift
    ask "$@"
    check "$1 $2" "$status" "$wanted"
}
refused() { # refused METHOD PATH [CURL ARGUMENT…]: 507, and why
    wants 507 "$@"
    check "the code of $1 $2" "$(grep -o '"code":"[a-z_]*"' <<<"$body")" '"code":"no_space"'
}

mkdir "$WORK/disk"
mount -t tmpfs -o size=48m tmpfs "$WORK/disk"
"$BUILD/bin/stowage-sidecar" --data-dir "$WORK/disk/data" --listen 127.0.0.1:0 --log-format json 2>"$WORK/log" &
server=$!
wait_until 20 started || { cat "$WORK/log" && die "the server did not start"; }
token=$(cut -d' ' -f1 "$WORK/disk/data/token")
head -c 200000 /dev/zero | tr '\0' v >"$WORK/value"
printf '{"message":"%s"}' "$(cat "$WORK/value")" >"$WORK/message"
head -c 3000000 /dev/zero >"$WORK/object"

wants 201 POST /kv/namespaces/n
wants 201 POST /queue -d '{"name":"q"}'
wants 200 PUT /kv/namespaces/n/values/before --data-binary @"$WORK/value"
wants 200 POST /queue/q/messages -d '{"message":"first"}'
wants 200 PUT /objects/private/before --data-binary @"$WORK/object"

# Nothing is left, not a page.
dd if=/dev/zero of="$WORK/disk/filler" bs=4096 status=none 2>/dev/null || true
check "what the disk has left" "$(stat -f -c %a "$WORK/disk")" 0
# The log may have pages of its own left to write in: fill those too.
for i in $(seq 200); do
    ask PUT "/kv/namespaces/n/values/fill$i" --data-binary @"$WORK/value"
    [ "$status" = 200 ] || break
done
refused PUT /kv/namespaces/n/values/more --data-binary @"$WORK/value"
refused POST /queue/q/messages -d @"$WORK/message"
refused PUT /objects/private/more --data-binary @"$WORK/object"
refused PUT /objects/private/before --data-binary @"$WORK/object"

wants 200 GET /kv/namespaces/n/values/before
check "the value" "$(cmp "$WORK/body" "$WORK/value" && echo same)" same
wants 200 GET /objects/private/before
check "the object" "$(cmp "$WORK/body" "$WORK/object" && echo same)" same
wants 404 GET /kv/namespaces/n/values/more
wants 404 GET /objects/private/more
wants 200 GET /queue/q/length
check "the length of the queue" "$body" '{"length":1}'

rm "$WORK/disk/filler"
written() {
    ask PUT /kv/namespaces/n/values/after --data-binary @"$WORK/value"
    [ "$status" = 200 ]
}
wait_until 10 written || true
check "a write when there is room again" "$status" 200
wants 200 POST /queue/q/messages -d '{"message":"second"}'
wants 200 PUT /objects/private/more --data-binary @"$WORK/object"
wants 200 GET "/queue/q/peek?max=10"
check "the messages" "$(grep -o '"message":"[a-z]*"' <<<"$body" | tr '\n' ' ')" '"message":"first" "message":"second" '
kill "$server"
code=0
wait "$server" || code=$?
server=""
check "its end" "$code" 0
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
