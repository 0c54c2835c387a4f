// SPDX-License-Identifier: Apache-2.0
// Keys and values: reads, on the caller's thread.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/kv.h"

static void get_release(struct engine_call *call) {
    struct kv_get *get = (struct kv_get *)call;
    free(get->ret_data);
    get->ret_data = NULL;
}

static int get(struct store *s, struct kv_get *get) {
    struct err *err = &get->call.err;
    int64_t ns = catalog_lookup(&s->catalog, CONTAINER_NAMESPACE, get->call.workspace, get->ns);
    if (ns == 0)
        return call_not_found(&get->call, CONTAINER_NAMESPACE, get->ns);
    struct reader *reader cleanup_reader = reader_get(s);
    sqlite3_stmt *q cleanup_reset = db_bind(&reader->db, SQL_KV_GET, "ib", ns, get->key.data, get->key.len);
    int r = db_step(&reader->db, q, err);
    if (r < 0)
        return r;
    int64_t expires = r > 0 ? db_int(q, 1) : 0;
    if (r == 0 || (expires > 0 && expires <= store_now_ms(s)))
        return err_set(err, -ENOENT, "no such key in namespace '%s'", get->ns);
    get->ret_version = db_int(q, 0);
    get->ret_expires_ms = expires;
    const void *value = sqlite3_column_blob(q, 2);
    get->ret_len = (size_t)sqlite3_column_bytes(q, 2);
    get->ret_data = copy_blob(value, get->ret_len);
    if (!get->ret_data)
        return err_set(err, -ENOMEM, "no memory for a value of %zu bytes", get->ret_len);
    get->call.release = get_release;
    return 0;
}

void kv_get(void *self, struct kv_get *call) {
    call_end(&call->call, get(self, call));
}

// ---- list ----

static void list_release(struct engine_call *call) {
    struct kv_list *list = (struct kv_list *)call;
    for (size_t i = 0; i < list->ret_count; i++) {
        free(list->ret[i].key);
        free(list->ret[i].value);
    }
    free(list->ret);
    list->ret = NULL;
    list->ret_count = 0;
}

static int add_entry(struct kv_list *list, size_t *cap, sqlite3_stmt *q) {
    if (list->ret_count == *cap) {
        size_t more = *cap ? *cap * 2 : 32;
        struct kv_entry *grown = mem_realloc(list->ret, more, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        list->ret = grown;
        *cap = more;
    }
    struct kv_entry *entry = &list->ret[list->ret_count];
    *entry = (struct kv_entry){0};
    const void *key = sqlite3_column_blob(q, 0);
    entry->key_len = (size_t)sqlite3_column_bytes(q, 0);
    entry->key = copy_blob(key, entry->key_len);
    if (!entry->key)
        return -ENOMEM;
    entry->version = db_int(q, 1);
    entry->expires_ms = db_int(q, 2);
    entry->bytes = db_int(q, 3);
    list->ret_count++;
    if (!list->values)
        return 0;
    const void *value = sqlite3_column_blob(q, 4);
    entry->value_len = (size_t)sqlite3_column_bytes(q, 4);
    entry->value = copy_blob(value, entry->value_len);
    return entry->value ? 0 : -ENOMEM;
}

int kv_version_of(struct db *db, int64_t ns, int64_t *ret, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_CONTAINER_VERSION, "i", ns);
    int r = db_step(db, q, err);
    *ret = r > 0 ? db_int(q, 0) : 0; // none: it is being removed, and the watch will say so
    return r < 0 ? r : 0;
}

