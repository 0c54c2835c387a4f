// SPDX-License-Identifier: Apache-2.0
// A server with a few methods on a real socket, and a client of it: for the tests of the contract.
//
//     Echo       gives the id back (required)        Quick     the same, beside the pool of threads
//     Fail       NOT_FOUND with the id as message    Deadline  seconds left; 33 when the client sets none
//     Large      so many bytes as the id says        Hold      holds the object's lock until rpc_hold.go
//
// Threads: one test at a time in a process; rpc_waiter runs a call beside it.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/clock.h"
#include "lib/rpc/client.h"
#include "lib/rpc/server.h"

struct rpc_kit {
    char dir[32], socket[64];
    struct rpc_server *server;
    struct rpc_client *client;
};

struct rpc_hold {
    atomic_int entered, saw_cancel; // by Hold
    atomic_bool go;
    atomic_int echoed; // answers that handlers gave
};
extern struct rpc_hold rpc_hold;

int rpc_kit_setup(void **state);
int rpc_kit_teardown(void **state);
struct rpc_server_options rpc_kit_options(const struct rpc_kit *f);
void rpc_kit_start(struct rpc_kit *f); // server and client

// The reply's name, or NULL; to be freed.
char *rpc_kit_ask(struct rpc_client *client, const char *method, const char *id, int64_t deadline_ns,
                  struct rpc_status *status);
enum rpc_code rpc_kit_ask_code(struct rpc_client *client, const char *method, const char *id);
// Bytes to Echo.
enum rpc_code rpc_kit_send(struct rpc_kit *f, const void *data, size_t len, struct rpc_status *status);

struct rpc_waiter { // a call of Hold on a thread of its own
    pthread_t thread;
    struct rpc_client *client;
    const char *id;
    int64_t deadline_ns;
    struct rpc_status status;
    char *reply;
};

// Returns when the handler runs.
void rpc_waiter_begin(struct rpc_waiter *w, struct rpc_client *client, const char *id, int64_t deadline_ns);
void rpc_waiter_end(struct rpc_waiter *w); // joins and frees the reply; the status stays
