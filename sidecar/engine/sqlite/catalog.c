// SPDX-License-Identifier: Apache-2.0
#include "sidecar/engine/sqlite/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define KEY_SIZE (2 * ENGINE_NAME_MAX + 8)

static void key_of(char ret[static KEY_SIZE], enum container_kind kind, const char *workspace, const char *name) {
    (void)snprintf(ret, KEY_SIZE, "%d/%s/%s", (int)kind, workspace, name);
}

static void id_key(char ret[static 24], int64_t id) {
    (void)snprintf(ret, 24, "%lld", (long long)id);
}

const char *container_kind_name(enum container_kind kind) {
    return kind == CONTAINER_NAMESPACE ? "namespace" : kind == CONTAINER_QUEUE ? "queue" : "bucket";
}

static void container_free(struct container *c) {
    if (c) {
        free(c->name);
        free((char *)(uintptr_t)c->settings.dead_letter);
    }
    free(c);
}

static void clear(struct catalog *catalog) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&catalog->containers, &i));)
        container_free(slot->value);
    for (size_t i = 0; (slot = strmap_next(&catalog->workspaces, &i));) {
        struct workspace *w = slot->value;
        free(w->name);
        free(w);
    }
    strmap_done(&catalog->containers);
    strmap_done(&catalog->workspaces);
    strmap_done(&catalog->by_id);
    catalog->containers = catalog->workspaces = catalog->by_id = (struct strmap){0};
    catalog->dirty_containers = NULL;
    catalog->dirty_workspaces = NULL;
}

void catalog_done(struct catalog *catalog) {
    clear(catalog);
    (void)pthread_rwlock_destroy(&catalog->lock);
}

static int keep_workspace(struct catalog *catalog, const struct workspace *from, const char *name,
                          struct workspace **ret) {
    struct workspace *w = mem_alloc(sizeof *w);
    char *copy = mem_strdup(name);
    if (w && copy) {
        *w = *from;
        w->name = copy;
        if (strmap_put(&catalog->workspaces, name, w) == 0) {
            *ret = w;
            return 0;
        }
    }
    free(w);
    free(copy);
    return -ENOMEM;
}

static int keep_container(struct catalog *catalog, const struct container *from, const char *name,
                          const char *dead_letter, struct container **ret) {
    struct container *c = mem_alloc(sizeof *c);
    char key[KEY_SIZE], id[24];
    if (!c)
        return -ENOMEM;
    *c = *from;
    c->name = mem_strdup(name);
    c->settings.dead_letter = mem_strdup(dead_letter);
    key_of(key, c->kind, c->workspace->name, name);
    id_key(id, c->id);
    if (c->name && c->settings.dead_letter && strmap_put(&catalog->by_id, id, c) == 0) {
        if (strmap_put(&catalog->containers, key, c) == 0) {
            *ret = c;
            return 0;
        }
        (void)strmap_remove(&catalog->by_id, id);
    }
    container_free(c);
    return -ENOMEM;
}

static int load_workspaces(struct catalog *catalog, struct db *db, struct strmap *by_id, struct err *err) {
    sqlite3_stmt *s cleanup_reset = db_bind(db, SQL_WORKSPACES, "");
    int r;
    while ((r = db_step(db, s, err)) > 0) {
        struct workspace w = {
            .id = db_int(s, 0),
            .quota = {db_int(s, 2), db_int(s, 3), db_int(s, 4)},
            .usage = {db_int(s, 5), db_int(s, 6), db_int(s, 7), db_int(s, 8), db_int(s, 9), db_int(s, 10)},
        };
        char id[24];
        id_key(id, w.id);
        struct workspace *kept;
        r = keep_workspace(catalog, &w, (const char *)sqlite3_column_text(s, 1), &kept);
        if (r == 0)
            r = strmap_put(by_id, id, kept);
        if (r < 0)
            return r;
    }
    return r;
}

static int load_containers(struct catalog *catalog, struct db *db, struct strmap *workspaces, struct err *err) {
    sqlite3_stmt *s cleanup_reset = db_bind(db, SQL_CONTAINERS, "");
    int r;
    while ((r = db_step(db, s, err)) > 0) {
        char id[24];
        id_key(id, db_int(s, 1));
        struct container c = {.id = db_int(s, 0),
                              .workspace = strmap_get(workspaces, id),
                              .kind = (enum container_kind)db_int(s, 2),
                              .items = db_int(s, 4),
                              .bytes = db_int(s, 5),
                              .version = db_int(s, 6),
                              .settings = {.dedup_ms = db_int(s, 7),
                                           .visibility_ms = db_int(s, 8),
                                           .delay_ms = db_int(s, 9),
                                           .retention_ms = db_int(s, 10),
                                           .max_receives = (int32_t)db_int(s, 11)},
                              .leased = db_int(s, 13),
                              .delayed = db_int(s, 14)};
        if (!c.workspace)
            return err_set(err, -EIO, "the store is damaged: '%s' belongs to no workspace; restore the newest backup",
                           (const char *)sqlite3_column_text(s, 3));
        struct container *kept;
        r = keep_container(catalog, &c, (const char *)sqlite3_column_text(s, 3),
                           (const char *)sqlite3_column_text(s, 12), &kept);
        if (r < 0)
            return r;
    }
    return r;
}

