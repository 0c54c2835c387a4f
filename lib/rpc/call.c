// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/call.h"

#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/rpc/message.h"

static struct metric rpc_seconds = {
    .type = METRIC_HISTOGRAM,
    .name = "stowage_rpc_seconds",
    .help = "Time from the arrival of an RPC to its reply.",
    .labels = {"method", "code"},
};

static void send_reply(struct call *call);

bool rpc_call_cancelled(const struct rpc_call *public) {
    const struct call *call = (const struct call *)public;
    return atomic_load(&call->cancelled) || atomic_load(&call->server->cancelled);
}

static void call_free(struct call *call) {
    if (call->core)
        grpc_call_unref(call->core);
    if (call->request)
        grpc_byte_buffer_destroy(call->request);
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    arena_done(&call->arena);
    size_t bytes = call->bytes;
    free(call);
    core_trim(bytes);
}

static void call_drop(struct call *call) {
    if (atomic_fetch_sub(&call->references, 1) > 1)
        return;
    struct rpc_server *server = call->server;
    call_free(call);
    LOCK_SCOPE(&server->lock);
    server->calls--;
    (void)pthread_cond_broadcast(&server->changed);
}

// ---- serving: on a thread of a pool ----

static void fail(struct call *call, enum rpc_code code, const struct err *err) {
    rpc_status_set(&call->status, code, "%s", err_text(err));
}

static enum rpc_code code_of_unpack(int error) {
    return error == -EMSGSIZE || error == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT;
}

// The request as a message; its bytes are released.
static int decode(struct call *call, ProtobufCMessage **ret, struct err *err) {
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, call->request))
        return err_set(err, -EBADMSG, "the request cannot be read");
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(take_ptr(call->request));
    call->bytes += GRPC_SLICE_LENGTH(bytes);
    arena_init(&call->arena, REQUEST_MEMORY_MAX);
    int r = message_unpack(call->method->request, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), &call->arena,
                           ret, err);
    grpc_slice_unref(bytes);
    return r;
}

static void encode(struct call *call, const ProtobufCMessage *response) {
    size_t size = protobuf_c_message_get_packed_size(response);
    if (size > RPC_REPLY_MAX) {
        rpc_status_set(&call->status, RPC_RESOURCE_EXHAUSTED, "the reply of %zu bytes is above the limit of %d MiB",
                       size, RPC_REPLY_MAX >> 20);
        return;
    }
    grpc_slice bytes = grpc_slice_malloc(size);
    (void)protobuf_c_message_pack(response, GRPC_SLICE_START_PTR(bytes));
    call->reply = grpc_raw_byte_buffer_create(&bytes, 1);
    grpc_slice_unref(bytes);
    call->bytes += size;
}

static void handle(struct call *call, const ProtobufCMessage *request) {
    const struct rpc_method *method = call->method;
    struct err err = ERR_NONE;
    call->arena.limit = call->arena.used + REPLY_MEMORY_MAX;
    ProtobufCMessage *response = arena_alloc(&call->arena, method->response->sizeof_message);
    int r = response ? 0 : err_set(&err, -ENOMEM, "no memory for a reply; try again");
    if (r == 0) {
        protobuf_c_message_init(method->response, response);
        r = method->handle(&call->public, request, response, &err);
    }
    if (r < 0) {
        err.code = err.code ? err.code : r;
        fail(call, call->server->options.code_of(r), &err);
    } else {
        encode(call, response);
    }
}

static void handle_locked(struct call *call, const ProtobufCMessage *request) {
    struct keylock *locks = &call->server->locks;
    const char *kind = call->method->lock;
    cleanup_free char *key = mem_printf("%s '%s'", kind, call->object);
    int r = key ? keylock_try(locks, key) : -ENOMEM;
    if (r == -EAGAIN) {
        rpc_status_set(&call->status, RPC_ABORTED, "another call for %s is running; try again when it has ended", key);
    } else if (r < 0) {
        rpc_status_set(&call->status, RPC_RESOURCE_EXHAUSTED, "no memory to lock %s '%s'; try again", kind,
                       call->object);
    } else {
        handle(call, request);
        keylock_release(locks, key);
    }
}

