// SPDX-License-Identifier: Apache-2.0
// Keys and values: what the writer thread does.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/kv.h"

static int create_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct kv_namespaces *create = (struct kv_namespaces *)call;
    create->ret_created = false;
    if (catalog_find(&s->catalog, CONTAINER_NAMESPACE, call->workspace, create->name))
        return 0;
    struct container *c;
    int r = catalog_add(&s->catalog, &s->writer.db, CONTAINER_NAMESPACE, call->workspace, create->name, &c, &call->err);
    if (r < 0)
        return r;
    history_forget(s, c->id); // of a creation that was rolled back
    r = history_open(&s->histories, c->id, 0);
    if (r < 0)
        return s->writer.db.failed = err_set(&call->err, r, "no memory for namespace '%s'", create->name);
    create->ret_created = true;
    return 0;
}

static void create(void *self, struct kv_namespaces *call) {
    writer_submit(self, &call->call, create_apply);
}

static int remove_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    const struct kv_namespaces *removal = (struct kv_namespaces *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_NAMESPACE, call->workspace, removal->name);
    if (!c)
        return call_not_found(call, CONTAINER_NAMESPACE, removal->name);
    int64_t id = c->id;
    int r = catalog_remove(&s->catalog, &s->writer.db, c, &call->err);
    if (r == 0) {
        history_forget(s, id);
        s->writer.doomed = true;
    }
    return r;
}

static void remove_namespace(void *self, struct kv_namespaces *call) {
    writer_submit(self, &call->call, remove_apply);
}

// ---- writing ----

struct old { // what stands under a key; version 0: nothing that can be seen
    int64_t version, bytes;
    bool row; // there is one, perhaps expired
};

static int look(struct store *s, int64_t ns, const struct blob *key, struct old *ret, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_KV_HEAD, "ib", ns, key->data, key->len);
    *ret = (struct old){0};
    int r = db_step(&s->writer.db, q, err);
    if (r <= 0)
        return r;
    int64_t expires = db_int(q, 1);
    ret->row = true;
    ret->bytes = (int64_t)key->len + db_int(q, 2);
    ret->version = expires == 0 || expires > s->writer.now_ms ? db_int(q, 0) : 0;
    return 0;
}

static int check_condition(const struct kv_change *change, const struct old *old, struct err *err) {
    if (change->if_version < 0 || change->if_version == old->version)
        return 0;
    if (change->if_version == 0)
        return err_set(err, -ESTALE, "the key is there, in version %lld, and was to be new", (long long)old->version);
    if (old->version == 0)
        return err_set(err, -ESTALE, "the key is not there, and was to have version %lld",
                       (long long)change->if_version);
    return err_set(err, -ESTALE, "the key has version %lld, not %lld", (long long)old->version,
                   (long long)change->if_version);
}

// One change; its condition was found to hold.
static int change_one(struct store *s, struct container *c, struct kv_change *change, const struct old *old,
                      struct err *err) {
    struct db *db = &s->writer.db;
    change->ret_version = change->action == KV_CHECK ? old->version : 0;
    if (change->action == KV_CHECK || (change->action == KV_REMOVE && !old->row))
        return 0;
    bool put = change->action == KV_PUT;
    int64_t version = c->version + 1;
    int64_t bytes = put ? (int64_t)(change->key.len + change->value.len) : 0;
    int64_t expires = put && change->ttl_ms > 0 ? s->writer.now_ms + change->ttl_ms : 0;
    int r;
    if (put) // in its place: a replacement would take the row out of the tree and find room for it again
        r = db_run(db, err, old->row ? SQL_KV_SET : SQL_KV_ADD, "ibiib", c->id, change->key.data, change->key.len,
                   version, expires, change->value.data, change->value.len);
    else
        r = db_run(db, err, SQL_KV_REMOVE, "ib", c->id, change->key.data, change->key.len);
    if (r == 0)
        r = history_note(&s->histories, c->id, version, change->key.data, change->key.len, !put);
    if (r < 0) {
        db->failed = db->failed ? db->failed : r;
        return err_set(err, r, "%s", err->msg[0] ? err->msg : "out of memory");
    }
    c->version = version;
    change->ret_version = put ? version : 0;
    catalog_count(&s->catalog, c, (int64_t)put - (int64_t)old->row, bytes - old->bytes);
    if (expires > 0 && expires < s->writer.next_ms)
        s->writer.next_ms = expires;
    return 0;
}

// A lone change, which is nearly every write: one look and one write.
static int write_one(struct store *s, struct container *c, struct kv_change *change, struct err *err) {
    struct old old;
    int r = look(s, c->id, &change->key, &old, err);
    if (r == 0)
        r = check_condition(change, &old, err);
    if (r == 0 && change->action == KV_PUT)
        r = catalog_room(c, (int64_t)(change->key.len + change->value.len) - old.bytes, err);
    return r < 0 ? r : change_one(s, c, change, &old, err);
}

