// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/strmap.h"
#include "lib/base/workq.h"
#include "lib/http/client.h"

#define THREADS 2
#define FRESH_NS (30 * NS_PER_S)
#define AWAY_NS (5 * NS_PER_S) // a list that failed is asked for again
#define SHARE 50               // of the time, one part is for listing
#define FORGET_NS (600 * NS_PER_S)
#define PAGE "1000" // objects
#define ROWS_MAX 65536

struct place {        // one kind in one workspace
    struct work work; // first, so that a work item is its place
    struct survey *survey;
    enum survey_kind kind;
    char *workspace, *key;
    bool asking, known;
    int result;
    char message[256];
    int64_t wanted_ns, again_ns;
    struct strmap rows; // name → struct survey_row
};

struct survey {
    struct data_store *store;
    const struct clock *clock;
    struct workq *workq;
    pthread_mutex_t lock; // of what follows, and of every place but its names
    struct strmap places;
};

static const char *const paths[SURVEY_KINDS] = {"/kv/namespaces", "/queue", "/objects/private", "/objects/public"};

uint64_t survey_settings(const struct json *queue) {
    static const char *const names[] = {"dedup_ms", "visibility_ms", "delay_ms", "retention_ms", "max_receives"};
    unsigned char digest[HASH_SHA256];
    char text[256];
    int len = 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%lld ", (long long)json_get_int(queue, names[i], -1));
    const char *dead = json_get_text(queue, "dead_letter");
    len += snprintf(text + len, sizeof text - (size_t)len, "%.63s", dead ? dead : "");
    hash_sha256(text, (size_t)len, digest);
    uint64_t ret;
    memcpy(&ret, digest, sizeof ret);
    return ret;
}

static void rows_done(struct strmap *rows) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(rows, &i));)
        free(slot->value);
    strmap_done(rows);
    *rows = (struct strmap){0};
}

static struct survey_row *row_of(struct strmap *rows, const char *name) {
    struct survey_row *row = strmap_get(rows, name);
    if (row || rows->len >= ROWS_MAX)
        return row;
    row = mem_zalloc(sizeof *row);
    if (row && strmap_put(rows, name, row) < 0)
        free(take_ptr(row));
    return row;
}

// ---- what the store says ---------------------------------------------------------------------------------------------

static void read_row(enum survey_kind kind, const struct json *item, struct survey_row *ret) {
    *ret = (struct survey_row){.count = json_get_int(item, kind == SURVEY_KEYS ? "keys" : "length", 0),
                               .bytes = json_get_int(item, "bytes", 0),
                               .version = json_get_int(item, "version", 0),
                               .oldest_ms = json_get_int(item, "oldest_ms", 0),
                               .settings = kind == SURVEY_QUEUES ? survey_settings(item) : 0};
}

static int list_names(struct place *place, struct strmap *rows, struct err *err) {
    const struct data_store_request request = {
        .method = "GET", .workspace = place->workspace, .path = paths[place->kind]};
    struct json *list cleanup(json_freep) = NULL;
    int r = data_store_send(place->survey->store, &request, &list, err);
    for (size_t i = 0; r == 0 && i < json_length(list); i++) {
        const struct json *item = json_at(list, i);
        const char *name = json_get_text(item, "name");
        struct survey_row *row = name ? row_of(rows, name) : NULL;
        if (name && !row && rows->len < ROWS_MAX)
            r = err_set(err, -ENOMEM, "out of memory");
        else if (row)
            read_row(place->kind, item, row);
    }
    return r;
}

// A Bucket is what comes before the first slash of a key.
static int count_objects(const struct json *items, struct strmap *rows, struct err *err) {
    for (size_t i = 0; i < json_length(items); i++) {
        const char *key = json_get_text(json_at(items, i), "key"), *slash = key ? strchr(key, '/') : NULL;
        char name[256];
        if (!slash || slash == key || (size_t)(slash - key) >= sizeof name)
            continue;
        (void)snprintf(name, sizeof name, "%.*s", (int)(slash - key), key);
        struct survey_row *row = row_of(rows, name);
        if (!row && rows->len < ROWS_MAX)
            return err_set(err, -ENOMEM, "out of memory");
        if (row) {
            row->count++;
            row->bytes += json_get_int(json_at(items, i), "size", 0);
        }
    }
    return 0;
}