static void serve(struct work *work) {
    struct call *call = (struct call *)((char *)work - offsetof(struct call, work));
    ProtobufCMessage *request = NULL;
    struct err err = ERR_NONE;
    int r = decode(call, &request, &err);
    if (r == 0 && call->method->object)
        call->object = message_text(request, call->method->object);
    if (r == 0)
        r = message_require(request, call->method->required, &err);
    if (r < 0)
        fail(call, code_of_unpack(r), &err);
    else if (rpc_call_cancelled(&call->public))
        rpc_status_set(&call->status, RPC_CANCELLED, "the client went away before the call was begun");
    else if (call->method->lock)
        handle_locked(call, request);
    else
        handle(call, request);
    send_reply(call);
}

// ---- the reply ----

static enum log_level level_of(const struct call *call) {
    switch (call->status.code) {
    case RPC_OK:
        return call->method->quick ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    case RPC_UNKNOWN:
    case RPC_INTERNAL:
    case RPC_UNAVAILABLE:
    case RPC_DATA_LOSS:
        return LOG_LEVEL_ERROR;
    default:
        return LOG_LEVEL_WARNING;
    }
}

static const char *method_name(const struct call *call) {
    const char *slash = call->method ? strrchr(call->method->path, '/') : NULL;
    return slash ? slash + 1 : "unknown";
}

// The one line and the one count of a call.
static void record(const struct call *call) {
    const char *code = rpc_code_name(call->status.code);
    int64_t ns = clock_monotonic(&clock_system) - call->started_ns;
    metric_observe_seconds(&rpc_seconds, method_name(call), code, (double)ns / (double)NS_PER_S);
    char object[200] = "";
    (void)snprintf(object, sizeof object, "%s", call->object ? call->object : "");
    struct log_field fields[6] = {LOG_S("method", method_name(call)), LOG_S("code", code), LOG_I("ms", ns / NS_PER_MS),
                                  LOG_S("request_id", call->request_id)};
    size_t count = 4;
    if (object[0])
        fields[count++] = LOG_S(call->server->options.object_label, object);
    if (call->status.code != RPC_OK)
        fields[count++] = LOG_S("error", call->status.message);
    log_write(level_of(call), "rpc", fields, count);
}

static void on_sent(struct call *call, bool ok) {
    (void)ok; // a reply that found nobody any more needs nothing done
    call_drop(call);
}

static void send_reply(struct call *call) {
    record(call);
    grpc_slice message = grpc_slice_from_copied_string(call->status.message);
    grpc_op ops[3] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = (grpc_status_code)call->status.code, .status_details = &message}},
    };
    size_t count = 2;
    if (call->status.code == RPC_OK)
        ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->reply};
    grpc_call *core = call->core;
    atomic_store(&call->sent.handed, true); // from here on the poller may free the call
    grpc_call_error error = grpc_call_start_batch(core, ops, count, &call->sent, NULL);
    grpc_slice_unref(message);
    if (error != GRPC_CALL_OK) { // no such reply can be sent: end the call, so that the client does not wait
        (void)grpc_call_cancel(core, NULL);
        call_drop(call);
    }
}

// ---- arrival: on the poller ----

static void on_closed(struct call *call, bool ok) {
    (void)ok;
    if (call->closed_early)
        atomic_store(&call->cancelled, true);
    call_drop(call);
}

static void on_received(struct call *call, bool ok) {
    if (!ok || !call->request) {
        // The core has answered a request that is too large or broken by itself; then this reply goes nowhere.
        rpc_status_set(&call->status, ok ? RPC_INVALID_ARGUMENT : RPC_RESOURCE_EXHAUSTED,
                       "no request came, or one of more than %d MiB", RPC_REQUEST_MAX >> 20);
        send_reply(call);
        return;
    }
    struct rpc_server *server = call->server;
    call->work.run = serve;
    if (workq_push(call->method->quick ? server->quick : server->pool, &call->work) < 0) {
        rpc_status_set(&call->status, RPC_RESOURCE_EXHAUSTED, "no thread for the call could be started; try again");
        send_reply(call);
    }
}

// A call that is not to be read: why, in its status.
static bool refused(struct call *call) {
    struct rpc_server *server = call->server;
    LOCK_SCOPE(&server->lock);
    if (server->stopping)
        rpc_status_set(&call->status, RPC_UNAVAILABLE, "the server is stopping; try again on the next one");
    else if (!call->method)
        rpc_status_set(&call->status, RPC_UNIMPLEMENTED, "this server has no method of that name");
    else if (server->calls > CALLS_MAX)
        rpc_status_set(&call->status, RPC_RESOURCE_EXHAUSTED, "%d calls are running already; try again", CALLS_MAX);
    return call->status.code != RPC_OK;
}