// Is the change the last one of its key in this call?
static bool is_last(const struct kv_write *w, size_t index) {
    const struct blob *key = &w->changes[index].key;
    for (size_t i = index + 1; i < w->count; i++) {
        const struct kv_change *later = &w->changes[i];
        if (later->action != KV_CHECK && later->key.len == key->len &&
            memcmp(later->key.data, key->data, key->len) == 0)
            return false;
    }
    return true;
}

// By how much the call makes its namespace grow: a key that is changed twice counts with its last change.
static int64_t growth_of(const struct kv_write *w, size_t index, const struct old *old) {
    const struct kv_change *change = &w->changes[index];
    if (change->action == KV_CHECK || !is_last(w, index))
        return 0;
    return (change->action == KV_PUT ? (int64_t)(change->key.len + change->value.len) : 0) - old->bytes;
}

// All conditions are looked at before the first change, so a refusal needs nothing taken back. Conditions speak of what was
// there before the call, even when it changes a key twice.
static int write_many(struct store *s, struct container *c, struct kv_write *w, struct err *err) {
    int64_t growth = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->count; i++) {
        struct old old;
        r = look(s, c->id, &w->changes[i].key, &old, err);
        if (r == 0)
            r = check_condition(&w->changes[i], &old, err);
        growth += growth_of(w, i, &old);
    }
    if (r == 0)
        r = catalog_room(c, growth, err);
    for (size_t i = 0; r == 0 && i < w->count; i++) {
        struct old old; // again: the same key may come twice
        r = look(s, c->id, &w->changes[i].key, &old, err);
        if (r == 0)
            r = change_one(s, c, &w->changes[i], &old, err);
        if (r < 0)
            s->writer.db.failed = s->writer.db.failed ? s->writer.db.failed : r;
    }
    return r;
}

static int write_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct kv_write *w = (struct kv_write *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_NAMESPACE, call->workspace, w->ns);
    if (!c)
        return call_not_found(call, CONTAINER_NAMESPACE, w->ns);
    return w->count == 1 ? write_one(s, c, w->changes, &call->err) : write_many(s, c, w, &call->err);
}

static int check_limits(const struct kv_change *change, struct err *err) {
    if (change->key.len == 0)
        return err_set(err, -EINVAL, "the key is empty");
    if (change->key.len > KV_KEY_MAX)
        return err_set(err, -E2BIG, "the key has %zu bytes, the limit is %d", change->key.len, KV_KEY_MAX);
    if (change->action == KV_PUT && change->value.len > KV_VALUE_MAX)
        return err_set(err, -E2BIG, "the value has %zu bytes, the limit is %d", change->value.len, KV_VALUE_MAX);
    if (change->ttl_ms < 0)
        return err_set(err, -EINVAL, "a time to live cannot be negative");
    return 0;
}

static void write_changes(void *self, struct kv_write *w) {
    for (size_t i = 0; i < w->count; i++) {
        int r = check_limits(&w->changes[i], &w->call.err);
        if (r < 0) {
            call_end(&w->call, r);
            return;
        }
    }
    writer_submit(self, &w->call, write_apply);
}

// ---- expiry ----

static int expire_one(struct store *s, sqlite3_stmt *q, struct err *err) {
    struct container *c = catalog_by_id(&s->catalog, db_int(q, 0));
    const void *key = sqlite3_column_blob(q, 1);
    size_t len = (size_t)sqlite3_column_bytes(q, 1);
    int r = db_run(&s->writer.db, err, SQL_KV_REMOVE, "ib", db_int(q, 0), key, len);
    if (r < 0 || !c) // no namespace: it was removed, and its keys are going
        return r;
    c->version++;
    catalog_count(&s->catalog, c, -1, -(int64_t)len - db_int(q, 3));
    return history_note(&s->histories, c->id, c->version, key, len, true);
}

int kv_expire(struct store *s, struct err *err) {
    struct db *db = &s->writer.db;
    int r;
    {
        sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_KV_EXPIRED, "i", s->writer.now_ms);
        while ((r = db_step(db, q, err)) > 0)
            if ((r = expire_one(s, q, err)) < 0)
                break;
    }
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_KV_NEXT_EXPIRY, "");
    if (r == 0 && (r = db_step(db, q, err)) > 0) {
        int64_t next_ms = sqlite3_column_type(q, 0) == SQLITE_NULL ? TIME_NEVER : db_int(q, 0);
        s->writer.next_ms = next_ms < s->writer.next_ms ? next_ms : s->writer.next_ms;
        r = 0;
    }
    return r;
}

const struct kv_ops sqlite_kv = {create, remove_namespace, kv_describe, kv_get, write_changes, kv_list, kv_watch};