static int list_objects(struct place *place, struct strmap *rows, struct err *err) {
    char *after cleanup_free = mem_strdup("");
    int r = after ? 0 : err_set(err, -ENOMEM, "out of memory");
    while (r == 0 && !workq_stopping(place->survey->workq)) {
        struct json *page cleanup(json_freep) = NULL;
        struct str path cleanup_str = {0};
        (void)str_printf(&path, "%s?limit=" PAGE "&after=", paths[place->kind]);
        if (http_append_encoded(&path, after, strlen(after), false) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        const struct data_store_request request = {
            .method = "GET", .workspace = place->workspace, .path = str_text(&path)};
        r = data_store_send(place->survey->store, &request, &page, err);
        if (r == 0)
            r = count_objects(json_get(page, "items"), rows, err);
        const char *next = r == 0 ? json_get_text(page, "nextContinuationToken") : NULL;
        if (str_empty(next) || str_eq(next, after))
            return r;
        free(after);
        after = mem_strdup(next);
        if (!after)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return r < 0 ? r : err_set(err, -ECANCELED, "the operator is stopping");
}

static void conclude(struct place *place, int r, struct strmap *rows, int64_t took_ns, const struct err *err) {
    struct survey *survey = place->survey;
    int64_t now_ns = clock_monotonic(survey->clock), pause_ns = took_ns * SHARE;
    LOCK_SCOPE(&survey->lock);
    place->asking = false;
    place->known = true;
    place->result = r;
    place->again_ns = now_ns + (r < 0 ? AWAY_NS : pause_ns > FRESH_NS ? pause_ns : FRESH_NS);
    (void)snprintf(place->message, sizeof place->message, "%s", r < 0 ? err_text(err) : "");
    if (r < 0)
        return;
    rows_done(&place->rows);
    place->rows = *rows;
    *rows = (struct strmap){0};
}

static void ask(struct work *work) {
    struct place *place = (struct place *)work;
    struct strmap rows cleanup(rows_done) = {0};
    struct err err = ERR_NONE;
    int64_t begun_ns = clock_monotonic(place->survey->clock);
    bool objects = place->kind == SURVEY_PRIVATE || place->kind == SURVEY_PUBLIC;
    int r = objects ? list_objects(place, &rows, &err) : list_names(place, &rows, &err);
    conclude(place, r, &rows, clock_monotonic(place->survey->clock) - begun_ns, &err);
}

// ---- questions -------------------------------------------------------------------------------------------------------

static void place_free(struct place *place) {
    rows_done(&place->rows);
    free(place->workspace);
    free(place->key);
    free(place);
}

static struct place *find_or_make(struct survey *survey, enum survey_kind kind, const char *workspace) {
    char *key cleanup_free = mem_printf("%d/%s", (int)kind, workspace);
    struct place *place = key ? strmap_get(&survey->places, key) : NULL;
    if (place || !key)
        return place;
    place = mem_zalloc(sizeof *place);
    if (!place)
        return NULL;
    *place = (struct place){.work = {.run = ask}, .survey = survey, .kind = kind, .workspace = mem_strdup(workspace)};
    place->key = take_ptr(key);
    if (!place->workspace || strmap_put(&survey->places, place->key, place) < 0) {
        place_free(place);
        return NULL;
    }
    return place;
}

static void forget_one(struct survey *survey, int64_t now_ns) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&survey->places, &i));) {
        struct place *place = slot->value;
        if (place->asking || now_ns - place->wanted_ns < FORGET_NS)
            continue;
        (void)strmap_remove(&survey->places, place->key);
        place_free(place);
        return;
    }
}

int survey_get(struct survey *survey, enum survey_kind kind, const char *workspace, const char *name,
               struct survey_answer *ret, struct err *err) {
    int64_t now_ns = clock_monotonic(survey->clock);
    LOCK_SCOPE(&survey->lock);
    struct place *place = find_or_make(survey, kind, workspace);
    if (!place)
        return err_set(err, -ENOMEM, "out of memory");
    place->wanted_ns = now_ns;
    forget_one(survey, now_ns);
    if (!place->asking && (!place->known || now_ns >= place->again_ns))
        place->asking = workq_push(survey->workq, &place->work) == 0;
    const struct survey_row *row = strmap_get(&place->rows, name);
    *ret = (struct survey_answer){
        .known = place->known, .result = place->result, .asking = place->asking, .found = row != NULL};
    memcpy(ret->message, place->message, sizeof ret->message);
    if (row)
        ret->row = *row;
    return 0;
}

int survey_look(struct survey *survey, enum survey_kind kind, const char *workspace, const char *name,
                struct survey_row *ret, struct err *err) {
    char *path cleanup_free = mem_printf("%s/%s", paths[kind], name);
    struct json *item cleanup(json_freep) = NULL;
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    const struct data_store_request request = {.method = "GET", .workspace = workspace, .path = path};
    int r = data_store_send(survey->store, &request, &item, err);
    if (r < 0)
        return r;
    read_row(kind, item, ret);
    LOCK_SCOPE(&survey->lock);
    struct place *place = find_or_make(survey, kind, workspace);
    struct survey_row *row = place ? row_of(&place->rows, name) : NULL;
    if (row)
        *row = *ret;
    return 0;
}

// ---- beginning and end -----------------------------------------------------------------------------------------------

int survey_new(struct data_store *store, const struct clock *clock, struct survey **ret, struct err *err) {
    struct survey *survey cleanup(survey_freep) = mem_zalloc(sizeof *survey);
    if (!survey)
        return err_set(err, -ENOMEM, "out of memory");
    survey->store = store;
    survey->clock = clock ? clock : &clock_system;
    (void)pthread_mutex_init(&survey->lock, NULL);
    int r = workq_new("survey", THREADS, &survey->workq, err);
    if (r == 0)
        *ret = take_ptr(survey);
    return r;
}

struct survey *survey_free(struct survey *survey) {
    if (!survey)
        return NULL;
    const struct strmap_slot *slot;
    survey->workq = workq_free(survey->workq);
    for (size_t i = 0; (slot = strmap_next(&survey->places, &i));)
        place_free(slot->value);
    strmap_done(&survey->places);
    (void)pthread_mutex_destroy(&survey->lock);
    free(survey);
    return NULL;
}
