// SPDX-License-Identifier: Apache-2.0
// The writer thread: takes what was submitted, carries it out in one transaction, commits, and tells everybody.
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "sidecar/engine/sqlite/store.h"

#define BATCH_MAX 512
#define WRITER_CACHE_KIB (32 * 1024) // of a busy store; an idle one gives its memory back
#define IDLE_MS 2000
#define RESUME_MS 1000 // after a failure (a full disk), before the writer tries its own work again

struct batch {
    struct engine_call *calls[BATCH_MAX];
    int results[BATCH_MAX];
    size_t count;
};

void writer_wake(struct store *s) {
    struct writer *w = &s->writer;
    (void)pthread_mutex_lock(&w->lock); // not between the writer's look for work and its sleep
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_cond_signal(&w->wake); // without the lock, which the writer would wake up only to wait for
}

void writer_submit(struct store *s, struct engine_call *call, int (*apply)(void *self, struct engine_call *call)) {
    struct writer *w = &s->writer;
    call->apply = apply;
    if (atomic_load_explicit(&w->stopping, memory_order_relaxed)) {
        call_end(call, err_set(&call->err, -ESHUTDOWN, "the store is stopping"));
        return;
    }
    struct engine_call *head = atomic_load_explicit(&w->submitted, memory_order_relaxed);
    do {
        call->next = head;
    } while (!atomic_compare_exchange_weak(&w->submitted, &head, call));
    if (!head) // else whoever came first has woken the writer, and it takes all
        writer_wake(s);
}

// ---- one transaction ----

static void collect_waiting(struct store *s, struct engine_call **list) {
    const struct strmap_slot *slot;
    struct engine_call **tail = list;
    while (*tail)
        tail = &(*tail)->next;
    for (size_t i = 0; (slot = strmap_next(&s->catalog.containers, &i));) {
        struct container *c = slot->value;
        *tail = c->waiters;
        c->waiters = NULL;
        while (*tail)
            tail = &(*tail)->next;
    }
}

static bool in_batch(const struct batch *b, const struct engine_call *call) {
    for (size_t i = 0; i < b->count; i++)
        if (b->calls[i] == call)
            return true;
    return false;
}

// The catalog, and a history for every namespace (of a removal that was taken back, too).
static int read_names(struct store *s, struct err *err) {
    int r = catalog_load(&s->catalog, &s->writer.db, err);
    const struct strmap_slot *slot;
    for (size_t i = 0; r == 0 && (slot = strmap_next(&s->catalog.containers, &i));) {
        const struct container *c = slot->value;
        if (c->kind == CONTAINER_NAMESPACE && (r = history_open(&s->histories, c->id, c->version)) < 0)
            return err_set(err, r, "no memory for the namespaces");
    }
    return r;
}

// Takes back everything: the transaction, the catalog, who was answered. Receives that waited before wait again.
static void roll_back(struct store *s, const struct batch *b) {
    struct writer *w = &s->writer;
    struct err err = ERR_NONE;
    struct engine_call *waiting = w->served;
    w->served = NULL;
    collect_waiting(s, &waiting);
    if (!sqlite3_get_autocommit(w->db.handle))
        (void)db_run(&w->db, NULL, SQL_ROLLBACK, "");
    w->db.failed = 0;
    history_drop(s);
    if (read_names(s, &err) < 0) {
        log_error("the store cannot read its names back and refuses writes", LOG_S("error", err_text(&err)));
        atomic_store(&w->broken, true);
    }
    w->next_ms = 0; // look at everything that has a time
    for (struct engine_call *next; waiting; waiting = next) {
        next = waiting->next;
        engine_call_release(waiting);
        if (in_batch(b, waiting))
            continue; // is applied again, or told
        struct queue_receive *receive = (struct queue_receive *)waiting;
        receive->ret = NULL;
        receive->ret_count = 0;
        struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, waiting->workspace, receive->queue);
        if (c)
            queue_park(s, c, waiting);
        else
            call_end(waiting, call_not_found(waiting, CONTAINER_QUEUE, receive->queue));
    }
}

static int tick(struct store *s, struct err *err) {
    struct writer *w = &s->writer;
    int r = 0;
    if (w->now_ms >= w->next_ms) {
        w->next_ms = TIME_NEVER;
        r = kv_expire(s, err);
        if (r == 0)
            r = queue_tick(s, err);
    }
    if (r == 0 && w->now_ms >= w->next_sweep_ms)
        r = dedup_sweep(s, err);
    if (r == 0 && w->doomed && w->now_ms >= w->resume_ms)
        r = doomed_step(s, err);
    return r;
}

