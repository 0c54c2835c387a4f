// SPDX-License-Identifier: Apache-2.0
// Workspaces and what they hold (namespaces, queues, buckets) in memory, with exact counters.
//
// Why:     a write needs no query to find its queue, to check a quota or to count; changed rows are saved once a commit.
// Threads: changed by the writer only; the writer reads without the lock, others look ids up under it.
#pragma once

#include <pthread.h>

#include "lib/base/strmap.h"
#include "sidecar/engine/engine.h"
#include "sidecar/engine/sqlite/db.h"

enum container_kind { CONTAINER_NAMESPACE = 1, CONTAINER_QUEUE, CONTAINER_BUCKET };
#define TIME_NEVER INT64_MAX

struct workspace {
    int64_t id;
    char *name;
    struct quota quota;
    struct workspace_usage usage;
    bool dirty;
    struct workspace *next_dirty;
};

struct container {
    int64_t id;
    struct workspace *workspace;
    enum container_kind kind;
    char *name;
    int64_t items, bytes; // keys, messages or objects, and what they weigh: keys and values, bodies, objects
    int64_t version;      // of a namespace; of a queue: the last id
    int64_t leased, delayed;
    struct queue_settings settings; // dead_letter: an allocated text, never NULL
    int64_t next_ms;                // queue: when to look at hidden and old messages again, or earlier
    struct engine_call *waiters;    // queue: receives that wait, the oldest first
    bool dirty;
    struct container *next_dirty;
};

struct catalog {
    pthread_rwlock_t lock;
    struct strmap workspaces, containers, by_id;
    struct workspace *dirty_workspaces;
    struct container *dirty_containers;
};

int catalog_load(struct catalog *catalog, struct db *db, struct err *err) must_check; // forgets what was there
void catalog_done(struct catalog *catalog);

// The writer's. NULL when absent.
struct container *catalog_find(struct catalog *catalog, enum container_kind kind, const char *workspace,
                               const char *name);
struct container *catalog_by_id(struct catalog *catalog, int64_t id);
// Makes the workspace when it is not there.
int catalog_workspace(struct catalog *catalog, struct db *db, const char *name, struct workspace **ret,
                      struct err *err) must_check;
// -EDQUOT over the workspace's limit of namespaces or queues.
int catalog_add(struct catalog *catalog, struct db *db, enum container_kind kind, const char *workspace,
                const char *name, struct container **ret, struct err *err) must_check;
// Frees it; its rows go to the doomed.
int catalog_remove(struct catalog *catalog, struct db *db, struct container *c, struct err *err) must_check;
// Counts `items` and `bytes` more or less.
void catalog_count(struct catalog *catalog, struct container *c, int64_t items, int64_t bytes);
void catalog_touch(struct catalog *catalog, struct container *c);
void catalog_touch_workspace(struct catalog *catalog, struct workspace *w);
// -EDQUOT when `bytes` more would be over the workspace's limit.
int catalog_room(const struct container *c, int64_t bytes, struct err *err) must_check;
// Writes what changed since the last call.
int catalog_save(struct catalog *catalog, struct db *db, struct err *err) must_check;

void catalog_set_quota(struct catalog *catalog, struct workspace *w, const struct quota *quota);

// Any thread: the quota of bytes; 0: none.
int64_t catalog_quota(struct catalog *catalog, const char *workspace);
// Any thread: the id, or 0 when absent.
int64_t catalog_lookup(struct catalog *catalog, enum container_kind kind, const char *workspace, const char *name);
const char *container_kind_name(enum container_kind kind);
