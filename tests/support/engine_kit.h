// SPDX-License-Identifier: Apache-2.0
// An engine for tests: opened in a folder of its own with a clock that stands still, and its calls one after the other.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/clock.h"
#include "sidecar/engine/engine.h"

struct kit {
    struct engine engine;
    char folder[64];
    struct clock clock;
    _Atomic int64_t wall_ns, mono_ns; // moved by kit_pass only
    void (*poke)(const struct engine *engine);
};

// Opens the engine of `open` over a new folder; the test fails when it cannot.
void kit_start(struct kit *kit);
void kit_stop(struct kit *kit);             // and removes the folder
void kit_close(struct kit *kit);            // keeps the folder
void kit_open(struct kit *kit);             // again
void kit_pass(struct kit *kit, int64_t ms); // time goes by

// A call that can be waited for: `.call = kit_call(&wait)`.
struct kit_wait {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int count; // how often done came
};
#define KIT_WAIT                                                                                                       \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }
struct engine_call kit_call(struct kit_wait *wait);
int kit_end(struct kit_wait *wait, struct engine_call *call); // waits for done; gives the code
bool kit_ended(struct kit_wait *wait);

static inline struct blob text_blob(const char *text) {
    return (struct blob){text, __builtin_strlen(text)};
}

// One operation each; -errno.
int kit_ns(struct kit *kit, const char *ns);
int kit_put(struct kit *kit, const char *ns, const char *key, const char *value);
int kit_put_if(struct kit *kit, const char *ns, const char *key, const char *value, int64_t if_version, int64_t ttl_ms,
               int64_t *ret_version);
int kit_remove(struct kit *kit, const char *ns, const char *key);
// The value, to be freed; NULL when there is none.
char *kit_get(struct kit *kit, const char *ns, const char *key);
int kit_queue(struct kit *kit, const char *queue, struct queue_settings settings);
#define KIT_DEFAULTS ((struct queue_settings){-1, -1, -1, -1, -1, NULL})
int kit_send(struct kit *kit, const char *queue, const char *body, bool *ret_duplicate);
// The body, to be freed; NULL when nothing came. `ret_receipt` (64 bytes) for leases.
char *kit_receive(struct kit *kit, const char *queue, enum queue_receive_mode mode, char *ret_receipt);
int kit_settle(struct kit *kit, const char *queue, enum queue_settle_action action, const char *receipt, int64_t ms,
               bool *ret_ok);
struct queue_info kit_info(struct kit *kit, const char *queue); // name and dead_letter are not given
int kit_object(struct kit *kit, const char *bucket, const char *key, const void *data, size_t len,
               struct object_condition condition);
// The bytes, to be freed; NULL with -errno in *ret_code.
char *kit_object_get(struct kit *kit, const char *bucket, const char *key, size_t *ret_len, int *ret_code);
int kit_object_remove(struct kit *kit, const char *bucket, const char *key);
