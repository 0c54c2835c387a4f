// SPDX-License-Identifier: Apache-2.0
// One load generator for every server that is compared: the same sockets, clock and memory, so that what a client costs is
// equal. A protocol only writes requests and reads answers.
//
// Threads: one. Each client is a connection with one request in flight.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum operation { KV_PUT, KV_GET, QUEUE, OBJECT_PUT, OBJECT_GET, OPERATIONS };

struct load { // what every client does; never changes while it runs
    enum operation operation;
    const char *token;  // bearer token, or NULL
    const char *prefix; // path before the name of an object
    unsigned keys;      // numbers of keys are below this
    size_t bytes;       // size of a value, message or object
    const char *value;  // so many bytes, or VALUE_MAX of a larger object
};

#define VALUE_MAX (1u << 20)
#define INLINE_MAX 8192u // larger bodies are sent from load.value over and over

struct client {
    const struct load *load;
    unsigned number;
    unsigned key;    // of this operation
    uint64_t serial; // unique among all clients: makes messages differ
    int step;        // of an operation of several requests
    int last_step;

    char out[INLINE_MAX + 4096];
    size_t out_length;
    uint64_t body_to_send; // after `out`

    char noted[512]; // what an answer told and the next request needs: a receipt, an id
    uint64_t body_to_skip;
    bool answered, failed; // set by answer()
    uint32_t stream;       // HTTP/2
    bool data_seen;
};

struct protocol {
    const char *name;
    bool can[OPERATIONS];
    int queue_steps;
    void (*greet)(struct client *c); // may be NULL
    void (*ask)(struct client *c);
    // Looks at what was received; returns how much of it is done with, 0 when more is needed. Sets `answered` at the end of
    // an answer (with `failed` unless it is the one hoped for), and `body_to_skip` for bytes that nobody has to see.
    size_t (*answer)(struct client *c, const char *data, size_t length);
};

extern const struct protocol protocol_http, protocol_redis, protocol_etcd, protocol_nats;

void client_say(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_say_bytes(struct client *c, const void *data, size_t length);
void client_say_message(struct client *c); // load.bytes of text that begins with the serial number
// Length of the line with its end, or 0
size_t line_length(const char *data, size_t length);
