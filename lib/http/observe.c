// SPDX-License-Identifier: Apache-2.0
// What is counted and logged of each request.
//
// Why:     a lock that all loops share would cost more than a small answer; each loop counts for itself, and the numbers are
//          added when somebody asks. p50 and p99 of a route come from its histogram (histogram_quantile).
// Threads: a loop appends to its own lists; readers see them through atomic pointers.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/http/loop.h"

static const double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                0.1,    0.25,    0.5,    1,     2.5,    5,     10,   60};

struct series { // of one route, method and status
    struct series *next;
    enum http_method method;
    unsigned status;
    atomic_ullong ns;
    atomic_ullong buckets[ARRAY_SIZE(bounds) + 1]; // each for itself, not cumulative
};
struct http_counts {
    atomic_llong in_flight;
    size_t routes;
    _Atomic(struct series *) first[]; // per route, and one for what has none
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // protects `servers`
static struct http_server *servers[8];

static void append(atomic_ullong *at, unsigned long long n) { // one writer: no locked instruction is needed
    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n, memory_order_relaxed);
}

static struct series *series_of(struct http_counts *counts, size_t route, enum http_method method, unsigned status) {
    struct series *first = atomic_load_explicit(&counts->first[route], memory_order_relaxed);
    for (struct series *s = first; s; s = s->next)
        if (s->status == status && s->method == method)
            return s;
    struct series *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->next = first;
    s->method = method;
    s->status = status;
    atomic_store_explicit(&counts->first[route], s, memory_order_release);
    return s;
}

static const char *route_name(const struct http_server *server, size_t index) {
    for (size_t i = 0; i < server->row_count; i++)
        if (server->rows[i].index == index)
            return server->rows[i].route->name;
    return "none";
}

// ---- rendering ----------------------------------------------------------------------------------------------------------

struct sum {
    unsigned long long ns;
    unsigned long long buckets[ARRAY_SIZE(bounds) + 1];
};

static void render_sum(struct str *out, const char *route, enum http_method method, unsigned status,
                       const struct sum *sum) {
    char labels[160];
    (void)snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",code=\"%u\"", route, http_method_name(method),
                   status);
    unsigned long long count = 0;
    for (size_t i = 0; i <= ARRAY_SIZE(bounds); i++) {
        char le[24] = "+Inf";
        if (i < ARRAY_SIZE(bounds))
            (void)snprintf(le, sizeof le, "%g", bounds[i]);
        count += sum->buckets[i];
        (void)str_printf(out, "stowage_http_request_seconds_bucket{%s,le=\"%s\"} %llu\n", labels, le, count);
    }
    (void)str_printf(out, "stowage_http_request_seconds_sum{%s} %.9g\nstowage_http_request_seconds_count{%s} %llu\n",
                     labels, (double)sum->ns / (double)NS_PER_S, labels, count);
}

static void add_up(struct sum *sum, const struct series *s) {
    sum->ns += atomic_load_explicit(&s->ns, memory_order_relaxed);
    for (size_t i = 0; i <= ARRAY_SIZE(bounds); i++)
        sum->buckets[i] += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
}

static const struct series *find(const struct http_worker *w, size_t route, const struct series *like) {
    for (const struct series *s = atomic_load_explicit(&w->counts->first[route], memory_order_acquire); s; s = s->next)
        if (s->status == like->status && s->method == like->method)
            return s;
    return NULL;
}

// Each combination is written by the first loop that has it, with the numbers of the later ones.
static void render_route(struct str *out, const struct http_server *server, size_t route) {
    for (unsigned w = 0; w < server->worker_count; w++) {
        const struct series *s = atomic_load_explicit(&server->workers[w].counts->first[route], memory_order_acquire);
        for (; s; s = s->next) {
            bool written = false;
            for (unsigned before = 0; before < w; before++)
                written = written || find(&server->workers[before], route, s);
            if (written)
                continue;
            struct sum sum = {0};
            add_up(&sum, s);
            for (unsigned after = w + 1; after < server->worker_count; after++) {
                const struct series *other = find(&server->workers[after], route, s);
                if (other)
                    add_up(&sum, other);
            }
            render_sum(out, route_name(server, route), s->method, s->status, &sum);
        }
    }
}