static int list_page(struct store *s, struct db *db, int64_t ns, struct kv_list *list) {
    struct err *err = &list->call.err;
    size_t limit = list->limit == 0 || list->limit > LIST_MAX ? LIST_MAX : list->limit, cap = 0;
    const struct blob *prefix = &list->prefix;
    sqlite3_stmt *q cleanup_reset =
        db_bind(db, list->values ? SQL_KV_LIST_VALUES : SQL_KV_LIST, "ibbii", ns, prefix->data, prefix->len,
                list->after.data, list->after.len, store_now_ms(s), (int64_t)limit + 1);
    size_t bytes = 0;
    int r;
    while ((r = db_step(db, q, err)) > 0) {
        const void *key = sqlite3_column_blob(q, 0);
        size_t len = (size_t)sqlite3_column_bytes(q, 0);
        if (len < prefix->len || (prefix->len && memcmp(key, prefix->data, prefix->len) != 0))
            return 0; // behind the last key with the prefix
        bytes += list->values ? (size_t)db_int(q, 3) : len;
        if (list->ret_count == limit || (list->ret_count > 0 && bytes > PAGE_BYTES_MAX)) {
            list->ret_more = true;
            return 0;
        }
        if (add_entry(list, &cap, q) < 0)
            return err_set(err, -ENOMEM, "no memory for a page of keys");
    }
    return r;
}

static int list(struct store *s, struct kv_list *list) {
    struct err *err = &list->call.err;
    int64_t ns = catalog_lookup(&s->catalog, CONTAINER_NAMESPACE, list->call.workspace, list->ns);
    if (ns == 0)
        return call_not_found(&list->call, CONTAINER_NAMESPACE, list->ns);
    list->call.release = list_release;
    list->ret_incarnation = ns;
    struct reader *reader cleanup_reader = reader_get(s);
    int r = list->values ? kv_version_of(&reader->db, ns, &list->ret_since, err) : 0;
    if (r == 0)
        r = list_page(s, &reader->db, ns, list);
    if (r == 0 && list->values)
        r = kv_version_of(&reader->db, ns, &list->ret_until, err);
    return r;
}

void kv_list(void *self, struct kv_list *call) {
    call->ret = NULL;
    call->ret_count = 0;
    call->ret_more = false;
    call_end(&call->call, list(self, call));
}

// ---- namespaces ----

static void describe_release(struct engine_call *call) {
    struct kv_namespaces *d = (struct kv_namespaces *)call;
    for (size_t i = 0; i < d->ret_count; i++)
        free(d->ret[i].name);
    free(d->ret);
    d->ret = NULL;
    d->ret_count = 0;
}

// Keys that have expired but are not yet removed are not counted.
static int without_expired(struct db *db, int64_t id, int64_t now_ms, struct kv_namespace *ns, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_KV_EXPIRED_SUM, "ii", now_ms, id);
    int r = db_step(db, q, err);
    if (r < 0)
        return r;
    ns->keys -= db_int(q, 0);
    ns->bytes -= db_int(q, 1);
    return 0;
}

static int describe(struct store *s, struct kv_namespaces *d) {
    struct err *err = &d->call.err;
    struct reader *reader cleanup_reader = reader_get(s);
    d->call.release = describe_release;
    sqlite3_stmt *q cleanup_reset =
        db_bind(&reader->db, SQL_CONTAINER_LIST, "tit", d->call.workspace, (int64_t)CONTAINER_NAMESPACE, d->name);
    int r;
    while ((r = db_step(&reader->db, q, err)) > 0) {
        struct kv_namespace *grown = mem_realloc(d->ret, d->ret_count + 1, sizeof *grown);
        if (!grown)
            return err_set(err, -ENOMEM, "no memory for the namespaces");
        d->ret = grown;
        struct kv_namespace *ns = &d->ret[d->ret_count];
        *ns = (struct kv_namespace){.keys = db_int(q, 2), .bytes = db_int(q, 3), .version = db_int(q, 4)};
        ns->name = mem_strdup((const char *)sqlite3_column_text(q, 1));
        if (!ns->name)
            return err_set(err, -ENOMEM, "no memory for the namespaces");
        d->ret_count++;
        r = without_expired(&reader->db, db_int(q, 0), store_now_ms(s), ns, err);
        if (r < 0)
            return r;
    }
    if (r == 0 && d->name && d->ret_count == 0)
        return call_not_found(&d->call, CONTAINER_NAMESPACE, d->name);
    return r;
}

void kv_describe(void *self, struct kv_namespaces *call) {
    call->ret = NULL;
    call->ret_count = 0;
    call_end(&call->call, describe(self, call));
}
