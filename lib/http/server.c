// SPDX-License-Identifier: Apache-2.0
#include "lib/http/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/http/loop.h"

#define THREADS_MAX 4
#define STOP_STEP_MS 10

static void set_defaults(struct http_options *options) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (!options->threads)
        options->threads = cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : (unsigned)cpus;
    options->connections_max = options->connections_max ? options->connections_max : 4096;
    options->header_s = options->header_s ? options->header_s : 10;
    options->body_s = options->body_s ? options->body_s : 30;
    options->idle_s = options->idle_s ? options->idle_s : 75;
}

static int start_listeners(struct http_server *server, struct err *err) {
    size_t count = server->options.address_count;
    server->listeners = mem_array(count ? count : 1, sizeof *server->listeners);
    if (!server->listeners)
        return err_set(err, -ENOMEM, "out of memory");
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = http_listen(server, server->options.addresses[i], &server->listeners[i], err);
        server->listener_count += r == 0;
    }
    return r;
}

static int start_workers(struct http_server *server, struct err *err) {
    unsigned count = server->options.threads;
    server->workers = mem_array(count, sizeof *server->workers);
    if (!server->workers)
        return err_set(err, -ENOMEM, "out of memory");
    server->worker_count = count;
    for (unsigned i = 0; i < count; i++) {
        server->workers[i].epoll = server->workers[i].wake = -1;
        (void)pthread_mutex_init(&server->workers[i].lock, NULL);
    }
    if (http_observe_start(server) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++) // the first one accepts: it comes last, when the others can take
        r = http_worker_start(server, count - 1 - i, err);
    return r;
}

int http_server_start(const struct http_options *options, struct http_server **ret, struct err *err) {
    struct http_server *server cleanup(http_server_freep) = mem_zalloc(sizeof *server);
    if (!server)
        return err_set(err, -ENOMEM, "out of memory");
    server->options = *options;
    set_defaults(&server->options);
    atomic_store(&server->references, 1);
    uint32_t seed = 0;
    clock_random(&clock_system, &seed, sizeof seed);
    (void)snprintf(server->id_prefix, sizeof server->id_prefix, "%08x", seed);
    int r = http_routes_compile(server, err);
    if (r == 0)
        r = start_listeners(server, err);
    if (r == 0)
        r = start_workers(server, err);
    if (r < 0)
        return r;
    *ret = take_ptr(server);
    return 0;
}

uint16_t http_server_port(const struct http_server *server) {
    return server->port;
}

static void wake_all(struct http_server *server) {
    for (unsigned i = 0; i < server->worker_count; i++)
        if (server->workers[i].started)
            http_worker_wake(&server->workers[i]);
}

void http_server_stop(struct http_server *server, int64_t grace_ms) {
    if (atomic_exchange(&server->draining, true))
        return;
    wake_all(server);
    int64_t end = clock_monotonic(&clock_system) + grace_ms * NS_PER_MS;
    while (atomic_load(&server->connections) && clock_monotonic(&clock_system) < end) {
        struct timespec step = {.tv_nsec = STOP_STEP_MS * NS_PER_MS};
        (void)nanosleep(&step, NULL);
    }
    atomic_store(&server->quit, true);
    for (unsigned i = 0; i < server->worker_count; i++)
        http_worker_stop(&server->workers[i]);
    for (size_t i = 0; i < server->listener_count; i++)
        http_listener_done(&server->listeners[i]);
    server->listener_count = 0;
}

// The last one out: the owner, or a handler whose answer came after the end.
void http_server_unref(struct http_server *server) {
    if (atomic_fetch_sub(&server->references, 1) != 1)
        return;
    http_observe_stop(server);
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct http_worker *w = &server->workers[i];
        if (w->epoll >= 0)
            (void)close(w->epoll);
        if (w->wake >= 0)
            (void)close(w->wake);
        free(w->scratch);
        (void)pthread_mutex_destroy(&w->lock);
    }
    free(server->workers);
    free(server->listeners);
    free(server->rows);
    free(server->mounts);
    free(server);
}

struct http_server *http_server_free(struct http_server *server) {
    if (server) {
        http_server_stop(server, 0);
        http_server_unref(server);
    }
    return NULL;
}
