// SPDX-License-Identifier: Apache-2.0
// A gRPC server on a unix socket: one table row per RPC, everything common in one path.
//
// Why:     unpacking, required fields, locks, deadlines, logging, metrics and codes are the same for every RPC. A
// handler
//          sees a checked request and a reply to fill.
// Owns:    borrows the table and what handlers point to; both must outlive the server. Requests and replies live in the
//          call's arena until the reply was sent.
// Threads: one thread moves bytes; handlers run on a bounded pool, started as calls come. Rows marked `quick` have two
//          threads of their own, so that a probe is answered while every other handler waits for a disk.
// Fails:   starting gives -errno with a message that names the socket. A handler returns 0 or -errno with a message;
//          `code_of` turns it into a gRPC code. Answered without the handler: UNIMPLEMENTED (no such row),
//          INVALID_ARGUMENT (bytes that are no such message, text that is no UTF-8, a missing required field),
//          RESOURCE_EXHAUSTED (request above RPC_REQUEST_MAX, too many calls), ABORTED (its lock is taken),
//          UNAVAILABLE (stopping).
// Order:   a call's lock is held around its handler only; no lock of the server is held then.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/rpc/arena.h"
#include "lib/rpc/status.h"

#define RPC_REQUEST_MAX (4 * 1024 * 1024)
#define RPC_REPLY_MAX (64 * 1024 * 1024)
#define RPC_REQUIRED_MAX 4

struct rpc_server;

struct rpc_call {           // what a handler knows of its call
    void *self;             // the server's options.self
    struct arena *arena;    // memory of the call; the reply is built from it
    const char *request_id; // the client's "x-request-id", or one of our own
    int64_t deadline_ns;    // absolute CLOCK_MONOTONIC
};
// Has the client gone, or its deadline passed, or the server's grace ended?
bool rpc_call_cancelled(const struct rpc_call *call);

// `response` is initialised with defaults; what it points to comes from call->arena.
typedef int (*rpc_handler)(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response,
                           struct err *err);

struct rpc_method {
    const char *path; // "/csi.v1.Identity/Probe"
    const ProtobufCMessageDescriptor *request, *response;
    rpc_handler handle;
    const char *required[RPC_REQUIRED_MAX + 1]; // fields that must not be empty, in order; NULL-terminated
    const char *object;                         // text field that names the object of the call in the log, or NULL
    const char *lock;    // kind of `object`: what is locked is this with the field's value; NULL: runs without a lock
    unsigned deadline_s; // when the client gives none; 0: the server's
    bool quick;          // answers from memory; its success is logged at debug
};

struct rpc_server_options {
    const char *socket;                      // path, with or without "unix://"
    const struct rpc_method *const *methods; // NULL-terminated
    void *self;
    enum rpc_code (*code_of)(int error); // of a handler's -errno
    const char *object_label;            // key of the object in the log: "volume"
    unsigned threads;                    // handlers at once, 1..256; 0: 16
    unsigned deadline_s;                 // 0: 60
};

// The socket has mode 0660. A file left by a dead server is replaced; -EADDRINUSE when one lives.
int rpc_server_start(const struct rpc_server_options *options, struct rpc_server **ret, struct err *err) must_check;
// Answers what comes with UNAVAILABLE, waits `grace_ms` for what runs, then cancels it, waits for the handlers to
// return, and frees. Accepts NULL.
struct rpc_server *rpc_server_stop(struct rpc_server *server, unsigned grace_ms);
