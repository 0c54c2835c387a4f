// SPDX-License-Identifier: Apache-2.0
// Watching a namespace: what changed since a version, or wait for it.
//
// The history tells which keys changed; their values are read from the database. When a key has changed again meanwhile, the
// older change is left out: the newer one follows. So nothing is kept twice, and the last change of a key always arrives. What was told is
// `settled` when nothing had to be left out and nothing was behind it: writes of several keys come into the history as a whole.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/kv.h"

#define WATCH_PAGE 256

static void watch_release(struct engine_call *call) {
    struct kv_watch *w = (struct kv_watch *)call;
    for (size_t i = 0; i < w->ret_count; i++) {
        free(w->ret[i].key);
        free(w->ret[i].value);
    }
    free(w->ret);
    w->ret = NULL;
    w->ret_count = 0;
}

static bool matches(const struct kv_watch *w, const struct history_event *event) {
    return event->key_len >= w->prefix.len &&
           (w->prefix.len == 0 || memcmp(event->key, w->prefix.data, w->prefix.len) == 0);
}

// Copies the changes behind `since` that match; *ret_version is the last one looked at. With the lock held.
static int collect(const struct history *one, const struct kv_watch *w, int64_t since, struct history_event *ret,
                   size_t *ret_count, int64_t *ret_version) {
    size_t limit = w->limit == 0 || w->limit > WATCH_PAGE ? WATCH_PAGE : w->limit, count = 0;
    *ret_version = since;
    for (size_t i = 0; i < one->count && count < limit; i++) {
        const struct history_event *event = &one->ring[(one->first + i) % one->cap];
        if (event->version <= since)
            continue;
        *ret_version = event->version;
        if (!matches(w, event))
            continue;
        ret[count] = *event;
        ret[count].key = copy_blob(event->key, event->key_len);
        if (!ret[count].key) {
            while (count > 0)
                free(ret[--count].key);
            return -ENOMEM;
        }
        count++;
    }
    *ret_count = count;
    if (count < limit)
        *ret_version = one->version;
    return 0;
}

// Puts the value beside the change; *ret_keep false: a newer change of the key follows (then *ret_newer is set), or its time is over.
static int fill(struct store *s, struct db *db, int64_t ns, struct kv_event *event, bool removed, bool *ret_keep,
                bool *ret_newer, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_KV_GET, "ib", ns, event->key, event->key_len);
    int r = db_step(db, q, err);
    if (r < 0)
        return r;
    bool there = r > 0 && (db_int(q, 1) == 0 || db_int(q, 1) > store_now_ms(s));
    bool same = r > 0 && db_int(q, 0) == event->version;
    *ret_keep = removed ? r == 0 : there && same;
    *ret_newer = *ret_newer || (removed ? r > 0 : !same);
    if (!*ret_keep || removed)
        return 0;
    const void *value = sqlite3_column_blob(q, 2);
    event->value_len = (size_t)sqlite3_column_bytes(q, 2);
    event->value = copy_blob(value, event->value_len);
    return event->value ? 0 : err_set(err, -ENOMEM, "no memory for a changed value");
}

static int deliver(struct store *s, struct kv_watch *w, int64_t ns, struct history_event *found, size_t count) {
    struct reader *reader cleanup_reader = reader_get(s);
    size_t bytes = 0;
    bool full = false, newer = false;
    int r = 0;
    w->ret = mem_array(count, sizeof *w->ret);
    if (!w->ret)
        r = err_set(&w->call.err, -ENOMEM, "no memory for changes");
    w->call.release = watch_release;
    for (size_t i = 0; i < count; i++) {
        struct kv_event event = {.key = found[i].key, .key_len = found[i].key_len, .version = found[i].version};
        bool keep = false;
        if (r == 0 && !full)
            r = fill(s, &reader->db, ns, &event, found[i].removed, &keep, &newer, &w->call.err);
        bytes += keep ? event.key_len + event.value_len : 0;
        if (r == 0 && keep && w->ret_count > 0 && bytes > PAGE_BYTES_MAX) {
            full = true;
            w->ret_version = found[i - 1].version; // the rest comes with the next call
        }
        if (r == 0 && keep && !full) {
            w->ret[w->ret_count++] = event;
            continue;
        }
        free(event.key);
        free(event.value);
    }
    if (r == 0 && newer) // the database is ahead of the history: by no more than this
        r = kv_version_of(&reader->db, ns, &w->until, &w->call.err);
    w->ret_settled = w->ret_settled && !full && w->ret_version >= w->until;
    return r;
}

