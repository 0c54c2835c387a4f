// SPDX-License-Identifier: Apache-2.0
// Unary gRPC calls to a server on a unix socket.
//
// Why:     the command and the tests speak to the CSI sockets through the same C core as the server.
// Owns:    a client is one connection. It does not reconnect: after the server went away every call answers
//          UNAVAILABLE; free it and connect again.
// Threads: any number of threads may call at once, each waits for its own reply. Freeing needs that none is calling.
// Fails:   connecting gives -errno with a message that names the socket; a call gives -EREMOTEIO and the gRPC code and
//          message in `status`, also for failures on this side (no memory: RESOURCE_EXHAUSTED, lost connection:
//          UNAVAILABLE, deadline: DEADLINE_EXCEEDED, a reply that cannot be decoded: INTERNAL).
// Limits:  replies up to RPC_CLIENT_REPLY_MAX bytes.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/rpc/status.h"

#define RPC_CLIENT_REPLY_MAX (64 * 1024 * 1024)

struct rpc_client;

// `socket`: a path, with or without "unix://" or "unix:" before it.
int rpc_client_connect(const char *socket, struct rpc_client **ret, struct err *err) must_check;
struct rpc_client *rpc_client_free(struct rpc_client *client);
DEFINE_CLEANUP(rpc_client)

// `method` is the full path, "/csi.v1.Identity/Probe"; `deadline_ns` an absolute CLOCK_MONOTONIC time, or
// DEADLINE_NONE. The reply is released with rpc_message_free (or the generated ..._free_unpacked and NULL).
int rpc_client_call(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *response_type, ProtobufCMessage **ret, int64_t deadline_ns,
                    struct rpc_status *status) must_check;

// The same below protobuf: bytes to bytes. `ret` is allocated, to be freed by the caller.
struct rpc_bytes {
    void *data;
    size_t len;
};
int rpc_client_call_bytes(struct rpc_client *client, const char *method, struct rpc_bytes request,
                          struct rpc_bytes *ret, int64_t deadline_ns, struct rpc_status *status) must_check;

// Ends every running call of this client with CANCELLED, from any thread; later calls are not touched.
void rpc_client_cancel(struct rpc_client *client);

ProtobufCMessage *rpc_message_free(ProtobufCMessage *message); // accepts NULL
static inline void rpc_message_freep(ProtobufCMessage **message) {
    (void)rpc_message_free(*message);
}
