// SPDX-License-Identifier: Apache-2.0
// Objects: what the writer thread does. A file is on the disk before the row that makes it visible; a file that is no
// longer needed is removed after the row that says so.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/object.h"

struct old {
    bool there;
    int64_t size, file;
    char etag[40];
};

static int look(struct store *s, const struct container *c, const struct blob *key, struct old *ret, struct err *err) {
    *ret = (struct old){0};
    if (!c)
        return 0;
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_OBJECT_HEAD, "ib", c->id, key->data, key->len);
    int r = db_step(&s->writer.db, q, err);
    if (r <= 0)
        return r;
    ret->there = true;
    ret->size = db_int(q, 0);
    ret->file = db_int(q, 4);
    strncpy(ret->etag, (const char *)sqlite3_column_text(q, 2), sizeof ret->etag - 1);
    return 0;
}

static bool is(const char *condition, const struct old *old) {
    return old->there && (strcmp(condition, "*") == 0 || strcmp(condition, old->etag) == 0);
}

static int check_condition(const struct object_condition *condition, const struct old *old, struct err *err) {
    if (condition->if_match && !is(condition->if_match, old))
        return err_set(err, -ESTALE, old->there ? "the object has another ETag: \"%s\"" : "the object is not there%s",
                       old->etag);
    if (condition->if_none_match && is(condition->if_none_match, old))
        return err_set(err, -EEXIST, "the object is there, with the ETag \"%s\"", old->etag);
    return 0;
}

static int discard(struct store *s, const struct old *old, struct err *err) {
    if (old->file == 0)
        return 0;
    s->writer.garbage = true;
    return db_run(&s->writer.db, err, SQL_GARBAGE_ADD, "i", old->file);
}

// ---- put ----

static int put_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct object_put *put = (struct object_put *)call;
    const struct object_upload *u = put->upload;
    struct container *c = catalog_find(&s->catalog, CONTAINER_BUCKET, u->workspace, u->bucket);
    struct old old;
    int r = look(s, c, &u->key, &old, &call->err);
    if (r == 0)
        r = check_condition(&put->condition, &old, &call->err);
    if (r == 0 && !c)
        r = catalog_add(&s->catalog, &s->writer.db, CONTAINER_BUCKET, u->workspace, u->bucket, &c, &call->err);
    if (r == 0)
        r = catalog_room(c, u->size - old.size, &call->err);
    if (r == 0)
        r = db_run(&s->writer.db, &call->err, SQL_OBJECT_PUT, "ibiittib", c->id, u->key.data, u->key.len, u->size,
                   s->writer.now_ms, u->etag, u->type, u->file,
                   u->file   ? ""
                   : u->data ? u->data
                             : "",
                   u->file ? (size_t)0 : (size_t)u->size);
    if (r == 0)
        r = discard(s, &old, &call->err);
    if (r < 0)
        return r;
    put->ret.modified_ms = s->writer.now_ms;
    catalog_count(&s->catalog, c, !old.there, u->size - old.size);
    return 0;
}

static void put_release(struct engine_call *call) {
    struct object_put *put = (struct object_put *)call;
    free(put->ret.key);
    free(put->ret.type);
    put->ret.key = put->ret.type = NULL;
}

static void put_done(struct engine_call *call) {
    struct object_put *put = (struct object_put *)call;
    struct object_upload *u = put->upload;
    put->upload = NULL;
    call->done = u->done;
    if (call->err.code == 0) {
        put->ret.key = (char *)(uintptr_t)u->key.data;
        put->ret.type = u->type;
        put->ret.size = u->size;
        memcpy(put->ret.etag, u->etag, sizeof u->etag);
        u->key.data = NULL;
        u->type = NULL;
        call->release = put_release;
    }
    // Of a failed sync of the log nobody knows the outcome: after a crash the row may be there, and it needs its file. When it
    // is not, the next opening sweeps the file away.
    (void)object_upload_free(u, call->err.code == 0 || atomic_load(&u->store->writer.broken));
    call->done(call);
}

static void sync_run(struct work *work) {
    struct object_upload *u = (struct object_upload *)work;
    struct engine_call *call = &u->put->call;
    int r = object_upload_sync(u, &call->err);
    if (r < 0)
        call_end(call, r);
    else
        writer_submit(u->store, call, put_apply);
}

static void commit(void *self, struct object_put *put) {
    struct object_upload *u = put->upload;
    struct engine_call *call = &put->call;
    put->ret = (struct object_info){0};
    u->put = put;
    u->done = call->done;
    call->done = put_done;
    hash_md5_hex(u->md5, u->etag);
    if (u->wanted >= 0 && u->size != u->wanted) {
        call_end(call, err_set(&call->err, -EINVAL, "%lld bytes came of the %lld that were announced",
                               (long long)u->size, (long long)u->wanted));
    } else if (u->fd < 0) {
        writer_submit(self, call, put_apply);
    } else {
        u->work.run = sync_run;
        if (workq_push(u->store->workers, &u->work) < 0)
            call_end(call, err_set(&call->err, -ESHUTDOWN, "the store is stopping"));
    }
}

// ---- remove ----

static int remove_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    const struct object_remove *removal = (struct object_remove *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_BUCKET, call->workspace, removal->bucket);
    struct old old;
    int r = look(s, c, &removal->key, &old, &call->err);
    if (r == 0)
        r = check_condition(&removal->condition, &old, &call->err);
    if (r < 0 || !old.there)
        return r;
    r = db_run(&s->writer.db, &call->err, SQL_OBJECT_REMOVE, "ib", c->id, removal->key.data, removal->key.len);
    if (r == 0)
        r = discard(s, &old, &call->err);
    if (r == 0)
        catalog_count(&s->catalog, c, -1, -old.size);
    return r;
}

static void remove_object(void *self, struct object_remove *call) {
    writer_submit(self, &call->call, remove_apply);
}

const struct object_ops sqlite_object = {object_upload_new, object_upload_write, object_upload_cancel, commit,
                                         object_get,        object_stat,         remove_object,        object_list};
