// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/event.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/workq.h"
#include "lib/kube/object.h"

#define REMEMBERED 256
#define WAITING_MAX 256
#define QUIET_NS (10 * NS_PER_S)
#define MESSAGE_MAX 1024

struct told {
    char id[HASH_ID_LEN + 1]; // of what was said; "": unused
    char *path;               // of the Event
    int64_t count, last_ns;   // last_ns: monotonic
};

struct kube_events {
    const struct kube *kube;
    const struct clock *clock;
    char *component, *instance;
    atomic_bool closing; // what waits is dropped
    struct workq *workq; // of one thread, whose are
    struct told told[REMEMBERED];
};

struct telling {      // on its way to be written
    struct work work; // first, so that a work item is its telling
    struct kube_events *events;
    struct json *event; // whole, as if it were new
    char *ns, *name;
    char id[HASH_ID_LEN + 1], now[KUBE_TIME_SIZE];
};

static struct telling *telling_free(struct telling *telling) {
    if (telling) {
        (void)json_free(telling->event);
        free(telling->ns);
        free(telling->name);
        free(telling);
    }
    return NULL;
}
DEFINE_CLEANUP(telling)

int kube_events_new(const struct kube_events_options *options, struct kube_events **ret, struct err *err) {
    struct kube_events *events cleanup(kube_events_freep) = mem_zalloc(sizeof *events);
    if (!events)
        return err_set(err, -ENOMEM, "out of memory");
    events->kube = options->kube;
    events->clock = options->clock ? options->clock : &clock_system;
    events->component = mem_strdup(options->component);
    events->instance = mem_strdup(options->instance);
    if (!events->component || !events->instance)
        return err_set(err, -ENOMEM, "out of memory");
    int r = workq_new("events", 1, &events->workq, err);
    if (r == 0)
        *ret = take_ptr(events);
    return r;
}

struct kube_events *kube_events_free(struct kube_events *events) {
    if (!events)
        return NULL;
    atomic_store(&events->closing, true);
    if (events->workq)
        kube_events_flush(events); // the queue would not free them
    events->workq = workq_free(events->workq);
    for (size_t i = 0; i < REMEMBERED; i++)
        free(events->told[i].path);
    free(events->component);
    free(events->instance);
    free(events);
    return NULL;
}

// The one that said the same, or the one that gives way.
static struct told *find(struct kube_events *events, const char *id) {
    struct told *oldest = &events->told[0];
    for (size_t i = 0; i < REMEMBERED; i++) {
        struct told *one = &events->told[i];
        if (str_eq(one->id, id))
            return one;
        if (one->last_ns < oldest->last_ns)
            oldest = one;
    }
    return oldest;
}

static struct json *subject_reference(const struct kube_subject *subject) {
    static const char *const members[] = {"name", "namespace", "uid", "resourceVersion"};
    struct json *ref cleanup(json_freep) = json_object_new();
    const struct json *metadata = json_get(subject->object, "metadata");
    int r = ref ? json_set_text(ref, "apiVersion", subject->api_version) : -ENOMEM;
    if (r == 0)
        r = json_set_text(ref, "kind", subject->kind);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++)
        r = json_set_text(ref, members[i], json_get_text(metadata, members[i]));
    return r == 0 ? take_ptr(ref) : NULL;
}

struct wording {
    const char *type, *reason, *message;
    char ns[256], name[300], now[KUBE_TIME_SIZE];
};

static struct json *make_event(const struct kube_events *events, const struct kube_subject *subject,
                               const struct wording *w) {
    struct json *event cleanup(json_freep) = json_object_new();
    struct json *metadata = json_object_new(), *source = json_object_new(), *ref = subject_reference(subject);
    bool bad = !event || json_set_text(metadata, "name", w->name) < 0 ||
               json_set_text(metadata, "namespace", w->ns) < 0 ||
               json_set_text(source, "component", events->component) < 0 ||
               json_set_text(source, "host", events->instance) < 0;
    bad |= json_set(event, "metadata", metadata) < 0;
    bad |= json_set(event, "source", source) < 0;
    bad |= json_set(event, "involvedObject", ref) < 0;
    bad = bad || json_set_text(event, "apiVersion", "v1") < 0 || json_set_text(event, "kind", "Event") < 0 ||
          json_set_text(event, "type", w->type) < 0 || json_set_text(event, "reason", w->reason) < 0 ||
          json_set_text(event, "message", w->message) < 0 || json_set_text(event, "firstTimestamp", w->now) < 0 ||
          json_set_text(event, "lastTimestamp", w->now) < 0 || json_set_int(event, "count", 1) < 0 ||
          json_set_text(event, "reportingComponent", events->component) < 0 ||
          json_set_text(event, "reportingInstance", events->instance) < 0;
    return bad ? NULL : take_ptr(event);
}

