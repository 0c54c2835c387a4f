// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/hits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/strmap.h"
#include "lib/base/workq.h"
#include "lib/http/client.h"

#define THREADS 2
#define FRESH_NS (60 * NS_PER_S)
#define FORGET_NS (600 * NS_PER_S)
#define TIMEOUT_S 5
#define LINE_MAX 4096 // a longer one is none of those that are looked for
#define VOLUMES_MAX 65536

struct count { // of a volume
    uint64_t opens, hits;
};

struct node {
    struct work work; // first, so that a work item is its node
    struct hits *owner;
    char *address;
    bool asking;
    int64_t asked_ns, wanted_ns;
    struct strmap said; // volume → struct count
};

struct hits {
    struct hits_options options;
    struct workq *workq;
    pthread_mutex_t lock; // of what follows, and of every node but its address
    struct strmap nodes;
    struct strmap totals; // volume → struct count
};

static void counts_done(struct strmap *counts) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(counts, &i));)
        free(slot->value);
    strmap_done(counts);
    *counts = (struct strmap){0};
}

static struct count *count_of(struct strmap *counts, const char *volume) {
    struct count *count = strmap_get(counts, volume);
    if (count || counts->len >= VOLUMES_MAX)
        return count;
    count = mem_zalloc(sizeof *count);
    if (!count || strmap_put(counts, volume, count) < 0) {
        free(count);
        return NULL;
    }
    return count;
}

// ---- what a node says ------------------------------------------------------------------------------------------------

struct reading {
    struct str line;
    bool skip; // the rest of a line that is too long
    struct strmap said;
};

static void reading_done(struct reading *reading) {
    str_done(&reading->line);
    counts_done(&reading->said);
}

// `stowage_cache_opens_total{volume="v-…@10.0.0.5/exports"} 17`
static void take_line(struct reading *reading, char *line) {
    static const char opens[] = "stowage_cache_opens_total{volume=\"",
                      hits[] = "stowage_cache_open_hits_total{volume=\"";
    bool is_opens = str_starts(line, opens), is_hits = str_starts(line, hits);
    if (!is_opens && !is_hits)
        return;
    char *volume = line + (is_opens ? sizeof opens : sizeof hits) - 1, *end = strstr(volume, "\"} ");
    uint64_t number;
    if (!end || str_to_u64(end + 3, 0, UINT64_MAX, &number) < 0)
        return;
    *end = '\0';
    struct count *count = count_of(&reading->said, volume);
    if (count)
        *(is_opens ? &count->opens : &count->hits) = number;
}

static int on_chunk(void *arg, const char *data, size_t len, struct err *err) {
    struct reading *reading = arg;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(data + at, '\n', len - at);
        size_t part = end ? (size_t)(end - data) - at : len - at;
        reading->skip |= reading->line.len + part > LINE_MAX;
        if (!reading->skip && str_append_bytes(&reading->line, data + at, part) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        if (end && !reading->skip && reading->line.len)
            take_line(reading, reading->line.data);
        if (end) {
            reading->line.len = 0;
            reading->skip = false;
        }
        at += part + (end != NULL);
    }
    return 0;
}

static int fetch_by_http(void *arg, const char *url, int (*chunk)(void *, const char *, size_t, struct err *),
                         void *chunk_arg, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct http_answer answer cleanup_answer = {0};
    const struct http_client_options options = {.url = url, .root = true, .timeout_s = TIMEOUT_S, .buffer = 16384};
    const struct http_exchange exchange = {.method = "GET", .path = "/metrics", .write = chunk, .arg = chunk_arg};
    (void)arg;
    int r = http_client_new(&options, &client, err);
    return r < 0 ? r : http_client_send(client, &exchange, &answer, err);
}

// ---- sums, under the lock --------------------------------------------------------------------------------------------

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static void add_counts(struct hits *hits, const struct strmap *said, bool away) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(said, &i));) {
        const struct count *count = slot->value;
        struct count *total = away ? strmap_get(&hits->totals, slot->key) : count_of(&hits->totals, slot->key);
        if (!total) // memory was short when it was added
            continue;
        total->opens = !away ? total->opens + count->opens : total->opens - least(total->opens, count->opens);
        total->hits = !away ? total->hits + count->hits : total->hits - least(total->hits, count->hits);
        if (total->opens == 0 && total->hits == 0)
            free(strmap_remove(&hits->totals, slot->key));
    }
}

