// SPDX-License-Identifier: Apache-2.0
// Values read lately, answered from memory while the store's watch says that they are still right.
//
// Why:     a key that is read with every request costs a hop otherwise. Opt-in (--cache).
// Owns:    copies of values up to its limit; the least recently read go first. One watch (an event stream) a namespace.
// Threads: any; one lock.
// Bound:   a value is used only while its namespace's watch was heard of in the last CACHE_HEARD_S seconds (the store says something
//          every WATCH_HEARTBEAT_S). So what another client writes is seen when its event arrives, commonly within milliseconds, and never
//          later than CACHE_HEARD_S. What was written through this sidecar is seen at once. A watch that is cut empties its
//          namespace. Values with a TTL, and answers that do not come in one piece (over some 8 KiB), are not kept.
#pragma once

#include "lib/http/upstream.h"

#define CACHE_HEARD_S 5
#define CACHE_NAMESPACES_MAX 64 // further ones are not cached

struct value_cache;
struct remote;
int value_cache_new(int64_t bytes, const struct remote *remote, struct value_cache **ret, struct err *err) must_check;
struct value_cache *value_cache_free(struct value_cache *cache); // after http_server_free

// True: it has answered. Else the request is to be passed on with what it put into `forward`.
bool value_cache_answers(struct value_cache *cache, struct http_request *request, struct http_forward *forward);

// ---- inside the cache ------------------------------------------------------------------------------------------------

struct cache_key { // which value a target names
    char *prefix, *ns;
    char *key; // NULL: not one value
};
void cache_key_done(struct cache_key *key);
// False: not below /kv. *ret without `ns`: below it, but which namespace cannot be told; nor can after -ENOMEM.
bool cache_key_parse(const struct http_request *request, struct cache_key *ret);
