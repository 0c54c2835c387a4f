// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/reach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/strmap.h"
#include "lib/base/workq.h"

#define THREADS 2
#define FRESH_NS (30 * NS_PER_S)
#define PATIENCE_NS (5 * NS_PER_S)
#define FORGET_NS (600 * NS_PER_S)

struct place {
    struct work work; // first, so that a work item is its place
    struct reach *reach;
    char *location;
    bool asking;
    int64_t asked_ns, wanted_ns; // monotonic: when it was asked, when somebody wanted to know last
    struct reach_answer answer;
};

struct reach {
    struct reach_options options;
    struct workq *workq;
    pthread_mutex_t lock; // of what follows, and of every place but its location
    struct strmap places;
};

static void place_free(struct place *place) {
    free(place->location);
    free(place);
}

int reach_new(const struct reach_options *options, struct reach **ret, struct err *err) {
    struct reach *reach = mem_zalloc(sizeof *reach);
    if (!reach)
        return err_set(err, -ENOMEM, "out of memory");
    reach->options = *options;
    reach->options.clock = options->clock ? options->clock : &clock_system;
    (void)pthread_mutex_init(&reach->lock, NULL);
    int r = workq_new("reach", THREADS, &reach->workq, err);
    if (r < 0) {
        (void)reach_free(reach);
        return r;
    }
    *ret = reach;
    return 0;
}

struct reach *reach_free(struct reach *reach) {
    if (!reach)
        return NULL;
    const struct strmap_slot *slot;
    reach->workq = workq_free(reach->workq);
    for (size_t i = 0; (slot = strmap_next(&reach->places, &i));)
        place_free(slot->value);
    strmap_done(&reach->places);
    (void)pthread_mutex_destroy(&reach->lock);
    free(reach);
    return NULL;
}

static void ask(struct work *work) {
    struct place *place = (struct place *)work;
    struct reach *reach = place->reach;
    struct reach_answer answer = {.known = true};
    struct err err = ERR_NONE;
    answer.result =
        reach->options.ask(reach->options.arg, place->location, clock_monotonic(&clock_system) + PATIENCE_NS,
                           &answer.total_bytes, &answer.available_bytes, &err);
    if (answer.result < 0)
        (void)snprintf(answer.message, sizeof answer.message, "%s", err_text(&err));
    LOCK_SCOPE(&reach->lock);
    place->answer = answer;
    place->asking = false;
    place->asked_ns = clock_monotonic(reach->options.clock);
}

static struct place *find_or_make(struct reach *reach, const char *location) {
    struct place *place = strmap_get(&reach->places, location);
    if (place)
        return place;
    place = mem_zalloc(sizeof *place);
    if (!place)
        return NULL;
    *place = (struct place){.work = {.run = ask}, .reach = reach, .location = mem_strdup(location)};
    if (!place->location || strmap_put(&reach->places, location, place) < 0) {
        place_free(place);
        return NULL;
    }
    return place;
}

// One that nobody asks for any more, if there is one.
static void forget_one(struct reach *reach, int64_t now_ns) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&reach->places, &i));) {
        struct place *place = slot->value;
        if (place->asking || now_ns - place->wanted_ns < FORGET_NS)
            continue;
        (void)strmap_remove(&reach->places, place->location);
        place_free(place);
        return;
    }
}

int reach_get(struct reach *reach, const char *location, struct reach_answer *ret, struct err *err) {
    int64_t now_ns = clock_monotonic(reach->options.clock);
    LOCK_SCOPE(&reach->lock);
    struct place *place = find_or_make(reach, location);
    if (!place)
        return err_set(err, -ENOMEM, "out of memory");
    place->wanted_ns = now_ns;
    forget_one(reach, now_ns);
    if (!place->asking && (!place->answer.known || now_ns - place->asked_ns >= FRESH_NS))
        place->asking = workq_push(reach->workq, &place->work) == 0;
    *ret = place->answer;
    return 0;
}
