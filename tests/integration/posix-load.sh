#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stowage-cachefs under the load of a file server: dbench on two mounts of one share at the same time, each in a directory
# of its own, then one SQLite database from both mounts in turn.
#
# LOAD_SECONDS: how long dbench runs (default 5). LOAD_VERSION: of NFS, 3 or 4 (default 3).
set -euo pipefail
# shellcheck source=tests/support/cachefs-kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/cachefs-kit.sh"
LOAD_SECONDS=${LOAD_SECONDS:-5}
LOAD_VERSION=${LOAD_VERSION:-3}
cachefs_kit_start dbench sqlite3
for m in a b; do
    cachefs_mount "$m" --nfs-version "$LOAD_VERSION" || fail "no mount $m"
done

echo "dbench for $LOAD_SECONDS s, two mounts, four clients each"
pids=()
for m in a b; do
    mkdir "$WORK/$m/dbench-$m"
    dbench -t "$LOAD_SECONDS" -D "$WORK/$m/dbench-$m" 4 >"$WORK/dbench-$m.out" 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || { tail -n 20 "$WORK"/dbench-?.out; fail "dbench ended with an error"; }
done
# dbench takes the semaphore with the number 0 for a failure and works with it all the same
if grep -vF 'failed to create barrier semaphore' "$WORK"/dbench-?.out | grep -iE 'failed|ERROR'; then fail "dbench met errors"; fi
grep -h Throughput "$WORK"/dbench-?.out

echo "one database, both mounts in turn"
for i in $(seq 30); do
    m=$([ $((i % 2)) = 0 ] && echo a || echo b)
    sqlite3 "$WORK/$m/db" "create table if not exists t(x primary key, y);
        insert into t values($i, hex(randomblob(20000))); delete from t where x = $i - 10;" || fail "statement $i through $m"
done
for m in a b; do
    got=$(sqlite3 "$WORK/$m/db" 'select count(*), sum(x) from t; pragma integrity_check')
    [ "$got" = $'10|255\nok' ] || fail "the database through $m: $got"
done
if find "$EXPORT" -name '.nfs*' | grep .; then fail "names of unlinked files stayed behind"; fi
for m in a b; do cachefs_umount "$m"; done
