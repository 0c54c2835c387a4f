#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-cachefs under load: fsx on two mounts at once, a parallel build of a C project, git.
#
# FSX_SECONDS: how long fsx runs (default 20). FSX_SEED: where its random numbers start (default 1). FSX: the program; without it `cargo install fsx` brings one.
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
FSX_SECONDS=${FSX_SECONDS:-20}
FSX_SEED=${FSX_SEED:-1}
FSX=${FSX:-$(command -v fsx || echo "$ROOT/build/tools/bin/fsx")}
if [ ! -x "$FSX" ]; then
    command -v cargo >/dev/null || { echo "skipped: neither fsx nor cargo is installed"; exit 77; }
    cargo install --quiet --locked fsx --root "$ROOT/build/tools" >/dev/null 2>&1 ||
        { echo "skipped: fsx cannot be installed with cargo"; exit 77; }
fi
cachefs_kit_start git gcc make
cachefs_mount a || fail "no mount"
cachefs_mount b || fail "no second mount"

# fsx NAME MOUNT SEED: as long as FSX_SECONDS; 124 is timeout's word for "was still going well"
run_fsx() {
    local rc=0
    (cd "$WORK" && timeout "$FSX_SECONDS" "$FSX" -S "$3" -f "$WORK/fsx.toml" -P "$WORK" "$WORK/$2/$1" >"$WORK/$1.out" 2>&1) || rc=$?
    [ "$rc" = 124 ] || { tail -n 40 "$WORK/$1.out"; return 1; }
}

echo "fsx for $FSX_SECONDS s, three files, two mounts"
printf '[opsize]\nmax = 262144\n' >"$WORK/fsx.toml"
pids=()
for n in 1 2 3; do
    run_fsx "fsx-$n" "$([ "$n" = 2 ] && echo b || echo a)" "$((FSX_SEED + n))" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || fail "fsx found a difference"
done

echo "a parallel build"
mkdir "$WORK/a/project"
# shellcheck disable=SC2016 # make's variables, not the shell's
{
    echo 'OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))'
    echo 'program: $(OBJECTS); gcc -o $@ $^'
} >"$WORK/a/project/Makefile"
for n in $(seq 60); do
    printf '#include <stdio.h>\n#include <string.h>\n#include "all.h"\nint f%d(int x) { return x + %d; }\n' "$n" "$n" \
        >"$WORK/a/project/f$n.c"
    printf 'int f%d(int x);\n' "$n" >>"$WORK/a/project/all.h"
done
printf '#include <stdio.h>\n#include "all.h"\nint main(void) { printf("%%d\\n", f1(1) + f60(1)); return 0; }\n' \
    >"$WORK/a/project/main.c"
make -s -j 4 -C "$WORK/a/project" program || fail "the build"
[ "$("$WORK/b/project/program")" = 63 ] || fail "the program of the other mount says something else"
make -s -q -C "$WORK/a/project" program || fail "make would build again: times are wrong"

echo "git"
git -C "$WORK/a/project" init -q
git -C "$WORK/a/project" add -A
git -C "$WORK/a/project" -c user.name=t -c user.email=t@example.org commit -q -m first
git clone -q "$WORK/a/project" "$WORK/b/clone"
git -C "$WORK/b/clone" fsck --strict || fail "git fsck of the clone"
git -C "$WORK/a/project" gc -q
git -C "$WORK/a/project" fsck --strict || fail "git fsck after gc"
[ -z "$(git -C "$WORK/a/project" status --porcelain)" ] || fail "git status is not clean"
cmp "$WORK/a/project/all.h" "$WORK/a/clone/all.h" || fail "the clone differs"
rm -rf "$WORK/a/project" "$WORK/a/clone"
[ ! -e "$WORK/b/project" ] || fail "removed files are still seen"
cachefs_umount a
cachefs_umount b
