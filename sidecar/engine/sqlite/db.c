// SPDX-License-Identifier: Apache-2.0
#include "sidecar/engine/sqlite/db.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/schema.h"
#include "sidecar/engine/sqlite/vfs.h"

static const char *const sql_text[] = {
#define SQL_TEXT(name, text) text,
    SQL_STATEMENTS(SQL_TEXT)
#undef SQL_TEXT
};

// SQLite allocates through our seam too, so that a test can fail its n-th allocation.
static void *page_alloc(int size) {
    return mem_alloc((size_t)size);
}
static void *page_realloc(void *old, int size) {
    return mem_realloc(old, 1, (size_t)size);
}
static int page_size(void *p) {
    return p ? (int)malloc_usable_size(p) : 0;
}
static int page_round(int size) {
    return (size + 7) & ~7;
}
static int page_init(void *arg) {
    (void)arg;
    return SQLITE_OK;
}
static void page_shutdown(void *arg) {
    (void)arg;
}

static void configure(void) {
    static const sqlite3_mem_methods methods = {page_alloc, free,      page_realloc,  page_size,
                                                page_round, page_init, page_shutdown, NULL};
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); // else every allocation takes one lock
    (void)sqlite3_initialize();
    vfs_register();
}

int db_error(struct db *db, int rc, struct err *err) {
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    int code = -EIO;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        code = -ENOSPC;
        text = "the disk of the store is full; nothing was changed";
        break;
    case SQLITE_NOMEM:
        code = -ENOMEM;
        text = "out of memory";
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = -EBUSY;
        text = "the store is in use by another process";
        break;
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            code = -ENOMEM;
        break;
    default:
        break;
    }
    if (!db->failed)
        db->failed = code;
    return code == -EIO ? err_set(err, code, "the database failed (%s, code %d); see the disk, then restart", text, rc)
                        : err_set(err, code, "%s", text);
}

int db_script(struct db *db, const char *sql, struct err *err) {
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_error(db, sqlite3_extended_errcode(db->handle), err);
}

int db_open(const char *path, int cache_kib, struct db *ret, struct err *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure);
    *ret = (struct db){0};
    // Over unix-excl the process keeps the file to itself, and its connections share their locks without system calls.
    int rc =
        sqlite3_open_v2(path, &ret->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, VFS_NAME);
    if (rc == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(ret->handle, 1);
        char pragmas[400];
        (void)snprintf(pragmas, sizeof pragmas,
                       "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-%d;"
                       "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;",
                       cache_kib);
        (void)db_script(ret, pragmas, err);
    } else {
        (void)db_error(ret, rc, err);
    }
    int failed = ret->failed;
    if (failed) {
        db_close(ret);
        return err_wrap(err, failed, "cannot open %s", path);
    }
    return 0;
}

void db_close(struct db *db) {
    for (size_t i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    (void)sqlite3_close(db->handle);
    db->handle = NULL;
}

static int pragma_int(struct db *db, const char *sql, int64_t *ret, struct err *err) {
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *ret = db_int(s, 0);
    (void)sqlite3_finalize(s);
    return rc == SQLITE_ROW ? 0 : db_error(db, rc, err);
}

int db_migrate(struct db *db, struct err *err) {
    int64_t version = 0;
    int r = pragma_int(db, "PRAGMA user_version", &version, err);
    int64_t newest = (int64_t)ARRAY_SIZE(schema_steps);
    if (r == 0 && version > newest)
        return err_set(err, -EPROTO, "the store has version %lld, this program knows up to %lld: use a newer program",
                       (long long)version, (long long)newest);
    for (; r == 0 && version < newest; version++) {
        char done[64];
        (void)snprintf(done, sizeof done, "PRAGMA user_version=%lld; COMMIT;", (long long)version + 1);
        r = db_script(db, "BEGIN IMMEDIATE", err);
        if (r == 0)
            r = db_script(db, schema_steps[version], err);
        if (r == 0)
            r = db_script(db, done, err);
    }
    return r;
}

int db_check(struct db *db, const char *path, struct err *err) {
    sqlite3_stmt *s = NULL;
    char text[120] = "";
    int rc = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        (void)snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(s, 0));
    (void)sqlite3_finalize(s);
    if (rc == SQLITE_ROW && strcmp(text, "ok") == 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return err_set(err, -EIO, "%s is damaged (%s): move the folder away and restore the newest backup", path,
                   *text ? text : sqlite3_errstr(rc));
}

static int bind_all(sqlite3_stmt *s, const char *types, va_list ap) {
    int rc = SQLITE_OK;
    for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
        if (*types == 'i') {
            rc = sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
        } else if (*types == 'b') {
            const void *data = va_arg(ap, const void *);
            size_t len = va_arg(ap, size_t);
            rc = sqlite3_bind_blob64(s, i, data || len ? data : "", len, SQLITE_STATIC);
        } else {
            rc = sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        }
    }
    return rc;
}

static sqlite3_stmt *bind_list(struct db *db, enum sql sql, const char *types, va_list ap) {
    int rc = SQLITE_OK;
    if (!db->statements[sql])
        rc = sqlite3_prepare_v3(db->handle, sql_text[sql], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[sql], NULL);
    if (rc == SQLITE_OK)
        rc = bind_all(db->statements[sql], types, ap);
    if (rc != SQLITE_OK) {
        (void)db_error(db, sqlite3_extended_errcode(db->handle), NULL);
        return NULL;
    }
    return db->statements[sql];
}

sqlite3_stmt *db_bind(struct db *db, enum sql sql, const char *types, ...) {
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *s = bind_list(db, sql, types, ap);
    va_end(ap);
    return s;
}

int db_step(struct db *db, sqlite3_stmt *statement, struct err *err) {
    if (!statement)
        return err_set(err, db->failed ? db->failed : -EIO, "the database failed: %s", sqlite3_errmsg(db->handle));
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_error(db, rc, err);
}

int db_run(struct db *db, struct err *err, enum sql sql, const char *types, ...) {
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *s cleanup_reset = bind_list(db, sql, types, ap);
    va_end(ap);
    int r = db_step(db, s, err);
    return r > 0 ? 0 : r;
}