static void node_free(struct node *node) {
    free(node->address);
    counts_done(&node->said);
    free(node);
}

static void ask(struct work *work) {
    struct node *node = (struct node *)work;
    struct hits *hits = node->owner;
    struct reading reading cleanup(reading_done) = {0};
    struct err err = ERR_NONE;
    bool v6 = strchr(node->address, ':') != NULL;
    char *url cleanup_free = mem_printf(v6 ? "http://[%s]:%u" : "http://%s:%u", node->address, hits->options.port);
    int r = url ? hits->options.fetch(hits->options.arg, url, on_chunk, &reading, &err) : -ENOMEM;
    if (r < 0)
        log_debug("a node does not tell of its cache", LOG_S("node", node->address), LOG_S("error", err_text(&err)));
    LOCK_SCOPE(&hits->lock);
    node->asking = false;
    node->asked_ns = clock_monotonic(hits->options.clock);
    if (r < 0)
        return;
    add_counts(hits, &node->said, true);
    counts_done(&node->said);
    node->said = reading.said;
    reading.said = (struct strmap){0};
    add_counts(hits, &node->said, false);
}

// ---- beginning, end, questions ---------------------------------------------------------------------------------------

int hits_new(const struct hits_options *options, struct hits **ret, struct err *err) {
    struct hits *hits cleanup(hits_freep) = mem_zalloc(sizeof *hits);
    if (!hits)
        return err_set(err, -ENOMEM, "out of memory");
    hits->options = *options;
    hits->options.clock = options->clock ? options->clock : &clock_system;
    hits->options.fetch = options->fetch ? options->fetch : fetch_by_http;
    (void)pthread_mutex_init(&hits->lock, NULL);
    int r = workq_new("hits", THREADS, &hits->workq, err);
    if (r == 0)
        *ret = take_ptr(hits);
    return r;
}

struct hits *hits_free(struct hits *hits) {
    if (!hits)
        return NULL;
    const struct strmap_slot *slot;
    hits->workq = workq_free(hits->workq);
    for (size_t i = 0; (slot = strmap_next(&hits->nodes, &i));)
        node_free(slot->value);
    strmap_done(&hits->nodes);
    counts_done(&hits->totals);
    (void)pthread_mutex_destroy(&hits->lock);
    free(hits);
    return NULL;
}

static struct node *find_or_make(struct hits *hits, const char *address) {
    struct node *node = strmap_get(&hits->nodes, address);
    if (node)
        return node;
    node = mem_zalloc(sizeof *node);
    if (!node)
        return NULL;
    *node = (struct node){.work = {.run = ask}, .owner = hits, .address = mem_strdup(address), .asked_ns = -FRESH_NS};
    if (!node->address || strmap_put(&hits->nodes, address, node) < 0) {
        node_free(node);
        return NULL;
    }
    return node;
}

static void forget_one(struct hits *hits, int64_t now_ns) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&hits->nodes, &i));) {
        struct node *node = slot->value;
        if (node->asking || now_ns - node->wanted_ns < FORGET_NS)
            continue;
        add_counts(hits, &node->said, true);
        (void)strmap_remove(&hits->nodes, node->address);
        node_free(node);
        return;
    }
}

void hits_ask(struct hits *hits, const char *address) {
    int64_t now_ns = clock_monotonic(hits->options.clock);
    LOCK_SCOPE(&hits->lock);
    struct node *node = find_or_make(hits, address);
    if (!node)
        return;
    node->wanted_ns = now_ns;
    if (!node->asking && now_ns - node->asked_ns >= FRESH_NS)
        node->asking = workq_push(hits->workq, &node->work) == 0;
    forget_one(hits, now_ns);
}

void hits_of(struct hits *hits, const char *volume, uint64_t *opens, uint64_t *open_hits) {
    LOCK_SCOPE(&hits->lock);
    const struct count *total = strmap_get(&hits->totals, volume);
    *opens += total ? total->opens : 0;
    *open_hits += total ? total->hits : 0;
}