int catalog_load(struct catalog *catalog, struct db *db, struct err *err) {
    (void)pthread_rwlock_wrlock(&catalog->lock);
    clear(catalog);
    struct strmap by_id = {0};
    int r = load_workspaces(catalog, db, &by_id, err);
    if (r == 0)
        r = load_containers(catalog, db, &by_id, err);
    strmap_done(&by_id);
    (void)pthread_rwlock_unlock(&catalog->lock);
    return r == -ENOMEM ? err_set(err, r, "no memory for the names of the store") : r;
}

struct container *catalog_find(struct catalog *catalog, enum container_kind kind, const char *workspace,
                               const char *name) {
    char key[KEY_SIZE];
    key_of(key, kind, workspace, name);
    return strmap_get(&catalog->containers, key);
}

struct container *catalog_by_id(struct catalog *catalog, int64_t id) {
    char key[24];
    id_key(key, id);
    return strmap_get(&catalog->by_id, key);
}

int64_t catalog_lookup(struct catalog *catalog, enum container_kind kind, const char *workspace, const char *name) {
    (void)pthread_rwlock_rdlock(&catalog->lock);
    const struct container *c = catalog_find(catalog, kind, workspace, name);
    int64_t id = c ? c->id : 0;
    (void)pthread_rwlock_unlock(&catalog->lock);
    return id;
}

void catalog_set_quota(struct catalog *catalog, struct workspace *w, const struct quota *quota) {
    (void)pthread_rwlock_wrlock(&catalog->lock);
    w->quota = *quota;
    (void)pthread_rwlock_unlock(&catalog->lock);
    catalog_touch_workspace(catalog, w);
}

int64_t catalog_quota(struct catalog *catalog, const char *workspace) {
    (void)pthread_rwlock_rdlock(&catalog->lock);
    const struct workspace *w = strmap_get(&catalog->workspaces, workspace);
    int64_t bytes = w ? w->quota.bytes : 0;
    (void)pthread_rwlock_unlock(&catalog->lock);
    return bytes;
}

int catalog_workspace(struct catalog *catalog, struct db *db, const char *name, struct workspace **ret,
                      struct err *err) {
    *ret = strmap_get(&catalog->workspaces, name);
    if (*ret)
        return 0;
    if (strlen(name) == 0 || strlen(name) > ENGINE_NAME_MAX)
        return err_set(err, -EINVAL, "the name of a workspace has 1 to %d bytes", ENGINE_NAME_MAX);
    int r = db_run(db, err, SQL_WORKSPACE_ADD, "t", name);
    if (r < 0)
        return r;
    (void)pthread_rwlock_wrlock(&catalog->lock);
    r = keep_workspace(catalog, &(struct workspace){.id = sqlite3_last_insert_rowid(db->handle)}, name, ret);
    (void)pthread_rwlock_unlock(&catalog->lock);
    if (r < 0)
        db->failed = r;
    return r < 0 ? err_set(err, r, "no memory for workspace '%s'", name) : 0;
}

static int allowed(const struct workspace *w, enum container_kind kind, struct err *err) {
    int64_t used = kind == CONTAINER_NAMESPACE ? w->usage.namespaces : w->usage.queues;
    int64_t limit = kind == CONTAINER_NAMESPACE ? w->quota.namespaces : kind == CONTAINER_QUEUE ? w->quota.queues : 0;
    if (limit > 0 && used >= limit)
        return err_set(err, -EDQUOT, "workspace '%s' has %lld of at most %lld %ss", w->name, (long long)used,
                       (long long)limit, container_kind_name(kind));
    return 0;
}

