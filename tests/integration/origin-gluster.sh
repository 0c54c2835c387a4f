#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-cachefs on a real GlusterFS volume of two bricks, mounted as stowage-node mounts an origin: POSIX behaviour on two
# mounts, users, fsx, a daemon that is replaced, bricks that are killed and come back under I/O.
#
# FSX_SECONDS: how long fsx runs (default 10). FSX: the program; without it `cargo install fsx` brings one.
set -euo pipefail
ROOT=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
export FSX=${FSX:-$(command -v fsx || echo "$ROOT/build/tools/bin/fsx")}
if [ "${STOWAGE_OWN_MOUNTS:-}" != 1 ] && [ ! -x "$FSX" ] && command -v cargo >/dev/null; then # later there is no network
    cargo install --quiet --locked fsx --root "$ROOT/build/tools" >/dev/null 2>&1 || true
fi
# shellcheck source=tests/support/gluster-kit.sh
. "$ROOT/tests/support/gluster-kit.sh"
# shellcheck source=tests/support/cachefs-kit.sh
. "$ROOT/tests/support/cachefs-kit.sh"
MOUNT=${STOWAGE_BUILD_DIR:-$ROOT/build/dev}/tests/integration_test_mount_origin
cachefs_kit_prepare glusterd
[ -x "$MOUNT" ] || fail "$MOUNT is not built"

