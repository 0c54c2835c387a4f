// SPDX-License-Identifier: Apache-2.0
// Bytes as the request of every CSI RPC: decoded, checked, handled by the in-memory class, and the reply encoded.
// Used by the replay of the corpus and by the libFuzzer program alike.
#pragma once

#include <assert.h>
#include <errno.h>

#include "csi/table.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/rpc/message.h"
#include "tests/fakes/fake_class.h"

// A node that does nothing, because paths of a fuzzer must reach no file system.
static int fuzz_info(void *self, struct node_info *ret, struct err *err) {
    (void)self, (void)ret, (void)err;
    return 0;
}
static int fuzz_stage(void *self, const struct call_context *ctx, const struct node_stage_request *q, struct err *err) {
    (void)self, (void)ctx;
    return q->staging_path[0] == '/' ? 0 : err_set(err, -EIO, "unchecked path");
}
static int fuzz_publish(void *self, const struct call_context *ctx, const struct node_publish_request *q,
                        struct err *err) {
    (void)self, (void)ctx;
    return q->target_path[0] == '/' && q->staging_path[0] == '/' ? 0 : err_set(err, -EIO, "unchecked path");
}
static int fuzz_leave(void *self, const struct call_context *ctx, const char *id, const char *path, struct err *err) {
    (void)self, (void)ctx;
    return id[0] && path[0] == '/' ? 0 : err_set(err, -EIO, "unchecked path");
}
static int fuzz_stats(void *self, const struct call_context *ctx, const char *id, const char *path,
                      struct node_usage *ret, struct err *err) {
    (void)self, (void)ctx, (void)ret;
    return id[0] && path[0] ? 0 : err_set(err, -EIO, "unchecked path");
}
static int fuzz_expand(void *self, const struct call_context *ctx, const char *id, const char *path, int64_t required,
                       int64_t limit, int64_t *ret, struct err *err) {
    (void)self, (void)ctx, (void)path;
    *ret = required;
    return id[0] && required >= 0 && limit >= 0 ? 0 : err_set(err, -EIO, "unchecked range");
}
static const struct node_ops fuzz_node = {.info = fuzz_info,
                                          .stage = fuzz_stage,
                                          .unstage = fuzz_leave,
                                          .publish = fuzz_publish,
                                          .unpublish = fuzz_leave,
                                          .stats = fuzz_stats,
                                          .expand = fuzz_expand};

// Aborts when a handler lets through what it should have checked, or builds a reply that cannot be encoded.
static void fuzz_one_row(const struct rpc_method *row, struct fake_class *fake, const uint8_t *data, size_t size) {
    struct arena arena cleanup(arena_done) = {0};
    arena_init(&arena, (size_t)1 << 22);
    struct err err = ERR_NONE;
    ProtobufCMessage *request = NULL;
    if (message_unpack(row->request, data, size, &arena, &request, &err) < 0 ||
        message_require(request, row->required, &err) < 0) {
        assert(err.msg[0] != '\0');
        return;
    }
    struct rpc_call call = {.self = &fake->class, .arena = &arena, .request_id = "fuzz", .deadline_ns = NS_PER_S};
    arena.limit += (size_t)1 << 24;
    ProtobufCMessage *response = arena_alloc(&arena, row->response->sizeof_message);
    assert(response);
    protobuf_c_message_init(row->response, response);
    int r = row->handle(&call, request, response, &err);
    assert(r <= 0 && r != -EIO && (r == 0 || err.msg[0] != '\0'));
    size_t len = r == 0 ? protobuf_c_message_get_packed_size(response) : 0;
    cleanup_free uint8_t *packed = mem_alloc(len);
    assert(packed && (r < 0 || protobuf_c_message_pack(response, packed) == len));
}

static void fuzz_one(const uint8_t *data, size_t size) {
    static struct fake_class fake;
    fake_class_init(&fake);
    fake.class.node = &fuzz_node;
    const struct rpc_method *rows[CSI_RPC_COUNT + 1];
    csi_table_of(&fake.class, rows);
    for (const struct rpc_method **row = rows; *row; row++)
        fuzz_one_row(*row, &fake, data, size);
    fake_class_done(&fake);
}