static void park(struct store *s, struct history *one, struct kv_watch *w) {
    w->call.next = one->watchers;
    one->watchers = &w->call;
    if (w->wait_until_ns < atomic_load(&s->histories.next_ns)) {
        atomic_store(&s->histories.next_ns, w->wait_until_ns);
        writer_wake(s);
    }
}

// CALL_WAITS: parked; else the result. Versions below w->ret_version were seen.
static int look(struct store *s, struct kv_watch *w) {
    struct histories *h = &s->histories;
    struct history_event found[WATCH_PAGE];
    for (;;) {
        size_t count = 0;
        int64_t ns = catalog_lookup(&s->catalog, CONTAINER_NAMESPACE, w->call.workspace, w->ns);
        (void)pthread_mutex_lock(&h->lock);
        struct history *one = ns ? history_find(h, ns) : NULL;
        w->ret_drained = h->closed;
        if (one && w->ret_version == KV_WATCH_NOW)
            w->ret_version = one->version;
        w->ret_incarnation = ns;
        int r = 0;
        if (!one)
            r = call_not_found(&w->call, CONTAINER_NAMESPACE, w->ns);
        else if (w->incarnation && w->incarnation != ns)
            r = err_set(&w->call.err, -ESTALE, "'%s' was removed and made again: list it again", w->ns);
        else if (w->ret_version < one->floor || w->ret_version > one->version)
            r = err_set(&w->call.err, -ESTALE, "changes since version %lld of '%s' are not kept: list it again",
                        (long long)w->ret_version, w->ns);
        else if (collect(one, w, w->ret_version, found, &count, &w->ret_version) < 0)
            r = err_set(&w->call.err, -ENOMEM, "no memory for changes");
        else if (count == 0 && !h->closed && clock_monotonic(s->clock) < w->wait_until_ns) {
            park(s, one, w);
            r = CALL_WAITS;
        }
        w->ret_settled = r == 0 && w->ret_version == one->version && w->ret_version >= w->until;
        (void)pthread_mutex_unlock(&h->lock);
        if (r != 0 || count == 0)
            return r;
        r = deliver(s, w, ns, found, count);
        if (r < 0 || w->ret_count > 0)
            return r;
        engine_call_release(&w->call);
    }
}

static void woken_run(struct work *work) {
    struct histories *h = (struct histories *)work;
    struct store *s = h->store;
    (void)pthread_mutex_lock(&h->lock);
    struct engine_call *woken = h->woken;
    h->woken = NULL;
    h->woken_queued = false;
    (void)pthread_mutex_unlock(&h->lock);
    for (struct engine_call *next; woken; woken = next) {
        next = woken->next;
        int r = look(s, (struct kv_watch *)woken);
        if (r != CALL_WAITS)
            call_end(woken, r);
    }
}

void kv_watch_wake(struct store *s, struct engine_call *call) {
    struct histories *h = &s->histories;
    call->next = h->woken;
    h->woken = call;
    if (!h->woken_queued) {
        h->work.run = woken_run;
        h->store = s;
        h->woken_queued = workq_push(s->workers, &h->work) == 0;
    }
}

void kv_watch(void *self, struct kv_watch *call) {
    call->ret = NULL;
    call->ret_count = 0;
    call->ret_version = call->since;
    int r = look(self, call);
    if (r != CALL_WAITS)
        call_end(&call->call, r);
}
