// SPDX-License-Identifier: Apache-2.0
// The store of keys, queues and objects, as the operator asks it: one short request at a time, in any workspace.
//
// Why:     reconcilers know what an object means; how the store is reached, who asks, and for how long it has been away, is known here.
// Owns:    a few idle connections. The token is read again when its file changes, as kubelet writes a new one before the old one ends.
// Threads: any.
// Fails:   as lib/http/client.h. A store that cannot be reached, or does not take the token, is not asked again for a few seconds:
//          meanwhile the same error comes at once, so that thousands of objects do not wait for it one after the other.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct data_store;

struct data_store_request {
    const char *method;
    const char *workspace;
    const char *path;        // behind the workspace, percent-encoded: "/kv/namespaces/settings"
    const struct json *body; // NULL: none
};

struct data_store_options {
    const char *url;        // NULL: there is no store
    const char *public_url; // what people see in a status; NULL: `url`
    const char *ca_file;    // PEM; NULL: the system's
    const char *token_file;
    uint32_t patience_s;       // how long objects that are to go wait for a store that is away; 0: 300
    const struct clock *clock; // NULL: clock_system
    // Sends it with that token; *ret_answer: the body. NULL: by HTTP.
    int (*send)(void *arg, const struct data_store_request *request, const char *token, struct str *ret_answer,
                struct err *err);
    void *arg;
};
int data_store_new(const struct data_store_options *options, struct data_store **ret, struct err *err) must_check;
struct data_store *data_store_free(struct data_store *store);
DEFINE_CLEANUP(data_store)

bool data_store_exists(const struct data_store *store); // was one named at all?
const char *data_store_public_url(const struct data_store *store);
// `ret` NULL: the answer does not matter; else it is parsed, NULL when it was empty.
int data_store_send(struct data_store *store, const struct data_store_request *request, struct json **ret,
                    struct err *err) must_check;
// Is it the store that is away or refuses the operator, rather than one request that fails?
bool data_store_is_away(int error);
int64_t data_store_patience_s(const struct data_store *store);
// Has it been away for longer than objects that are to go wait?
bool data_store_is_given_up(struct data_store *store);
// May a status be written that tells of nothing but other numbers? So many in a second, whatever the number of objects.
bool data_store_may_count(struct data_store *store);