static int count_up(const struct kube_events *events, struct told *told, const char *now, struct err *err) {
    struct json *patch cleanup(json_freep) = json_object_new();
    if (!patch || json_set_int(patch, "count", told->count + 1) < 0 || json_set_text(patch, "lastTimestamp", now) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_patch(events->kube, told->path, KUBE_PATCH_MERGE, patch, NULL, err);
    if (r == 0)
        told->count++;
    return r;
}

static int tell_new(const struct telling *telling, struct told *told, struct err *err) {
    char *collection cleanup_free = kube_collection("/api/v1", telling->ns, "events");
    if (!collection)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_create(telling->events->kube, collection, telling->event, NULL, err);
    free(told->path);
    told->path = r == 0 ? kube_path(collection, telling->name) : NULL;
    told->count = 1;
    return r;
}

static void write_event(struct work *work) {
    struct telling *telling cleanup(telling_freep) = (struct telling *)work;
    struct kube_events *events = telling->events;
    struct told *told = find(events, telling->id);
    struct err err = ERR_NONE;
    int64_t now_ns = clock_monotonic(events->clock);
    bool same = str_eq(told->id, telling->id) && told->path;
    if (atomic_load(&events->closing))
        return;
    if (same && now_ns - told->last_ns < QUIET_NS)
        return;
    int r = same ? count_up(events, told, telling->now, &err) : -ENOENT;
    if (r == -ENOENT) // new, or the cluster has forgotten it
        r = tell_new(telling, told, &err);
    (void)snprintf(told->id, sizeof told->id, "%s", telling->id);
    told->last_ns = now_ns;
    if (r < 0)
        log_debug("event not written", LOG_S("event", telling->name), LOG_S("error", err_text(&err)));
}

static struct telling *make_telling(struct kube_events *events, const struct kube_subject *subject,
                                    const struct wording *w) {
    struct telling *telling cleanup(telling_freep) = mem_zalloc(sizeof *telling);
    const char *uid = kube_text(subject->object, "metadata.uid");
    char *said cleanup_free = mem_printf("%s/%s/%s", uid ? uid : "", w->reason, w->message);
    if (!telling || !said)
        return NULL;
    telling->work.run = write_event;
    telling->events = events;
    telling->event = make_event(events, subject, w);
    telling->ns = mem_strdup(w->ns);
    telling->name = mem_strdup(w->name);
    (void)snprintf(telling->now, sizeof telling->now, "%s", w->now);
    hash_id(said, strlen(said), telling->id);
    return telling->event && telling->ns && telling->name ? take_ptr(telling) : NULL;
}

void kube_event(struct kube_events *events, const struct kube_subject *subject, bool warning, const char *reason,
                const char *message) {
    const char *ns = kube_text(subject->object, "metadata.namespace");
    char cut[MESSAGE_MAX + 1];
    size_t len = strlen(message) < MESSAGE_MAX ? strlen(message) : MESSAGE_MAX;
    while (len && !str_is_utf8(message, len))
        len--;
    (void)snprintf(cut, sizeof cut, "%.*s", (int)len, message);
    struct wording w = {.type = warning ? "Warning" : "Normal", .reason = reason, .message = cut};
    kube_time(clock_wall(events->clock), w.now);
    // Events of objects in no namespace are in "default": there kubectl looks for them.
    (void)snprintf(w.ns, sizeof w.ns, "%s", str_empty(ns) ? "default" : ns);
    (void)snprintf(w.name, sizeof w.name, "%.200s.%" PRIx64, kube_name(subject->object),
                   (uint64_t)clock_wall(events->clock));
    if (workq_pending(events->workq) >= WAITING_MAX)
        return;
    struct telling *telling cleanup(telling_freep) = make_telling(events, subject, &w);
    if (telling && workq_push(events->workq, &telling->work) == 0)
        (void)take_ptr(telling);
}

void kube_events_flush(struct kube_events *events) {
    while (workq_pending(events->workq))
        (void)poll(NULL, 0, 1);
}