int catalog_add(struct catalog *catalog, struct db *db, enum container_kind kind, const char *workspace,
                const char *name, struct container **ret, struct err *err) {
    struct workspace *w = NULL;
    if (strlen(name) == 0 || strlen(name) > ENGINE_NAME_MAX)
        return err_set(err, -EINVAL, "the name of a %s has 1 to %d bytes", container_kind_name(kind), ENGINE_NAME_MAX);
    int r = catalog_workspace(catalog, db, workspace, &w, err);
    if (r == 0)
        r = allowed(w, kind, err);
    if (r == 0)
        r = db_run(db, err, SQL_CONTAINER_ADD, "iit", w->id, (int64_t)kind, name);
    if (r < 0)
        return r;
    struct container c = {
        .id = sqlite3_last_insert_rowid(db->handle), .workspace = w, .kind = kind, .next_ms = TIME_NEVER};
    (void)pthread_rwlock_wrlock(&catalog->lock);
    r = keep_container(catalog, &c, name, "", ret);
    (void)pthread_rwlock_unlock(&catalog->lock);
    if (r < 0) {
        db->failed = r;
        return err_set(err, r, "no memory for %s '%s'", container_kind_name(kind), name);
    }
    w->usage.namespaces += kind == CONTAINER_NAMESPACE;
    w->usage.queues += kind == CONTAINER_QUEUE;
    catalog_touch_workspace(catalog, w);
    return 0;
}

static void undirty(struct catalog *catalog, const struct container *c) {
    for (struct container **p = &catalog->dirty_containers; *p; p = &(*p)->next_dirty)
        if (*p == c) {
            *p = c->next_dirty;
            return;
        }
}

int catalog_remove(struct catalog *catalog, struct db *db, struct container *c, struct err *err) {
    int r = db_run(db, err, SQL_CONTAINER_REMOVE, "i", c->id);
    if (r == 0)
        r = db_run(db, err, SQL_DOOMED_ADD, "ii", c->id, (int64_t)c->kind);
    if (r < 0)
        return r;
    catalog_count(catalog, c, -c->items, -c->bytes);
    c->workspace->usage.namespaces -= c->kind == CONTAINER_NAMESPACE;
    c->workspace->usage.queues -= c->kind == CONTAINER_QUEUE;
    undirty(catalog, c);
    char key[KEY_SIZE], id[24];
    key_of(key, c->kind, c->workspace->name, c->name);
    id_key(id, c->id);
    (void)pthread_rwlock_wrlock(&catalog->lock);
    (void)strmap_remove(&catalog->containers, key);
    (void)strmap_remove(&catalog->by_id, id);
    (void)pthread_rwlock_unlock(&catalog->lock);
    container_free(c);
    return 0;
}

void catalog_touch(struct catalog *catalog, struct container *c) {
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = catalog->dirty_containers;
    catalog->dirty_containers = c;
}

void catalog_touch_workspace(struct catalog *catalog, struct workspace *w) {
    if (w->dirty)
        return;
    w->dirty = true;
    w->next_dirty = catalog->dirty_workspaces;
    catalog->dirty_workspaces = w;
}

void catalog_count(struct catalog *catalog, struct container *c, int64_t items, int64_t bytes) {
    struct workspace_usage *u = &c->workspace->usage;
    c->items += items;
    c->bytes += bytes;
    if (c->kind == CONTAINER_BUCKET)
        u->objects += items;
    *(c->kind == CONTAINER_NAMESPACE ? &u->kv_bytes
      : c->kind == CONTAINER_QUEUE   ? &u->queue_bytes
                                     : &u->object_bytes) += bytes;
    catalog_touch(catalog, c);
    catalog_touch_workspace(catalog, c->workspace);
}

int catalog_room(const struct container *c, int64_t bytes, struct err *err) {
    const struct workspace *w = c->workspace;
    int64_t used = w->usage.kv_bytes + w->usage.queue_bytes + w->usage.object_bytes;
    if (w->quota.bytes == 0 || bytes <= 0 || used + bytes <= w->quota.bytes)
        return 0;
    return err_set(err, -EDQUOT, "workspace '%s' uses %lld of at most %lld bytes; %lld more do not fit", w->name,
                   (long long)used, (long long)w->quota.bytes, (long long)bytes);
}

int catalog_save(struct catalog *catalog, struct db *db, struct err *err) {
    int r = 0;
    for (struct container *c; r == 0 && (c = catalog->dirty_containers); catalog->dirty_containers = c->next_dirty) {
        c->dirty = false;
        r = db_run(db, err, SQL_CONTAINER_SAVE, "iiiiii", c->id, c->items, c->bytes, c->version, c->leased, c->delayed);
    }
    for (struct workspace *w; r == 0 && (w = catalog->dirty_workspaces); catalog->dirty_workspaces = w->next_dirty) {
        w->dirty = false;
        r = db_run(db, err, SQL_WORKSPACE_SAVE, "iiiiiiiiii", w->id, w->quota.namespaces, w->quota.queues,
                   w->quota.bytes, w->usage.namespaces, w->usage.queues, w->usage.kv_bytes, w->usage.queue_bytes,
                   w->usage.object_bytes, w->usage.objects);
    }
    return r;
}