// Gives the error of the transaction; *ret_bad is the call that caused it, if one did.
static int carry_out(struct store *s, struct batch *b, size_t *ret_bad, struct err *err) {
    struct writer *w = &s->writer;
    int64_t now_ns = clock_monotonic(s->clock);
    *ret_bad = SIZE_MAX;
    w->now_ms = store_now_ms(s);
    int r = db_run(&w->db, err, SQL_BEGIN, "");
    if (r == 0)
        r = tick(s, err);
    for (size_t i = 0; r == 0 && i < b->count; i++) {
        struct engine_call *call = b->calls[i];
        call->err = ERR_NONE;
        if (call->deadline_ns > 0 && call->deadline_ns < now_ns)
            b->results[i] =
                err_set(&call->err, -ETIMEDOUT, "the store was too busy to begin in time; nothing was changed");
        else
            b->results[i] = call->apply(s, call);
        if (w->db.failed) {
            *ret_bad = i;
            *err = call->err;
            return w->db.failed;
        }
    }
    if (r == 0)
        r = catalog_save(&s->catalog, &w->db, err);
    return r < 0 ? r : db_run(&w->db, err, SQL_COMMIT, "");
}

static void tell(struct store *s, struct batch *b) {
    struct engine_call *served = s->writer.served;
    s->writer.served = NULL;
    for (size_t i = 0; i < b->count; i++)
        if (b->results[i] != CALL_WAITS)
            call_end(b->calls[i], b->results[i]);
    for (struct engine_call *next; served; served = next) {
        next = served->next;
        call_end(served, served->err.code);
    }
}

static void fail(struct store *s, struct batch *b, int code, const struct err *err) {
    if (code == -EIO) {
        log_error("the store refuses further writes", LOG_S("error", err_text(err)));
        atomic_store(&s->writer.broken, true);
    }
    for (size_t i = 0; i < b->count; i++) {
        engine_call_release(b->calls[i]);
        b->calls[i]->err = *err;
        call_end(b->calls[i], code);
    }
}

static void run_batch(struct store *s, struct batch *b) {
    struct writer *w = &s->writer;
    for (;;) {
        struct err err = ERR_NONE;
        size_t bad;
        int r = carry_out(s, b, &bad, &err);
        if (r == 0)
            break;
        roll_back(s, b);
        if (bad == SIZE_MAX || r == -EIO || r == -ENOSPC) {
            fail(s, b, r, &err);
            w->next_ms = w->next_sweep_ms = w->resume_ms = w->now_ms + RESUME_MS;
            return;
        }
        // Only this call could not be done (memory, most likely): its neighbours go on without it.
        struct engine_call *call = b->calls[bad];
        b->calls[bad] = b->calls[--b->count];
        engine_call_release(call);
        call_end(call, r);
    }
    history_commit(s);
    tell(s, b);
    checkpoint_after_commit(s);
    if (w->garbage)
        object_garbage(s);
}

// ---- the thread ----

static size_t take(struct writer *w, struct engine_call **backlog, struct batch *b) {
    if (!*backlog) {
        struct engine_call *newest = atomic_exchange(&w->submitted, NULL);
        while (newest) { // oldest first
            struct engine_call *next = newest->next;
            newest->next = *backlog;
            *backlog = newest;
            newest = next;
        }
    }
    b->count = 0;
    for (; *backlog && b->count < BATCH_MAX; *backlog = (*backlog)->next)
        b->calls[b->count++] = *backlog;
    return b->count;
}

// How long the writer may sleep, in ns; the wall clock may be set, so times by it are looked at every second.
static int64_t sleep_ns(struct store *s) {
    struct writer *w = &s->writer;
    int64_t until = w->next_ns < atomic_load(&s->histories.next_ns) ? w->next_ns : atomic_load(&s->histories.next_ns);
    int64_t ns = until == TIME_NEVER ? TIME_NEVER : until - clock_monotonic(s->clock);
    int64_t due = w->next_ms < w->next_sweep_ms ? w->next_ms : w->next_sweep_ms;
    if (w->doomed && !atomic_load(&w->broken) && w->resume_ms < due)
        due = w->resume_ms;
    if (due != TIME_NEVER) {
        int64_t ms = due - store_now_ms(s);
        ms = ms < 0 ? 0 : ms > 1000 ? 1000 : ms + 1;
        ns = ms * NS_PER_MS < ns ? ms * NS_PER_MS : ns;
    }
    return ns;
}

static bool has_work(struct store *s) {
    struct writer *w = &s->writer;
    return atomic_load(&w->submitted) || atomic_load(&w->stopping) || atomic_load(&w->poked) ||
           atomic_load(&s->checkpointer.finish);
}