static void collect(void *arg, struct str *out) {
    (void)arg;
    LOCK_SCOPE(&lock);
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
        for (size_t route = 0; servers[i] && route <= servers[i]->row_count; route++)
            render_route(out, servers[i], route);
}

static double read_in_flight(void *arg) {
    (void)arg;
    long long sum = 0;
    LOCK_SCOPE(&lock);
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
        for (unsigned w = 0; servers[i] && w < servers[i]->worker_count; w++)
            sum += atomic_load_explicit(&servers[i]->workers[w].counts->in_flight, memory_order_relaxed);
    return (double)sum;
}

static struct metric seconds_metric = {.type = METRIC_HISTOGRAM,
                                       .name = "stowage_http_request_seconds",
                                       .help = "HTTP requests, from the head to the last byte of the answer.",
                                       .collect = collect};
static struct metric in_flight_metric = {.type = METRIC_GAUGE,
                                         .name = "stowage_http_requests_in_flight",
                                         .help = "HTTP requests that are not answered yet.",
                                         .read = read_in_flight};

int http_observe_start(struct http_server *server) {
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct http_counts *counts =
            mem_zalloc(sizeof *counts + (server->row_count + 1) * sizeof(_Atomic(struct series *)));
        if (!counts)
            return -ENOMEM;
        counts->routes = server->row_count + 1;
        server->workers[i].counts = counts;
    }
    metric_register(&seconds_metric);
    metric_register(&in_flight_metric);
    LOCK_SCOPE(&lock);
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
        if (!servers[i]) {
            servers[i] = server;
            break;
        }
    return 0;
}

void http_observe_stop(struct http_server *server) {
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
        servers[i] = servers[i] == server ? NULL : servers[i];
    (void)pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct http_counts *counts = server->workers[i].counts;
        for (size_t route = 0; counts && route < counts->routes; route++)
            for (struct series *s = atomic_load(&counts->first[route]), *next; s; s = next) {
                next = s->next;
                free(s);
            }
        free(counts);
    }
}

// ---- one request -----------------------------------------------------------------------------------------------------------

void http_observe_begin(struct http_connection *c) {
    c->request.begun_ns = clock_monotonic(&clock_system);
    atomic_fetch_add_explicit(&c->worker->counts->in_flight, 1, memory_order_relaxed);
}

// A miss and a lost race are answers; other failures of the client are noted, ours are errors. The target is not
// logged: it may hold a signature or a name that is nobody's business.
static void log_failure(const struct http_request *request, const char *route, int64_t ns) {
    unsigned status = request->reply.status;
    if (status && status < 400)
        return;
    enum log_level level = status >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    if (!status || status == 404 || status == 412)
        level = LOG_LEVEL_DEBUG;
    LOG_CALL_(level, status ? "request failed" : "client left", LOG_S("request", request->id), LOG_S("route", route),
              LOG_S("method", http_method_name(request->head.method)), LOG_I("status", status),
              LOG_S("code", request->reply.code), LOG_S("message", request->err.msg), LOG_I("us", ns / 1000));
}

void http_observe_end(struct http_connection *c) {
    const struct http_request *request = &c->request;
    struct http_counts *counts = c->worker->counts;
    if (!request->begun_ns)
        return;
    atomic_fetch_sub_explicit(&counts->in_flight, 1, memory_order_relaxed);
    int64_t ns = clock_monotonic(&clock_system) - request->begun_ns;
    unsigned status = request->reply.status ? request->reply.status : 499; // left before the answer
    size_t index = request->route ? request->route_index : counts->routes - 1;
    struct series *s = series_of(counts, index, request->head.method, status);
    size_t bucket = 0;
    while (bucket < ARRAY_SIZE(bounds) && (double)ns > bounds[bucket] * (double)NS_PER_S)
        bucket++;
    if (s) {
        append(&s->ns, (unsigned long long)ns);
        append(&s->buckets[bucket], 1);
    }
    log_failure(request, request->route ? request->route->name : "none", ns);
}