static bool is_request_id(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return len > 0 && len < sizeof((struct call){0}.request_id);
}

static void name_call(struct call *call) {
    static atomic_uint_fast64_t count;
    static atomic_uint_fast64_t process;
    if (atomic_load(&process) == 0) {
        uint32_t random = 0;
        clock_random(&clock_system, &random, sizeof random);
        atomic_store(&process, random | 1U << 31);
    }
    (void)snprintf(call->request_id, sizeof call->request_id, "%08lx-%lu", (unsigned long)atomic_load(&process),
                   (unsigned long)atomic_fetch_add(&count, 1) + 1);
    for (size_t i = 0; i < call->metadata.count; i++) {
        const grpc_metadata *item = &call->metadata.metadata[i];
        const char *text = (const char *)GRPC_SLICE_START_PTR(item->value);
        size_t len = GRPC_SLICE_LENGTH(item->value);
        if (grpc_slice_str_cmp(item->key, "x-request-id") == 0 && is_request_id(text, len))
            (void)snprintf(call->request_id, sizeof call->request_id, "%.*s", (int)len, text);
    }
}

static void set_deadline(struct call *call) {
    call->public.deadline_ns = core_to_deadline(call->details.deadline);
    unsigned seconds = call->server->options.deadline_s;
    if (call->method && call->method->deadline_s)
        seconds = call->method->deadline_s;
    if (call->public.deadline_ns == DEADLINE_NONE)
        call->public.deadline_ns = call->started_ns + seconds * NS_PER_S;
}

static const struct rpc_method *find_method(const struct call *call) {
    char path[128];
    size_t len = GRPC_SLICE_LENGTH(call->details.method);
    if (len >= sizeof path)
        return NULL;
    memcpy(path, GRPC_SLICE_START_PTR(call->details.method), len);
    path[len] = '\0';
    return strmap_get(&call->server->methods, path);
}

// Without memory for the next call the server would be deaf: give this one up and wait with its memory.
static bool await_next(struct call *call) {
    struct rpc_server *server = call->server;
    if (call_await(server))
        return true;
    (void)grpc_call_cancel(call->core, NULL);
    return false;
}

static void begin(struct call *call) {
    call->started_ns = clock_monotonic(&clock_system);
    call->method = find_method(call);
    call->public =
        (struct rpc_call){.self = call->server->options.self, .arena = &call->arena, .request_id = call->request_id};
    set_deadline(call);
    name_call(call);
    LOCK_SCOPE(&call->server->lock);
    call->server->calls++;
}

static void on_came(struct call *call, bool ok) {
    if (!ok) { // the server shuts down
        call_free(call);
        return;
    }
    if (!await_next(call)) {
        struct rpc_server *server = call->server;
        call_free(call);
        (void)call_await(server); // with what was just released
        return;
    }
    begin(call);
    grpc_op close_op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->closed_early};
    grpc_op read_op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->request};
    if (grpc_call_start_batch(call->core, &close_op, 1, &call->closed, NULL) != GRPC_CALL_OK)
        call_drop(call);
    if (refused(call))
        send_reply(call);
    else if (grpc_call_start_batch(call->core, &read_op, 1, &call->received, NULL) != GRPC_CALL_OK)
        on_received(call, false);
}

bool call_await(struct rpc_server *server) {
    metric_register(&rpc_seconds);
    struct call *call = mem_zalloc(sizeof *call);
    if (!call)
        return false;
    call->server = server;
    call->came = (struct event){.happened = on_came, .call = call};
    call->received = (struct event){.happened = on_received, .call = call};
    call->sent = (struct event){.happened = on_sent, .call = call};
    call->closed = (struct event){.happened = on_closed, .call = call};
    atomic_init(&call->references, 2);
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    atomic_store(&call->came.handed, true);
    if (grpc_server_request_call(server->core, &call->core, &call->details, &call->metadata, server->queue,
                                 server->queue, &call->came) == GRPC_CALL_OK)
        return true;
    call_free(call);
    return false;
}
