// SPDX-License-Identifier: Apache-2.0
// Receiving: at once, or when a message comes. All of it in the writer thread, so no two receivers get the same message.
#include <errno.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/queue.h"

#define RECEIVE_MAX 100
#define VISIBILITY_MAX_MS (INT64_C(12) * 3600 * 1000)

static int collect(struct store *s, const struct container *c, struct queue_receive *receive, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_MESSAGE_READY, "ii", c->id, (int64_t)receive->max);
    return queue_collect(&s->writer.db, q, receive, err);
}

// Nobody would get what is given to it. It ends as one that got nothing.
static bool is_gone(const struct queue_receive *receive) {
    return receive->gone && receive->gone(&receive->call);
}

static int lease(struct store *s, struct container *c, const struct queue_receive *receive, struct queue_delivery *d,
                 struct err *err) {
    int64_t visibility = receive->visibility_ms < 0 ? c->settings.visibility_ms : receive->visibility_ms;
    int64_t token = 0;
    do {
        clock_random(s->clock, &token, sizeof token);
        token &= INT64_MAX;
    } while (token == 0);
    d->receives++;
    (void)snprintf(d->receipt, sizeof d->receipt, "%llx-%llx", (unsigned long long)d->id, (unsigned long long)token);
    int r = db_run(&s->writer.db, err, SQL_MESSAGE_LEASED, "iiiii", c->id, d->id, s->writer.now_ms + visibility,
                   (int64_t)d->receives, token);
    if (r < 0)
        return r;
    c->leased++;
    catalog_touch(&s->catalog, c);
    queue_look_at(s, c, s->writer.now_ms + visibility);
    return 0;
}

// What is ready, up to the limit. A failure after the first change sets the connection's `failed`.
static int deliver(struct store *s, struct container *c, struct queue_receive *receive, struct err *err) {
    int r = c->items == c->leased + c->delayed ? 0 : collect(s, c, receive, err);
    for (size_t i = 0; r == 0 && i < receive->ret_count; i++) {
        struct queue_delivery *d = &receive->ret[i];
        if (receive->mode == QUEUE_LEASE)
            r = lease(s, c, receive, d, err);
        else
            r = message_remove(s, c, &(struct message){.id = d->id, .len = d->len}, err);
    }
    if (r < 0)
        queue_release(&receive->call);
    return r;
}

void queue_park(struct store *s, struct container *c, struct engine_call *call) {
    struct engine_call **end = &c->waiters;
    while (*end)
        end = &(*end)->next;
    call->next = NULL;
    call->err = ERR_NONE;
    *end = call;
    int64_t until = ((struct queue_receive *)call)->wait_until_ns;
    if (until < s->writer.next_ns)
        s->writer.next_ns = until;
}

int queue_serve(struct store *s, struct container *c, struct err *err) {
    while (c->waiters && c->items > c->leased + c->delayed) {
        struct queue_receive *receive = (struct queue_receive *)c->waiters;
        bool gone = is_gone(receive);
        int r = gone ? 0 : deliver(s, c, receive, err);
        if (r < 0)
            return s->writer.db.failed ? r : 0; // no memory for this one now: it goes on waiting
        if (receive->ret_count == 0 && !gone)
            return 0;
        c->waiters = receive->call.next;
        receive->call.next = s->writer.served;
        s->writer.served = &receive->call;
    }
    return 0;
}

static int receive_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct queue_receive *receive = (struct queue_receive *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, receive->queue);
    receive->ret = NULL;
    receive->ret_count = 0;
    if (!c)
        return call_not_found(call, CONTAINER_QUEUE, receive->queue);
    if (is_gone(receive))
        return 0;
    int r = deliver(s, c, receive, &call->err);
    if (r < 0 || receive->ret_count > 0)
        return r;
    if (clock_monotonic(s->clock) >= receive->wait_until_ns || atomic_load(&s->writer.draining))
        return 0;
    queue_park(s, c, call);
    return CALL_WAITS;
}

void queue_receive(void *self, struct queue_receive *call) {
    call->ret = NULL;
    call->ret_count = 0;
    int r = 0;
    if (call->max < 1 || call->max > RECEIVE_MAX)
        r = err_set(&call->call.err, -EINVAL, "at most %d messages are received at once, and at least 1", RECEIVE_MAX);
    else if (call->mode == QUEUE_LEASE && call->visibility_ms > VISIBILITY_MAX_MS)
        r = err_set(&call->call.err, -EINVAL, "a message can be leased for at most 12 hours");
    if (r < 0)
        call_end(&call->call, r);
    else if (call->mode == QUEUE_PEEK)
        queue_peek(self, call);
    else
        writer_submit(self, &call->call, receive_apply);
}

static void end_overdue(struct store *s, struct container *c, int64_t now_ns, bool all) {
    for (struct engine_call **p = &c->waiters; *p;) {
        struct engine_call *call = *p;
        int64_t until = ((struct queue_receive *)call)->wait_until_ns;
        if (all || until <= now_ns) {
            *p = call->next;
            call_end(call, 0);
            continue;
        }
        s->writer.next_ns = until < s->writer.next_ns ? until : s->writer.next_ns;
        p = &call->next;
    }
}

void queue_waits_over(struct store *s, bool all) {
    const struct strmap_slot *slot;
    int64_t now_ns = clock_monotonic(s->clock);
    s->writer.next_ns = TIME_NEVER;
    for (size_t i = 0; (slot = strmap_next(&s->catalog.containers, &i));)
        end_overdue(s, slot->value, now_ns, all);
}