finish() {
    local rc=$?
    for pid in "$WORK"/*.pid; do
        [ -e "$pid" ] || continue
        cachefs_detach "${pid%.pid}" || true
        wait "$(cat "$pid")" 2>/dev/null || true
    done
    cachefs_detach "$EXPORT" 2>/dev/null || true
    gluster_stop
    (exit "$rc")
    cachefs_kit_stop
}
trap finish EXIT
gluster_start || fail "no GlusterFS"

echo "mounting the origin"
"$MOUNT" mount fuse.glusterfs "$GLUSTER:/data" "$EXPORT" "" || fail "the origin cannot be mounted"
grep -q "^$GLUSTER:/data $EXPORT fuse.glusterfs rw,nosuid,nodev" /proc/mounts || fail "$(grep "$EXPORT" /proc/mounts)"
mkdir "$WORK/wrong"
message=$("$MOUNT" mount glusterfs "$GLUSTER:/no-such-volume" "$WORK/wrong" "" 2>&1) && fail "mounted a volume that is not there"
[[ $message == *no-such-volume* ]] || fail "$message"
if grep " $WORK/wrong " /proc/mounts; then fail "what failed is mounted all the same"; fi

path_mount() {
    local name=$1
    shift
    cachefs_run "$name" --origin-path "$EXPORT" --sub-dir volume "$@"
}
mkdir "$EXPORT/volume"
path_mount a || fail "no mount"
path_mount b --origin-uncached || fail "no second mount"

echo "POSIX, on two mounts"
python3 "$ROOT/tests/integration/cachefs_posix.py" "$WORK/a" "$WORK/b" || fail "POSIX cases"
if find "$EXPORT" -name '.nfs*' | grep .; then fail "names of unlinked files stayed behind"; fi

echo "users: GlusterFS decides"
mkdir -m 700 "$EXPORT/volume/closed"
mkdir -m 777 "$EXPORT/volume/open"
echo secret >"$EXPORT/volume/open/secret"
chmod 600 "$EXPORT/volume/open/secret"
as_user() { setpriv --reuid 4321 --regid 4321 --clear-groups "$@"; }
refused_to_user() {
    if message=$(as_user "$@" 2>&1); then fail "a user went through: $*"; fi
    [[ $message == *"Permission denied"* ]] || fail "$*: $message"
}
refused_to_user cat "$WORK/a/open/secret"
refused_to_user ls "$WORK/a/closed"
refused_to_user touch "$WORK/a/closed/x"
as_user touch "$WORK/a/open/mine"
[ "$(stat -c %u:%g "$WORK/gluster/brick1/volume/open/mine")" = 4321:4321 ] || fail "the file is not its maker's"

if [ -x "$FSX" ]; then
    echo "fsx for ${FSX_SECONDS:=10} s, on two mounts"
    printf '[opsize]\nmax = 262144\n' >"$WORK/fsx.toml"
    run_fsx() {
        local rc=0
        (cd "$WORK" && timeout "$FSX_SECONDS" "$FSX" -S "$2" -f fsx.toml -P "$WORK" "$WORK/$1/fsx-$1" >"fsx-$1.out" 2>&1) ||
            rc=$?
        [ "$rc" = 124 ] || { tail -n 40 "$WORK/fsx-$1.out"; return 1; }
    }
    run_fsx a 1 &
    one=$!
    run_fsx b 2 &
    two=$!
    wait "$one" || fail "fsx found a difference"
    wait "$two" || fail "fsx found a difference on the uncached mount"
else
    echo "fsx is left out: it is not installed, and cargo did not bring it"
fi

echo "the next daemon finds everything"
echo text >"$WORK/a/stays"
number=$(stat -c %i "$WORK/a/stays")
cachefs_umount a
path_mount a || fail "no mount after the first"
[ "$(stat -c %i "$WORK/a/stays")" = "$number" ] || fail "the inode number changed"
[ "$(cat "$WORK/a/stays")" = text ] || fail "the text changed"

echo "a killed daemon is replaced: names lead to the files again"
mkdir -p "$WORK/a/deep/er"
echo deep >"$WORK/a/deep/er/file"
cachefs_kill a || fail "the killed daemon is not replaced"
[ "$(cat "$WORK/a/deep/er/file" "$WORK/a/stays")" = $'deep\ntext' ] || fail "files are lost with the daemon"
ls "$WORK/a/deep/er" >/dev/null || fail "a directory is lost with the daemon"

echo "a brick is killed under I/O and comes back"
dd if=/dev/urandom of="$WORK/a/big" bs=1M count=200 conv=fsync status=none &
writer=$!
for _ in $(seq 200); do
    [ -s "$WORK/gluster/brick2/volume/big" ] && break
    sleep 0.05
done
gluster_kill_brick 2
wait "$writer" || fail "a write failed although one brick was there"
sum=$(md5sum <"$WORK/b/big")
gluster_revive || fail "the brick does not come back"
gluster_wait_healed "$EXPORT" || fail "the bricks do not heal"
gluster_kill_brick 1
[ "$(md5sum <"$WORK/b/big")" = "$sum" ] || fail "the healed brick has other data"
cachefs_umount a # nothing of it is in a page cache then
path_mount a || fail "no mount on one brick"
[ "$(md5sum <"$WORK/a/big")" = "$sum" ] || fail "the healed brick has other data"
gluster_revive || fail "the first brick does not come back"
gluster_wait_healed "$EXPORT" || fail "the bricks do not heal"

echo "no brick at all: an error, nothing hangs; and when they are back, the same mount goes on"
gluster_kill_brick 1
gluster_kill_brick 2
for _ in $(seq 100); do
    stat "$EXPORT/volume" >/dev/null 2>&1 || break
    sleep 0.1
done
if timeout 60 touch "$WORK/a/nowhere" 2>"$WORK/message"; then fail "made a file without a brick"; fi
grep -q "not connected" "$WORK/message" || fail "$(cat "$WORK/message")"
gluster_revive || fail "the bricks do not come back"
for _ in $(seq 300); do
    touch "$WORK/a/again" 2>/dev/null && break
    sleep 0.2
done
echo more >"$WORK/a/again" || fail "the mount does not go on"
[ "$(cat "$WORK/b/again")" = more ] || fail "the other mount does not go on"
[ "$(md5sum <"$WORK/b/big")" = "$sum" ] || fail "data are lost"
cachefs_umount a
cachefs_umount b
