// SPDX-License-Identifier: Apache-2.0
// Start and stop; the way of a call is in call.c.
#include "lib/rpc/server.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/rpc/address.h"
#include "lib/rpc/call.h"

#define QUICK_THREADS 2
#define FLUSH_MS 2000 // for a client that reads; one that does not cannot hold the stop up for longer

static void *poll_events(void *arg) {
    struct rpc_server *server = arg;
    (void)pthread_setname_np(pthread_self(), "rpc-poll");
    for (;;) {
        grpc_event event = grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        struct event *mine = event.tag;
        if (mine) {
            (void)atomic_load(&mine->handed);
            mine->happened(mine->call, event.success != 0);
        } else { // the tag of grpc_server_shutdown_and_notify
            LOCK_SCOPE(&server->lock);
            server->shut_down = true;
            (void)pthread_cond_broadcast(&server->changed);
        }
    }
}

static struct rpc_server *server_free(struct rpc_server *server) {
    if (!server)
        return NULL;
    (void)workq_free(server->pool);
    (void)workq_free(server->quick);
    strmap_done(&server->methods);
    keylock_done(&server->locks);
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->path);
    free(server);
    return NULL;
}
static void server_freep(struct rpc_server **server) {
    (void)server_free(*server);
}

static void init_locks(struct rpc_server *server) {
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_mutex_init(&server->locks.lock, NULL);
}

static int server_new(const struct rpc_server_options *options, const char *path, struct rpc_server **ret,
                      struct err *err) {
    cleanup(server_freep) struct rpc_server *server = mem_zalloc(sizeof *server);
    if (!server)
        return err_set(err, -ENOMEM, "no memory for a server");
    init_locks(server);
    server->options = *options;
    server->options.threads = options->threads ? options->threads : 16;
    server->options.deadline_s = options->deadline_s ? options->deadline_s : 60;
    server->path = mem_strdup(path);
    if (!server->path)
        return err_set(err, -ENOMEM, "no memory for a server");
    for (const struct rpc_method *const *row = options->methods; *row; row++)
        if (strmap_put(&server->methods, (*row)->path, (void *)(uintptr_t)*row) < 0)
            return err_set(err, -ENOMEM, "no memory for a server");
    int r = workq_new("rpc", server->options.threads, &server->pool, err);
    if (r == 0)
        r = workq_new("rpc-quick", QUICK_THREADS, &server->quick, err);
    if (r == 0)
        *ret = take_ptr(server);
    return r;
}

static grpc_server *create_core(void) {
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = RPC_REQUEST_MAX},
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, .value.integer = RPC_REPLY_MAX},
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_CONCURRENT_STREAMS, .value.integer = STREAMS_MAX},
        // A small compressed request could grow without limit before the core looks at its size.
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
         .value.integer = 1U << GRPC_COMPRESS_NONE},
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_ENABLE_CHANNELZ, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, .value.integer = 0},
    };
    grpc_channel_args list = {.num_args = ARRAY_SIZE(args), .args = args};
    return grpc_server_create(&list, NULL);
}

static int bind_socket(struct rpc_server *server, struct err *err) {
    cleanup_free char *uri = address_uri(server->path);
    if (!uri)
        return err_set(err, -ENOMEM, "no memory for a server");
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    errno = 0;
    int bound = grpc_server_add_http2_port(server->core, uri, credentials);
    int reason = errno ? -errno : -EIO;
    grpc_server_credentials_release(credentials);
    if (!bound)
        return err_set(err, reason, "cannot listen on '%s' (%s); does its directory exist, may it be written?",
                       server->path, err_name(reason));
    if (chmod(server->path, 0660) < 0)
        return err_set(err, -errno, "cannot set the mode of '%s': %s", server->path, err_name(errno));
    return 0;
}

static struct timespec monotonic_in(unsigned ms) {
    int64_t at = clock_monotonic(&clock_system) + ms * NS_PER_MS;
    return (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
}

// A call is over for us once the core has its reply, which may be before the socket has it: cancelling would cut
// every connection and lose replies that were given. So the connections are first left to end by themselves.
static void flush_replies(struct rpc_server *server) {
    struct timespec until = monotonic_in(FLUSH_MS);
    LOCK_SCOPE(&server->lock);
    while (!server->shut_down && server->calls == 0)
        if (pthread_cond_timedwait(&server->changed, &server->lock, &until) == ETIMEDOUT)
            return;
}

// Ends the core's part, whether it was started or not, and the poller with it.
static void close_core(struct rpc_server *server) {
    grpc_server_shutdown_and_notify(server->core, server->queue, NULL);
    flush_replies(server);
    atomic_store(&server->cancelled, true);
    grpc_server_cancel_all_calls(server->core);
    (void)pthread_mutex_lock(&server->lock);
    while (!server->shut_down || server->calls > 0)
        (void)pthread_cond_wait(&server->changed, &server->lock);
    (void)pthread_mutex_unlock(&server->lock);
    grpc_completion_queue_shutdown(server->queue);
    (void)pthread_join(server->poller, NULL);
    grpc_server_destroy(server->core);
    grpc_completion_queue_destroy(server->queue);
    core_shutdown();
}

static int open_core(struct rpc_server *server, struct err *err) {
    core_init();
    server->core = create_core();
    server->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server->core, server->queue, NULL);
    int r = bind_socket(server, err);
    grpc_server_start(server->core);
    int created = pthread_create(&server->poller, NULL, poll_events, server);
    if (created != 0) {
        // Without its poller the core cannot be ended in order; what it holds ends with the process.
        return err_set(err, -created, "cannot start the thread that serves '%s': %s", server->path, err_name(created));
    }
    if (r == 0 && !call_await(server))
        r = err_set(err, -ENOMEM, "no memory for a server");
    if (r < 0)
        close_core(server);
    return r;
}

int rpc_server_start(const struct rpc_server_options *options, struct rpc_server **ret, struct err *err) {
    const char *path = NULL;
    cleanup_close int turn = -1;
    int r = address_path(options->socket, &path, err);
    if (r == 0)
        r = address_take_turn(path, &turn, err);
    if (r == 0)
        r = address_prepare(path, err);
    if (r < 0)
        return r;
    cleanup(server_freep) struct rpc_server *server = NULL;
    r = server_new(options, path, &server, err);
    if (r == 0)
        r = open_core(server, err);
    if (r == 0)
        *ret = take_ptr(server);
    return r;
}

static void wait_for_calls(struct rpc_server *server, unsigned grace_ms) {
    struct timespec until = monotonic_in(grace_ms);
    LOCK_SCOPE(&server->lock);
    server->stopping = true;
    while (server->calls > 0)
        if (pthread_cond_timedwait(&server->changed, &server->lock, &until) == ETIMEDOUT)
            return;
}

struct rpc_server *rpc_server_stop(struct rpc_server *server, unsigned grace_ms) {
    if (!server)
        return NULL;
    wait_for_calls(server, grace_ms);
    close_core(server);
    return server_free(server);
}
