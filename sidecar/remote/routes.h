// SPDX-License-Identifier: Apache-2.0
// What the sidecar serves: the store's API by passing requests on, its own health and metrics itself.
#pragma once

#include "lib/http/server.h"
#include "lib/http/upstream.h"

struct account;
struct value_cache;
struct projector;

struct remote { // what the routes work with; read only while they run
    struct http_upstream *store;
    struct account *account;
    struct value_cache *cache;   // NULL: none
    struct projector *projector; // NULL: none
    bool local_links;
};

#define REMOTE_TABLES 2
// `remote` is the argument of all of them.
void remote_tables(struct remote *remote, struct http_table ret[static REMOTE_TABLES]);
// The fields that the sidecar adds to a request of `host` (its Host field, or NULL). -ENOMEM.
int remote_append_fields(const struct remote *remote, const char *host, struct str *out);
