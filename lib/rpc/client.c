// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/client.h"

#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/rpc/address.h"
#include "lib/rpc/core.h"

struct running { // a call that waits, on the stack of its thread
    grpc_call *call;
    struct running *next, **link;
};

struct rpc_client {
    grpc_channel *channel;
    pthread_mutex_t lock; // of `running`
    struct running *running;
};

static grpc_channel *open_channel(int fd) {
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = RPC_CLIENT_REPLY_MAX},
        {.type = GRPC_ARG_INTEGER, .key = GRPC_ARG_ENABLE_RETRIES, .value.integer = 0},
    };
    grpc_channel_args list = {.num_args = ARRAY_SIZE(args), .args = args};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create_from_fd("localhost", fd, credentials, &list);
    grpc_channel_credentials_release(credentials);
    return channel;
}

int rpc_client_connect(const char *socket, struct rpc_client **ret, struct err *err) {
    const char *path = NULL;
    cleanup_close int fd = -1;
    int r = address_path(socket, &path, err);
    if (r == 0)
        r = address_connect(path, &fd, err);
    if (r < 0)
        return r;
    struct rpc_client *client = mem_zalloc(sizeof *client);
    if (!client)
        return err_set(err, -ENOMEM, "no memory for a connection to '%s'", path);
    core_init();
    (void)pthread_mutex_init(&client->lock, NULL);
    client->channel = open_channel(take_fd(&fd));
    *ret = client;
    return 0;
}

struct rpc_client *rpc_client_free(struct rpc_client *client) {
    if (!client)
        return NULL;
    grpc_channel_destroy(client->channel);
    core_shutdown();
    (void)pthread_mutex_destroy(&client->lock);
    free(client);
    return NULL;
}

static void enter(struct rpc_client *client, struct running *running) {
    LOCK_SCOPE(&client->lock);
    running->next = client->running;
    running->link = &client->running;
    if (running->next)
        running->next->link = &running->next;
    client->running = running;
}

static void leave(struct rpc_client *client, struct running *running) {
    LOCK_SCOPE(&client->lock);
    *running->link = running->next;
    if (running->next)
        running->next->link = running->link;
}

void rpc_client_cancel(struct rpc_client *client) {
    LOCK_SCOPE(&client->lock);
    for (struct running *running = client->running; running; running = running->next)
        (void)grpc_call_cancel(running->call, NULL);
}

struct exchange { // what one call sends and receives
    grpc_byte_buffer *request, *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code code;
    grpc_slice details;
};

// Sends, and waits for the reply and its status.
static void converse(struct rpc_client *client, const char *method, int64_t deadline_ns, struct exchange *x) {
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_slice path = grpc_slice_from_copied_string(method);
    struct running running = {.call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                                               path, NULL, core_from_deadline(deadline_ns), NULL)};
    enter(client, &running);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = x->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &x->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &x->reply},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &x->trailing,
                                        .status = &x->code,
                                        .status_details = &x->details}},
    };
    if (grpc_call_start_batch(running.call, ops, ARRAY_SIZE(ops), &running, NULL) == GRPC_CALL_OK)
        (void)grpc_completion_queue_pluck(queue, &running, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    leave(client, &running);
    grpc_call_unref(running.call);
    grpc_slice_unref(path);
    grpc_completion_queue_shutdown(queue);
    (void)grpc_completion_queue_pluck(queue, NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_destroy(queue);
}

static int take_reply(grpc_byte_buffer *reply, struct rpc_bytes *ret, struct rpc_status *status) {
    size_t len = grpc_byte_buffer_length(reply);
    cleanup_free char *data = mem_alloc(len);
    if (!data) {
        rpc_status_set(status, RPC_RESOURCE_EXHAUSTED, "no memory for a reply of %zu bytes", len);
        return -EREMOTEIO;
    }
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, reply)) {
        rpc_status_set(status, RPC_INTERNAL, "the reply cannot be read");
        return -EREMOTEIO;
    }
    size_t at = 0;
    for (grpc_slice part; grpc_byte_buffer_reader_next(&reader, &part); grpc_slice_unref(part)) {
        memcpy(data + at, GRPC_SLICE_START_PTR(part), GRPC_SLICE_LENGTH(part));
        at += GRPC_SLICE_LENGTH(part);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    *ret = (struct rpc_bytes){.data = take_ptr(data), .len = at};
    return 0;
}

static int call_slice(struct rpc_client *client, const char *method, grpc_slice request, struct rpc_bytes *ret,
                      int64_t deadline_ns, struct rpc_status *status) {
    struct exchange x = {.request = grpc_raw_byte_buffer_create(&request, 1),
                         .code = GRPC_STATUS_INTERNAL,
                         .details = grpc_empty_slice()};
    grpc_slice_unref(request);
    converse(client, method, deadline_ns, &x);
    rpc_status_set(status, (enum rpc_code)x.code, "%.*s", (int)GRPC_SLICE_LENGTH(x.details),
                   (const char *)GRPC_SLICE_START_PTR(x.details));
    int r = -EREMOTEIO;
    if (status->code == RPC_OK && x.reply)
        r = take_reply(x.reply, ret, status);
    else if (status->code == RPC_OK)
        rpc_status_set(status, RPC_INTERNAL, "the server sent no reply to %s", method);
    grpc_metadata_array_destroy(&x.initial);
    grpc_metadata_array_destroy(&x.trailing);
    grpc_slice_unref(x.details);
    grpc_byte_buffer_destroy(x.request);
    if (x.reply)
        grpc_byte_buffer_destroy(x.reply);
    return r;
}

int rpc_client_call_bytes(struct rpc_client *client, const char *method, struct rpc_bytes request,
                          struct rpc_bytes *ret, int64_t deadline_ns, struct rpc_status *status) {
    grpc_slice slice = grpc_slice_from_copied_buffer(request.data ? request.data : "", request.len);
    return call_slice(client, method, slice, ret, deadline_ns, status);
}

static void *allocate(void *data, size_t size) {
    (void)data;
    return mem_alloc(size);
}

static void release(void *data, void *piece) {
    (void)data;
    free(piece);
}

int rpc_client_call(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *response_type, ProtobufCMessage **ret, int64_t deadline_ns,
                    struct rpc_status *status) {
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(request));
    (void)protobuf_c_message_pack(request, GRPC_SLICE_START_PTR(slice));
    struct rpc_bytes reply = {0};
    int r = call_slice(client, method, slice, &reply, deadline_ns, status);
    if (r < 0)
        return r;
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release};
    *ret = protobuf_c_message_unpack(response_type, &allocator, reply.len, reply.data);
    free(reply.data);
    if (*ret)
        return 0;
    rpc_status_set(status, RPC_INTERNAL, "the reply to %s is no %s message", method, response_type->short_name);
    return -EREMOTEIO;
}

ProtobufCMessage *rpc_message_free(ProtobufCMessage *message) {
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release};
    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
    return NULL;
}
