// SPDX-License-Identifier: Apache-2.0
// Uploads: the bytes of an object before anybody can see it.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/object.h"

#define FLUSH_EVERY (8 * 1024 * 1024) // bytes after which the kernel is asked to begin writing

static int to_file(struct object_upload *u, struct err *err) {
    int r = object_room_take(u, u->wanted > 0 ? u->wanted : u->size, err);
    if (r == 0)
        r = object_file_create(u->store, &u->file, &u->fd, err);
    if (r == 0 && u->wanted > 0 && fallocate(u->fd, FALLOC_FL_KEEP_SIZE, 0, u->wanted) < 0 && errno == ENOSPC)
        r = err_set(err, -ENOSPC, "the disk of the store has no room for an object of %lld bytes",
                    (long long)u->wanted);
    return r;
}

static int prepare(struct object_upload *u, const char *workspace, const char *bucket, struct blob key,
                   const char *type) {
    u->workspace = mem_strdup(workspace);
    u->bucket = mem_strdup(bucket);
    u->type = mem_strdup(type);
    u->key.data = copy_blob(key.data, key.len);
    u->key.len = key.len;
    u->md5 = hash_md5_new();
    return u->workspace && u->bucket && (u->type || !type) && u->key.data && u->md5 ? 0 : -ENOMEM;
}

int object_upload_new(void *self, const char *workspace, const char *bucket, struct blob key, const char *type,
                      int64_t size, struct object_upload **ret, struct err *err) {
    if (key.len == 0)
        return err_set(err, -EINVAL, "the key is empty");
    if (key.len > OBJECT_KEY_MAX)
        return err_set(err, -E2BIG, "the key has %zu bytes, the limit is %d", key.len, OBJECT_KEY_MAX);
    if (size > OBJECT_SIZE_MAX)
        return err_set(err, -E2BIG, "the object has %lld bytes, the limit is %lld", (long long)size,
                       (long long)OBJECT_SIZE_MAX);
    struct object_upload *u = mem_zalloc(sizeof *u);
    if (!u)
        return err_set(err, -ENOMEM, "no memory for an upload");
    u->store = self;
    u->wanted = size;
    u->fd = -1;
    int r = prepare(u, workspace, bucket, key, type);
    if (r < 0)
        (void)err_set(err, r, "no memory for an upload");
    else if (size > OBJECT_INLINE_MAX)
        r = to_file(u, err);
    if (r < 0) {
        (void)object_upload_free(u, false);
        return r;
    }
    *ret = u;
    return 0;
}

static int append_file(struct object_upload *u, const char *data, size_t len, struct err *err) {
    while (len > 0) {
        ssize_t n = write(u->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ENOSPC || errno == EDQUOT
                       ? err_set(err, -ENOSPC, "the disk of the store is full; nothing was changed")
                       : err_set(err, -EIO, "cannot write the object: %s", err_name(errno));
        data += n;
        len -= (size_t)n;
        u->unflushed += n;
    }
    if (u->unflushed >= FLUSH_EVERY) { // so that the sync at the end has little left to do
        (void)sync_file_range(u->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        u->unflushed = 0;
    }
    return 0;
}

int object_upload_write(void *self, struct object_upload *u, const void *data, size_t len, struct err *err) {
    (void)self;
    int64_t limit = u->wanted >= 0 ? u->wanted : OBJECT_SIZE_MAX;
    if ((int64_t)len > limit - u->size)
        return err_set(err, u->wanted >= 0 ? -EINVAL : -E2BIG, "more than the %lld bytes %s", (long long)limit,
                       u->wanted >= 0 ? "that were announced" : "an object can have");
    if (u->fd < 0 && !u->data && !(u->data = mem_alloc(OBJECT_INLINE_MAX)))
        return err_set(err, -ENOMEM, "no memory for an upload");
    int r = 0;
    if (u->fd < 0 && u->size + (int64_t)len > OBJECT_INLINE_MAX) {
        r = to_file(u, err);
        if (r == 0)
            r = append_file(u, u->data, (size_t)u->size, err);
        free(u->data);
        u->data = NULL;
    }
    if (r == 0 && u->fd >= 0 && u->wanted < 0)
        r = object_room_take(u, (int64_t)len, err);
    if (r == 0 && u->fd >= 0)
        r = append_file(u, data, len, err);
    else if (r == 0 && len > 0)
        memcpy(u->data + u->size, data, len);
    if (r < 0)
        return r;
    hash_md5_update(u->md5, data, len);
    u->size += (int64_t)len;
    return 0;
}

int object_upload_sync(struct object_upload *u, struct err *err) {
    if (u->fd < 0)
        return 0;
    if (u->size < u->wanted || ftruncate(u->fd, u->size) < 0 || fsync(u->fd) < 0) {
        int code = errno == ENOSPC || errno == EDQUOT ? -ENOSPC : -EIO;
        return err_set(err, code, "cannot bring the object to the disk: %s", err_name(errno));
    }
    return object_file_sync_folder(u->store, u->file, err);
}

struct object_upload *object_upload_free(struct object_upload *u, bool keep) {
    if (!u)
        return NULL;
    if (u->fd >= 0)
        (void)close(u->fd);
    if (u->file > 0 && !keep)
        object_file_remove(u->store, u->file);
    object_room_give_back(u);
    free(u->workspace);
    free(u->bucket);
    free(u->type);
    free((char *)(uintptr_t)u->key.data);
    free(u->data);
    (void)hash_md5_free(u->md5);
    free(u);
    return NULL;
}

void object_upload_cancel(void *self, struct object_upload *u) {
    (void)self;
    (void)object_upload_free(u, false);
}
