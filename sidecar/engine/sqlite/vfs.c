// SPDX-License-Identifier: Apache-2.0
#include "sidecar/engine/sqlite/vfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define GATHER (512 * 1024) // bytes
#define PIECE (64 * 1024)   // SQLite's file layer writes at most 131071 bytes at once, and takes more for a full disk

struct wal {
    sqlite3_file file; // first
    sqlite3_file *real;
    char *data; // GATHER bytes, or NULL before the first write
    sqlite3_int64 at;
    int len;
};

static sqlite3_vfs *unix_excl;
static sqlite3_vfs vfs;

// What cannot be written is forgotten: the commit fails, and the same place of the log is written anew by the next one.
static int flush(struct wal *w) {
    int len = w->len, rc = SQLITE_OK;
    w->len = 0;
    for (int done = 0, n; done < len && rc == SQLITE_OK; done += n) {
        n = len - done < PIECE ? len - done : PIECE;
        rc = w->real->pMethods->xWrite(w->real, w->data + done, n, w->at + done);
    }
    return rc;
}

static int wal_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at) {
    struct wal *w = (struct wal *)file;
    if (w->len > 0 && (at != w->at + w->len || len > GATHER - w->len)) {
        int rc = flush(w);
        if (rc != SQLITE_OK)
            return rc;
    }
    if (!w->data)
        w->data = mem_alloc(GATHER);
    if (!w->data || len > PIECE)
        return w->real->pMethods->xWrite(w->real, data, len, at);
    if (w->len == 0)
        w->at = at;
    memcpy(w->data + w->len, data, (size_t)len);
    w->len += len;
    return SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at) {
    struct wal *w = (struct wal *)file;
    int rc = flush(w);
    return rc != SQLITE_OK ? rc : w->real->pMethods->xRead(w->real, data, len, at);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size) {
    struct wal *w = (struct wal *)file;
    int rc = flush(w);
    return rc != SQLITE_OK ? rc : w->real->pMethods->xTruncate(w->real, size);
}

static int wal_sync(sqlite3_file *file, int flags) {
    struct wal *w = (struct wal *)file;
    int rc = flush(w);
    return rc != SQLITE_OK ? rc : w->real->pMethods->xSync(w->real, flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *ret) {
    struct wal *w = (struct wal *)file;
    int rc = flush(w);
    return rc != SQLITE_OK ? rc : w->real->pMethods->xFileSize(w->real, ret);
}

static int wal_close(sqlite3_file *file) {
    struct wal *w = (struct wal *)file;
    int rc = flush(w), closed = w->real->pMethods->xClose(w->real);
    free(w->data);
    w->data = NULL;
    return rc != SQLITE_OK ? rc : closed;
}

static int wal_lock(sqlite3_file *file, int level) {
    struct wal *w = (struct wal *)file;
    return w->real->pMethods->xLock(w->real, level);
}
static int wal_unlock(sqlite3_file *file, int level) {
    struct wal *w = (struct wal *)file;
    return w->real->pMethods->xUnlock(w->real, level);
}
static int wal_reserved(sqlite3_file *file, int *ret) {
    struct wal *w = (struct wal *)file;
    return w->real->pMethods->xCheckReservedLock(w->real, ret);
}
static int wal_control(sqlite3_file *file, int op, void *arg) {
    struct wal *w = (struct wal *)file;
    return w->real->pMethods->xFileControl(w->real, op, arg);
}
static int wal_sector(sqlite3_file *file) {
    struct wal *w = (struct wal *)file;
    return w->real->pMethods->xSectorSize(w->real);
}
static int wal_device(sqlite3_file *file) {
    struct wal *w = (struct wal *)file;
    return w->real->pMethods->xDeviceCharacteristics(w->real);
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_reserved,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector,
    .xDeviceCharacteristics = wal_device,
};

static int vfs_open(sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *ret_flags) {
    (void)self;
    if (!(flags & SQLITE_OPEN_WAL))
        return unix_excl->xOpen(unix_excl, path, file, flags, ret_flags);
    struct wal *w = (struct wal *)file;
    *w = (struct wal){.real = (sqlite3_file *)(void *)((char *)file + sizeof *w)};
    int rc = unix_excl->xOpen(unix_excl, path, w->real, flags, ret_flags);
    if (w->real->pMethods)
        w->file.pMethods = &methods;
    return rc;
}

void vfs_register(void) {
    unix_excl = sqlite3_vfs_find("unix-excl");
    if (!unix_excl)
        return; // then opening says that there is no such file layer
    vfs = *unix_excl;
    vfs.zName = VFS_NAME;
    vfs.szOsFile += (int)sizeof(struct wal);
    vfs.xOpen = vfs_open;
    (void)sqlite3_vfs_register(&vfs, 0);
}
