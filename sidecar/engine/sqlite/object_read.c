// SPDX-License-Identifier: Apache-2.0
// Objects: reads, on the caller's thread.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/object.h"

static void get_release(struct engine_call *call) {
    struct object_get *get = (struct object_get *)call;
    free(get->ret.key);
    free(get->ret.type);
    free(get->ret_data);
    get->ret.key = get->ret.type = get->ret_data = NULL;
}

// Columns: size, modified, etag, type from `first` on.
static int fill_info(struct object_info *info, const void *key, size_t len, sqlite3_stmt *q, int first) {
    const char *type = (const char *)sqlite3_column_text(q, first + 3);
    *info = (struct object_info){.size = db_int(q, first), .modified_ms = db_int(q, first + 1)};
    strncpy(info->etag, (const char *)sqlite3_column_text(q, first + 2), sizeof info->etag - 1);
    info->key = copy_blob(key, len);
    info->type = mem_strdup(type);
    if (info->key && (info->type || !type))
        return 0;
    free(info->key);
    free(info->type);
    info->key = info->type = NULL;
    return -ENOMEM;
}

static int take_data(struct object_get *get, sqlite3_stmt *q) {
    const void *data = sqlite3_column_blob(q, 5);
    get->ret_data = copy_blob(data, (size_t)get->ret.size);
    return get->ret_data ? 0 : err_set(&get->call.err, -ENOMEM, "no memory for an object");
}

static int look(struct store *s, struct object_get *get, int64_t bucket, bool data, int64_t *ret_file) {
    struct err *err = &get->call.err;
    struct reader *reader cleanup_reader = reader_get(s);
    sqlite3_stmt *q cleanup_reset =
        db_bind(&reader->db, data ? SQL_OBJECT_GET : SQL_OBJECT_HEAD, "ib", bucket, get->key.data, get->key.len);
    int r = db_step(&reader->db, q, err);
    if (r == 0)
        return err_set(err, -ENOENT, "no such object in bucket '%s'", get->bucket);
    if (r < 0)
        return r;
    *ret_file = db_int(q, 4);
    get->call.release = get_release;
    if (fill_info(&get->ret, get->key.data, get->key.len, q, 0) < 0)
        return err_set(err, -ENOMEM, "no memory for an object");
    return data && *ret_file == 0 ? take_data(get, q) : 0;
}

static int get(struct store *s, struct object_get *get, bool data) {
    int64_t bucket = catalog_lookup(&s->catalog, CONTAINER_BUCKET, get->call.workspace, get->bucket);
    for (int tries = 0;; tries++) {
        int64_t file = 0;
        char path[64];
        int r = look(s, get, bucket, data, &file);
        if (r < 0 || !data || file == 0)
            return r;
        object_file_path(file, path);
        get->ret_fd = openat(s->objects_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (get->ret_fd >= 0)
            return 0;
        int code = -errno;
        engine_call_release(&get->call);
        if (code != -ENOENT || tries == 100) // gone: overwritten meanwhile, so look again
            return err_set(&get->call.err, code == -EMFILE || code == -ENFILE ? code : -EIO,
                           "cannot open %s/objects/%s: %s", s->folder, path, err_name(code));
    }
}

void object_get(void *self, struct object_get *call) {
    call->ret = (struct object_info){0};
    call->ret_data = NULL;
    call->ret_fd = -1;
    call_end(&call->call, get(self, call, true));
}

void object_stat(void *self, struct object_get *call) {
    call->ret = (struct object_info){0};
    call->ret_data = NULL;
    call->ret_fd = -1;
    call_end(&call->call, get(self, call, false));
}

// ---- list ----

static void list_release(struct engine_call *call) {
    struct object_list *list = (struct object_list *)call;
    for (size_t i = 0; i < list->ret_count; i++) {
        free(list->ret[i].key);
        free(list->ret[i].type);
    }
    free(list->ret);
    list->ret = NULL;
    list->ret_count = 0;
}

static int add(struct object_list *list, size_t *cap, sqlite3_stmt *q) {
    if (list->ret_count == *cap) {
        size_t more = *cap ? *cap * 2 : 32;
        struct object_info *grown = mem_realloc(list->ret, more, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        list->ret = grown;
        *cap = more;
    }
    const void *key = sqlite3_column_blob(q, 0);
    int r = fill_info(&list->ret[list->ret_count], key, (size_t)sqlite3_column_bytes(q, 0), q, 1);
    list->ret_count += r == 0;
    return r;
}

static int list(struct store *s, struct object_list *list) {
    size_t limit = list->limit == 0 || list->limit > LIST_MAX ? LIST_MAX : list->limit, cap = 0;
    int64_t bucket = catalog_lookup(&s->catalog, CONTAINER_BUCKET, list->call.workspace, list->bucket);
    const struct blob *prefix = &list->prefix;
    list->call.release = list_release;
    struct reader *reader cleanup_reader = reader_get(s);
    sqlite3_stmt *q cleanup_reset = db_bind(&reader->db, SQL_OBJECT_LIST, "ibbi", bucket, prefix->data, prefix->len,
                                            list->after.data, list->after.len, (int64_t)limit + 1);
    int r;
    while ((r = db_step(&reader->db, q, &list->call.err)) > 0) {
        const void *key = sqlite3_column_blob(q, 0);
        size_t len = (size_t)sqlite3_column_bytes(q, 0);
        if (len < prefix->len || (prefix->len && memcmp(key, prefix->data, prefix->len) != 0))
            return 0;
        if (list->ret_count == limit) {
            list->ret_more = true;
            return 0;
        }
        if (add(list, &cap, q) < 0)
            return err_set(&list->call.err, -ENOMEM, "no memory for a page of objects");
    }
    return r;
}

void object_list(void *self, struct object_list *call) {
    call->ret = NULL;
    call->ret_count = 0;
    call->ret_more = false;
    call_end(&call->call, list(self, call));
}
