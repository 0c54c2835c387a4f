// SPDX-License-Identifier: Apache-2.0
// What every route works with, and who a request comes from.
//
// Owns:    nothing: main.c makes the parts, and they outlive the HTTP server.
// Threads: read only once requests are served; its parts lock for themselves.
#pragma once

#include "lib/base/clock.h"
#include "lib/base/workq.h"
#include "lib/http/request.h"
#include "sidecar/engine/engine.h"

struct tokens;
struct reviews;
struct signer;
struct file_systems;

struct service {
    const struct engine *engine;
    int (*backup)(const struct engine *engine, const char *target, struct err *err);
    const char *backup_folder;
    struct tokens *tokens, *admins;
    struct reviews *reviews; // of tokens of a cluster; NULL: only those of `tokens` count
    const struct signer *signer;
    struct file_systems *files;
    struct workq *workers; // for what may wait: file systems
    const struct clock *clock;
    const char
        *public_url; // of links for others: "https://store.example.com", without a path; NULL: the request's Host
    bool tls;
};

// Bits of http_route.access. A route without any is for everybody.
enum access {
    ACCESS_READ = 1 << 0,   // a token of the workspace
    ACCESS_WRITE = 1 << 1,  // one that may write
    ACCESS_SIGNED = 1 << 2, // or a presigned URL
    ACCESS_PUBLIC = 1 << 3, // or nobody, for a key of the public bucket
    ACCESS_ADMIN = 1 << 4,  // the administrator's token, and no other
};

struct principal { // http_request_user: who asks, and for which workspace
    char workspace[ENGINE_NAME_MAX + 1];
    bool write, by_token;
    bool every_workspace; // may name any in the path; `workspace` is then that one
    int64_t expires_ms;   // of the token; 0: never
};

const struct principal *request_principal(const struct http_request *request);
const char *request_workspace(const struct http_request *request);

#define SERVICE_CALL_S 30     // what a call to the engine may take
#define SERVICE_WAIT_MAX_S 60 // the longest long poll
#define SERVICE_CALL_DEADLINE(service) (clock_monotonic((service)->clock) + SERVICE_CALL_S * NS_PER_S)

// A table of routes; each file of routes has one. Their argument is the struct service.
struct route_table {
    const struct http_route *rows;
    size_t count;
};
extern const struct route_table kv_routes, kv_batch_routes, queue_routes, queue_message_routes, object_routes,
    lepton_object_routes, storage_routes, workspace_routes;
