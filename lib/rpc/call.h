// SPDX-License-Identifier: Apache-2.0
// The server's inside: one call's way from the wire to its handler and back. Only lib/rpc includes it.
//
//   waiting --call came--> reading --message came--> queued --pool--> serving --> sending --sent and closed--> (freed)
//      |                       |                                                     ^
//      | stopping: freed       +-- no message, no such method, too many, stopping ---+
//
// Threads: every arrow is taken by the poller, but queued → serving → sending by a thread of a pool. A call has two
//          references, "sent" and "closed"; whoever drops the last one frees it.
#pragma once

#include <stdatomic.h>

#include "lib/base/keylock.h"
#include "lib/base/workq.h"
#include "lib/rpc/core.h"
#include "lib/rpc/server.h"

#define REQUEST_MEMORY_MAX ((size_t)32 * 1024 * 1024) // of a decoded request
#define REPLY_MEMORY_MAX ((size_t)256 * 1024 * 1024)  // of a reply before it is encoded
#define CALLS_MAX 1024                                // begun and not ended, all connections together
#define STREAMS_MAX 256                               // of one connection

struct rpc_server {
    struct rpc_server_options options;
    char *path;
    struct strmap methods; // path → struct rpc_method
    grpc_server *core;
    grpc_completion_queue *queue;
    pthread_t poller;
    struct workq *pool, *quick;
    struct keylock locks;
    atomic_bool cancelled; // the grace of rpc_server_stop has ended
    pthread_mutex_t lock;  // of what follows
    pthread_cond_t changed;
    size_t calls;
    bool stopping, shut_down;
};

struct call;
struct event { // what the completion queue gives back
    void (*happened)(struct call *call, bool ok);
    struct call *call;
    // What a thread wrote before it handed the call to the core is seen by the poller: the core's own locks do that too,
    // but a sanitizer cannot see inside the core.
    atomic_bool handed;
};

struct call {
    struct rpc_call public;
    struct work work;
    struct rpc_server *server;
    const struct rpc_method *method; // NULL: not in the table
    grpc_call *core;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request, *reply;
    struct event came, received, sent, closed;
    int closed_early;      // written by the core before `closed` happens
    atomic_bool cancelled; // the client went away or its deadline passed
    atomic_int references;
    struct arena arena;
    const char *object; // from the request; NULL until it was decoded
    size_t bytes;       // of request and reply
    int64_t started_ns;
    char request_id[65];
    struct rpc_status status;
};

// Waits for one more call. False: no memory.
bool call_await(struct rpc_server *server);