// Gives false when nothing happened for so long that memory should be given back.
static bool rest(struct store *s, bool busy) {
    struct writer *w = &s->writer;
    LOCK_SCOPE(&w->lock);
    int64_t ns = sleep_ns(s), idle = IDLE_MS * NS_PER_MS;
    if (has_work(s) || ns <= 0)
        return true;
    if (ns == TIME_NEVER && !busy) {
        (void)pthread_cond_wait(&w->wake, &w->lock);
        return true;
    }
    if (busy && idle < ns)
        ns = idle;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ns % NS_PER_S);
    until.tv_sec += ns / NS_PER_S + until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    return pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT || ns < idle;
}

static void refuse(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        struct engine_call *call = b->calls[i];
        call_end(call,
                 err_set(&call->err, -EIO, "the store had an error and refuses writes: see its log, then restart it"));
    }
}

static void once(struct store *s, struct engine_call **backlog, struct batch *b, bool *busy) {
    struct writer *w = &s->writer;
    if (atomic_exchange(&w->poked, false)) {
        w->next_ms = w->next_sweep_ms = w->resume_ms = 0;
        w->next_ns = 0;
        atomic_store(&s->histories.next_ns, 0);
    }
    int64_t now_ns = clock_monotonic(s->clock);
    bool draining = atomic_load(&w->draining);
    if (now_ns >= w->next_ns || draining)
        queue_waits_over(s, draining);
    if (now_ns >= atomic_load(&s->histories.next_ns))
        (void)history_overdue(s, now_ns, false);
    int64_t now_ms = store_now_ms(s);
    bool broken = atomic_load(&w->broken);
    bool due = now_ms >= w->next_ms || now_ms >= w->next_sweep_ms || (w->doomed && now_ms >= w->resume_ms);
    if (take(w, backlog, b) > 0 || (due && !broken)) {
        if (broken)
            refuse(b);
        else
            run_batch(s, b);
        *busy = true;
    } else if (atomic_load(&s->checkpointer.finish)) {
        checkpoint_after_commit(s);
    } else if (!rest(s, *busy)) {
        (void)sqlite3_db_release_memory(w->db.handle);
        readers_rest(s);
        (void)malloc_trim(0); // what was freed lies between what is not, and would stay with the process
        *busy = false;
    }
    if (broken)
        w->next_ms = w->next_sweep_ms = TIME_NEVER;
}

static void *writer_thread(void *arg) {
    struct store *s = arg;
    struct writer *w = &s->writer;
    struct engine_call *backlog = NULL;
    bool busy = false;
    static _Thread_local struct batch b;
    (void)pthread_setname_np(pthread_self(), "store-writer");
    while (!atomic_load(&w->stopping) || backlog || atomic_load(&w->submitted))
        once(s, &backlog, &b, &busy);
    struct engine_call *waiting = NULL;
    collect_waiting(s, &waiting);
    for (struct engine_call *next; waiting; waiting = next) {
        next = waiting->next;
        call_end(waiting, err_set(&waiting->err, -ESHUTDOWN, "the store is stopping"));
    }
    return NULL;
}

void writer_init(struct writer *w) {
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    w->next_ns = TIME_NEVER;
    w->doomed = w->garbage = true; // perhaps, of an earlier process: the first commit looks
}

int writer_open(struct store *s, struct err *err) {
    struct writer *w = &s->writer;
    int r = db_open(s->db_path, WRITER_CACHE_KIB, &w->db, err);
    if (r < 0)
        return r;
    checkpoint_count(s);
    return read_names(s, err);
}

int writer_start(struct store *s, struct err *err) {
    struct writer *w = &s->writer;
    int r = -pthread_create(&w->thread, NULL, writer_thread, s);
    w->started = r == 0;
    return r < 0 ? err_set(err, r, "cannot start the store's writer: %s", err_name(r)) : 0;
}

void writer_stop(struct store *s) {
    struct writer *w = &s->writer;
    atomic_store(&w->stopping, true);
    writer_wake(s);
    if (w->started)
        (void)pthread_join(w->thread, NULL);
    w->started = false;
}

// ---- waiting for a write ----

struct run {
    struct engine_call call;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
};

static void run_done(struct engine_call *call) {
    struct run *run = (struct run *)call;
    LOCK_SCOPE(&run->lock);
    run->over = true;
    (void)pthread_cond_signal(&run->ended);
}

int writer_run(struct store *s, int (*apply)(void *self, struct engine_call *call), void *arg, const char *workspace,
               struct err *err) {
    struct run run = {.call = {.workspace = workspace, .done = run_done, .arg = arg},
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .ended = PTHREAD_COND_INITIALIZER};
    writer_submit(s, &run.call, apply);
    (void)pthread_mutex_lock(&run.lock);
    while (!run.over)
        (void)pthread_cond_wait(&run.ended, &run.lock);
    (void)pthread_mutex_unlock(&run.lock);
    if (run.call.err.code < 0 && err)
        *err = run.call.err;
    return run.call.err.code;
}
