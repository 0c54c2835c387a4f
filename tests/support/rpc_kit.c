// SPDX-License-Identifier: Apache-2.0
#include "tests/support/rpc_kit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "proto/csi.pb-c.h"
#include "tests/support/cm.h"

typedef Csi__V1__DeleteVolumeRequest Request; // one text field, "volume_id", and a map
typedef Csi__V1__GetPluginInfoResponse Reply; // "name"

// ---- the server under test ----

struct rpc_hold rpc_hold;

static int echo(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    (void)err;
    atomic_fetch_add(&rpc_hold.echoed, 1);
    ((Reply *)response)->name = arena_strdup(call->arena, ((const Request *)request)->volume_id);
    return 0;
}

static int refuse(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    (void)call, (void)response;
    return err_set(err, -ENOENT, "%s", ((const Request *)request)->volume_id);
}

static int large(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    (void)err;
    size_t size = (size_t)strtoul(((const Request *)request)->volume_id, NULL, 10);
    char *text = arena_alloc(call->arena, size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    ((Reply *)response)->name = text;
    return 0;
}

static int hold(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    atomic_fetch_add(&rpc_hold.entered, 1);
    while (!atomic_load(&rpc_hold.go)) {
        if (rpc_call_cancelled(call)) {
            atomic_fetch_add(&rpc_hold.saw_cancel, 1);
            return err_set(err, -ECANCELED, "cancelled");
        }
        (void)poll(NULL, 0, 1);
    }
    return echo(call, request, response, err);
}

static int tell_deadline(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response,
                         struct err *err) {
    (void)request, (void)err;
    char text[32];
    int64_t left = call->deadline_ns - clock_monotonic(&clock_system);
    (void)snprintf(text, sizeof text, "%lld", (long long)((left + NS_PER_S / 2) / NS_PER_S));
    ((Reply *)response)->name = arena_strdup(call->arena, text);
    return 0;
}

#define TYPES                                                                                                          \
    .request = &csi__v1__delete_volume_request__descriptor, .response = &csi__v1__get_plugin_info_response__descriptor
static const struct rpc_method rows[] = {
    {.path = "/t.T/Echo", TYPES, .handle = echo, .required = {"volume_id"}, .object = "volume_id"},
    {.path = "/t.T/Fail", TYPES, .handle = refuse},
    {.path = "/t.T/Large", TYPES, .handle = large},
    {.path = "/t.T/Hold", TYPES, .handle = hold, .object = "volume_id", .lock = "volume"},
    {.path = "/t.T/Quick", TYPES, .handle = echo, .quick = true},
    {.path = "/t.T/Deadline", TYPES, .handle = tell_deadline, .deadline_s = 33},
};
static const struct rpc_method *const methods[] = {&rows[0], &rows[1], &rows[2], &rows[3], &rows[4], &rows[5], NULL};

static enum rpc_code code_of(int error) {
    return error == -ENOENT ? RPC_NOT_FOUND : error == -ECANCELED ? RPC_CANCELLED : RPC_INTERNAL;
}

// ---- its life ----

struct rpc_server_options rpc_kit_options(const struct rpc_kit *f) {
    return (struct rpc_server_options){
        .socket = f->socket, .methods = methods, .code_of = code_of, .object_label = "volume", .threads = 4};
}

void rpc_kit_start(struct rpc_kit *f) {
    struct rpc_server_options options = rpc_kit_options(f);
    struct err err = ERR_NONE;
    if (rpc_server_start(&options, &f->server, &err) < 0 || rpc_client_connect(f->socket, &f->client, &err) < 0)
        fail_msg("%s", err_text(&err));
}

int rpc_kit_setup(void **state) {
    struct rpc_kit *f = mem_zalloc(sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/test-rpc-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof f->socket, "%s/a%%20 b.sock", f->dir);
    atomic_store(&rpc_hold.entered, 0);
    atomic_store(&rpc_hold.saw_cancel, 0);
    atomic_store(&rpc_hold.go, false);
    atomic_store(&rpc_hold.echoed, 0);
    rpc_kit_start(f);
    *state = f;
    return 0;
}

int rpc_kit_teardown(void **state) {
    struct rpc_kit *f = *state;
    atomic_store(&rpc_hold.go, true);
    (void)rpc_client_free(f->client);
    (void)rpc_server_stop(f->server, 10000);
    (void)unlink(f->socket);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

// ---- calls ----

char *rpc_kit_ask(struct rpc_client *client, const char *method, const char *id, int64_t deadline_ns,
                  struct rpc_status *status) {
    Request request = CSI__V1__DELETE_VOLUME_REQUEST__INIT;
    request.volume_id = (char *)(uintptr_t)id;
    ProtobufCMessage *reply cleanup(rpc_message_freep) = NULL;
    int r = rpc_client_call(client, method, &request.base, &csi__v1__get_plugin_info_response__descriptor, &reply,
                            deadline_ns, status);
    assert_int_equal(r, status->code == RPC_OK ? 0 : -EREMOTEIO);
    return reply ? mem_strdup(((Reply *)reply)->name) : NULL;
}

enum rpc_code rpc_kit_ask_code(struct rpc_client *client, const char *method, const char *id) {
    struct rpc_status status;
    free(rpc_kit_ask(client, method, id, DEADLINE_NONE, &status));
    return status.code;
}

enum rpc_code rpc_kit_send(struct rpc_kit *f, const void *data, size_t len, struct rpc_status *status) {
    struct rpc_bytes reply = {0};
    int r =
        rpc_client_call_bytes(f->client, "/t.T/Echo", (struct rpc_bytes){.data = (void *)(uintptr_t)data, .len = len},
                              &reply, DEADLINE_NONE, status);
    assert_int_equal(r, status->code == RPC_OK ? 0 : -EREMOTEIO);
    free(reply.data);
    return status->code;
}
static void *run_waiter(void *arg) {
    struct rpc_waiter *w = arg;
    w->reply = rpc_kit_ask(w->client, "/t.T/Hold", w->id, w->deadline_ns, &w->status);
    return NULL;
}

void rpc_waiter_begin(struct rpc_waiter *w, struct rpc_client *client, const char *id, int64_t deadline_ns) {
    *w = (struct rpc_waiter){.client = client, .id = id, .deadline_ns = deadline_ns};
    int before = atomic_load(&rpc_hold.entered);
    assert_int_equal(pthread_create(&w->thread, NULL, run_waiter, w), 0);
    while (atomic_load(&rpc_hold.entered) == before)
        (void)poll(NULL, 0, 1);
}

void rpc_waiter_end(struct rpc_waiter *w) {
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    free(w->reply);
}
