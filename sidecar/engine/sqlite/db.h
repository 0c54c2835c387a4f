// SPDX-License-Identifier: Apache-2.0
// A connection with its prepared statements. The only place that knows SQLite's result codes.
//
// Threads: a connection belongs to one thread at a time.
// Fails:   -ENOSPC disk full, -ENOMEM, -EIO input/output error or damage, -EBUSY, -EPROTO. `failed` keeps the first
//          failure of a transaction until db_clear.
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "sidecar/engine/sqlite/sql.h"

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
    int failed;
};

int db_open(const char *path, int cache_kib, struct db *ret, struct err *err) must_check;
void db_close(struct db *db);
// Makes or upgrades the tables; -EPROTO when they are of a newer version.
int db_migrate(struct db *db, struct err *err) must_check;
// Reads every page; -EIO when the database is damaged.
int db_check(struct db *db, const char *path, struct err *err) must_check;

// Prepares and binds: i int64_t, b const void * and size_t, t const char * (NULL: null). NULL on failure (in `failed`).
sqlite3_stmt *db_bind(struct db *db, enum sql sql, const char *types, ...);
// 1: a row; 0: the end; else the error. NULL statement: the error of db_bind.
int db_step(struct db *db, sqlite3_stmt *statement, struct err *err) must_check;
// A statement that gives no row.
int db_run(struct db *db, struct err *err, enum sql sql, const char *types, ...);
int db_script(struct db *db, const char *sql, struct err *err);
int db_error(struct db *db, int rc, struct err *err);

static inline void db_resetp(sqlite3_stmt **statement) {
    if (*statement)
        (void)sqlite3_reset(*statement);
}
// Ends the statement, and with it what it reads, at the end of the scope.
#define cleanup_reset cleanup(db_resetp)

static inline int64_t db_int(sqlite3_stmt *s, int column) {
    return sqlite3_column_int64(s, column);
}
