// SPDX-License-Identifier: Apache-2.0
// What the tests of the CSI services share: a server of the in-memory class on a real socket, and calls to it.
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "csi/server.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/rpc/client.h"
#include "proto/csi.pb-c.h"
#include "tests/fakes/fake_class.h"

struct fixture {
    char dir[32], socket[64];
    struct fake_class fake;
    struct csi_server *server;
    struct rpc_client *client;
    struct rpc_status status;
    ProtobufCMessage *reply; // of the last call
};

static Csi__V1__VolumeCapability__AccessMode many_writers = CSI__V1__VOLUME_CAPABILITY__ACCESS_MODE__INIT;
static Csi__V1__VolumeCapability__AccessMode strange_mode = CSI__V1__VOLUME_CAPABILITY__ACCESS_MODE__INIT;
static Csi__V1__VolumeCapability__MountVolume as_mount = CSI__V1__VOLUME_CAPABILITY__MOUNT_VOLUME__INIT;
static Csi__V1__VolumeCapability__BlockVolume as_block = CSI__V1__VOLUME_CAPABILITY__BLOCK_VOLUME__INIT;
static Csi__V1__VolumeCapability mount_volume = CSI__V1__VOLUME_CAPABILITY__INIT;
static Csi__V1__VolumeCapability block_volume = CSI__V1__VOLUME_CAPABILITY__INIT;
static Csi__V1__VolumeCapability without_mode = CSI__V1__VOLUME_CAPABILITY__INIT;
static Csi__V1__VolumeCapability without_type = CSI__V1__VOLUME_CAPABILITY__INIT;
static Csi__V1__VolumeCapability unknown_mode = CSI__V1__VOLUME_CAPABILITY__INIT;
static Csi__V1__VolumeCapability *mounts[] = {&mount_volume};

static inline void make_capabilities(void) {
    many_writers.mode = CSI__V1__VOLUME_CAPABILITY__ACCESS_MODE__MODE__MULTI_NODE_MULTI_WRITER;
    strange_mode.mode = (Csi__V1__VolumeCapability__AccessMode__Mode)77;
    mount_volume.mount = without_mode.mount = unknown_mode.mount = &as_mount;
    mount_volume.access_type_case = without_mode.access_type_case = unknown_mode.access_type_case =
        CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_MOUNT;
    block_volume.block = &as_block;
    block_volume.access_type_case = CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_BLOCK;
    mount_volume.access_mode = block_volume.access_mode = without_type.access_mode = &many_writers;
    unknown_mode.access_mode = &strange_mode;
}

static inline void start(struct fixture *f) {
    struct err err = ERR_NONE;
    struct csi_server_options options = {.socket = f->socket, .class = &f->fake.class, .deadline_s = 7};
    if (csi_server_start(&options, &f->server, &err) < 0 || rpc_client_connect(f->socket, &f->client, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static inline void stop(struct fixture *f) {
    f->client = rpc_client_free(f->client);
    f->server = csi_server_stop(f->server, 1000);
}

static inline int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    make_capabilities();
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/test-csi-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof f->socket, "unix://%s/csi.sock", f->dir);
    fake_class_init(&f->fake);
    start(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    struct fixture *f = *state;
    f->reply = rpc_message_free(f->reply);
    stop(f);
    fake_class_done(&f->fake);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static inline void call(struct fixture *f, const char *method, const ProtobufCMessage *request,
                        const ProtobufCMessageDescriptor *type, enum rpc_code code, int line) {
    f->reply = rpc_message_free(f->reply);
    int r = rpc_client_call(f->client, method, request, type, &f->reply, DEADLINE_NONE, &f->status);
    if (f->status.code != code)
        fail_msg("line %d: %s gave %s (%s), expected %s", line, method, rpc_code_name(f->status.code),
                 f->status.message, rpc_code_name(code));
    assert_int_equal(r, code == RPC_OK ? 0 : -EREMOTEIO);
    if (code != RPC_OK)
        assert_true(f->status.message[0] != '\0');
}

// Calls with a request `q` that the last argument fills, and expects a code; gives the reply.
#define CALL(f, service, Rpc, handler, code, ...)                                                                      \
    __extension__({                                                                                                    \
        Csi__V1__##Rpc##Request q;                                                                                     \
        csi__v1__##handler##_request__init(&q);                                                                        \
        __VA_ARGS__;                                                                                                   \
        call(f, "/csi.v1." #service "/" #Rpc, &q.base, &csi__v1__##handler##_response__descriptor, code, __LINE__);    \
        (Csi__V1__##Rpc##Response *)(f)->reply;                                                                        \
    })
#define CAPS(list) q.volume_capabilities = (list), q.n_volume_capabilities = 1
#define RANGE(required, limit)                                                                                         \
    Csi__V1__CapacityRange range = CSI__V1__CAPACITY_RANGE__INIT;                                                      \
    range.required_bytes = (required), range.limit_bytes = (limit);                                                    \
    q.capacity_range = &range

#define CREATE(f, code, ...) CALL(f, Controller, CreateVolume, create_volume, code, CAPS(mounts); __VA_ARGS__)

static inline char *new_volume(struct fixture *f, const char *name) {
    return mem_strdup(CREATE(f, RPC_OK, q.name = (char *)(uintptr_t)name)->volume->volume_id);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
