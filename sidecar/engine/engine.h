// SPDX-License-Identifier: Apache-2.0
// What the routes ask of a store of keys, queues and objects: the tables that every engine implements.
//
// Why:     the routes know HTTP and no database; an engine knows its database and no HTTP. `sqlite` owns the data,
//          `remote` forwards to a store, `fake` (tests/fakes) stands in for either.
// Owns:    a call's arguments are borrowed until `done`; its results are the caller's from then on and are released
//          by engine_call_release.
// Threads: calls are started on any thread and end by `done` exactly once, on any thread, perhaps before the function
//          returns. A read sees every write whose `done` came before the read was started.
// Fails:   `err` of the call: -ENOENT no such namespace, queue, key or message; -EEXIST/-ESTALE a condition did not
//          hold (409/412); -EDQUOT over a quota of the workspace and -E2BIG over a limit, with the limit in the message;
//          -ENOSPC the disk is full (nothing was changed); -ETIMEDOUT the deadline passed before it began (nothing was changed);
//          -ESHUTDOWN stopping; -EIO damaged, or an I/O error: writes are refused from then on.
//          A write that ended with 0 is on stable storage.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define ENGINE_NAME_MAX 63             // bytes of a workspace, namespace, queue or bucket name: an RFC 1123 label
#define KV_KEY_MAX (32 * 1024)         // bytes
#define KV_VALUE_MAX (256 * 1024)      // bytes
#define QUEUE_MESSAGE_MAX (256 * 1024) // characters of UTF-8; four times as many bytes
#define QUEUE_DEDUP_MS (5 * 60 * 1000)
#define OBJECT_KEY_MAX 1024                // bytes, as S3
#define OBJECT_SIZE_MAX (INT64_C(5) << 30) // bytes, as one S3 PUT
#define LIST_MAX 10000                     // entries of one page
#define PAGE_BYTES_MAX (4 * 1024 * 1024)   // of keys, values or messages in one answer; the first one always fits

struct blob { // any bytes; of a result: allocated, with a NUL behind
    const char *data;
    size_t len;
};

// The head of every call. The caller sets workspace, deadline, done and arg.
struct engine_call {
    const char *workspace;
    int64_t deadline_ns; // absolute CLOCK_MONOTONIC
    void (*done)(struct engine_call *call);
    void *arg;
    struct err err;                            // result
    void (*release)(struct engine_call *call); // set by the engine: frees the results; NULL: there are none
    struct engine_call *next;                  // this and below: the engine's while the call runs
    int (*apply)(void *self, struct engine_call *call);
};
static inline void engine_call_release(struct engine_call *call) {
    if (call->release)
        call->release(call);
    call->release = NULL;
}

// ---- keys and values ----

struct kv_namespace {
    char *name;
    int64_t keys, bytes, version; // version: grows with every write in the namespace
};
struct kv_namespaces { // create, remove: `name`; list: all, sorted; get: one
    struct engine_call call;
    const char *name;
    struct kv_namespace *ret;
    size_t ret_count;
    bool ret_created; // create: false when it was there (which is no failure)
};

struct kv_get {
    struct engine_call call;
    const char *ns;
    struct blob key;
    char *ret_data;
    size_t ret_len;
    int64_t ret_version, ret_expires_ms; // ms since 1970; 0: never
};

enum kv_action { KV_PUT, KV_REMOVE, KV_CHECK };
struct kv_change { // removing what is not there succeeds
    enum kv_action action;
    struct blob key, value;
    int64_t ttl_ms;      // 0: lives for ever
    int64_t if_version;  // -1: any; 0: must not exist; else exactly this (else the whole write fails with -ESTALE)
    int64_t ret_version; // the key's new version; 0: removed
};
struct kv_write { // all of it or nothing
    struct engine_call call;
    const char *ns;
    struct kv_change *changes;
    size_t count;
};

struct kv_entry {
    char *key;
    size_t key_len;
    int64_t version, bytes, expires_ms;
    char *value; // of a list with values
    size_t value_len;
};
struct kv_list { // sorted by bytes of the key; a page ends at `limit` or PAGE_BYTES_MAX, and ret_more tells of more
    struct engine_call call;
    const char *ns;
    struct blob prefix, after; // behind this key; len 0: from the start
    size_t limit;              // 0: LIST_MAX
    bool values;               // they count for PAGE_BYTES_MAX as well
    struct kv_entry *ret;
    size_t ret_count;
    bool ret_more;
    // With values: the namespace's version before the page was read, and after: a watch since the first page's ret_since tells of all that
    // these pages miss, and nothing of it is behind the last page's ret_until.
    int64_t ret_since, ret_until, ret_incarnation;
};

// Changes after `since` (a namespace version), at most `limit` and PAGE_BYTES_MAX; ends with ret_count 0 when none came until
// wait_until_ns, or at once when the store drains.
// -ESTALE: `since` is older than the history kept; list again.
struct kv_event {
    char *key;
    size_t key_len;
    char *value; // NULL: removed or expired
    size_t value_len;
    int64_t version;
};
#define KV_WATCH_NOW (-1) // as `since`: what changes from the call on
struct kv_watch {
    struct engine_call call;
    const char *ns;
    struct blob prefix;
    int64_t since, wait_until_ns;
    size_t limit;
    int64_t incarnation; // which of the namespaces that had this name; 0: any. Another one: -ESTALE
    int64_t until; // nothing is settled before this version: of a list, or of the call before. The call may raise it
    struct kv_event *ret;
    size_t ret_count;
    int64_t ret_version; // continue from here
    int64_t ret_incarnation;
    bool
        ret_settled; // with what was told before, this is all of the namespace as it was in ret_version: no write is half in it
    bool ret_drained; // nothing waits any more: to ask again would not wait
};

struct kv_ops {
    void (*create)(void *self, struct kv_namespaces *call);
    void (*remove)(void *self, struct kv_namespaces *call);
    void (*describe)(void *self, struct kv_namespaces *call); // name NULL: all
    void (*get)(void *self, struct kv_get *call);
    void (*write)(void *self, struct kv_write *call);
    void (*list)(void *self, struct kv_list *call);
    void (*watch)(void *self, struct kv_watch *call);
};

// ---- queues ----

struct queue_settings {      // -1 in a request: leave as it is, or the default for a new queue
    int64_t dedup_ms;        // 0: off; default QUEUE_DEDUP_MS
    int64_t visibility_ms;   // of a lease; default 30 s, at most 12 h
    int64_t delay_ms;        // before a message can be received; default 0, at most 15 min
    int64_t retention_ms;    // default 0: for ever
    int32_t max_receives;    // then to dead_letter; default 0: no limit
    const char *dead_letter; // another queue of the workspace; NULL: as -1; "": none
};
struct queue_info {
    char *name;
    struct queue_settings settings;
    int64_t ready, leased, delayed, bytes, oldest_ms; // exact; oldest: age in ms
};
struct queue_describe { // create (and configure), remove, describe, purge (ret_removed messages; dedup window is kept)
    struct engine_call call;
    const char *name; // describe: NULL: all, sorted
    struct queue_settings settings;
    struct queue_info *ret;
    size_t ret_count;
    bool ret_created;
    int64_t ret_removed;
};

struct queue_message {
    struct blob body;
    struct blob dedup_id;   // len 0: the body decides
    int64_t delay_ms;       // -1: the queue's
    int64_t ret_id;         // grows by order of sending
    bool ret_duplicate;     // dropped: the same was sent within the window, as ret_id
    unsigned char hash[16]; // the engine's
};
struct queue_send { // all of it or nothing, in this order
    struct engine_call call;
    const char *queue;
    struct queue_message *messages;
    size_t count;
};

struct queue_delivery {
    int64_t id, sent_ms;
    int32_t receives; // how often received, this one counted
    char *body;
    size_t len;
    char receipt[64]; // of the lease; "" when taken for good
};
enum queue_receive_mode { QUEUE_TAKE, QUEUE_LEASE, QUEUE_PEEK }; // take: delivered and gone, when `done` says so
struct queue_receive {
    struct engine_call call;
    const char *queue;
    enum queue_receive_mode mode;
    size_t max;            // 1..100; fewer come when they reach PAGE_BYTES_MAX
    int64_t visibility_ms; // lease; -1: the queue's
    int64_t wait_until_ns; // long poll; 0: at once
    // Asked before messages are given: true when nobody is there to get them, and they stay. On any thread; NULL: never.
    bool (*gone)(const struct engine_call *call);
    struct queue_delivery *ret;
    size_t ret_count;
};

enum queue_settle_action { QUEUE_ACK, QUEUE_NACK, QUEUE_EXTEND }; // nack: to be received again after delay_ms
struct queue_settle {
    struct engine_call call;
    const char *queue;
    enum queue_settle_action action;
    const char *const *receipts;
    size_t count;
    int64_t delay_ms; // nack: 0..; extend: the lease's new length from now
    bool *ret_ok;     // caller's array, one each: false when the lease is over (an ack of what is gone is no failure)
};
struct queue_redrive { // back from the dead letters to where they came from
    struct engine_call call;
    const char *queue; // the dead-letter queue
    size_t max;        // 0: all
    int64_t ret_moved;
};

struct queue_ops {
    void (*create)(void *self, struct queue_describe *call);
    void (*remove)(void *self, struct queue_describe *call);
    void (*describe)(void *self, struct queue_describe *call);
    void (*purge)(void *self, struct queue_describe *call);
    void (*send)(void *self, struct queue_send *call);
    void (*receive)(void *self, struct queue_receive *call);
    void (*settle)(void *self, struct queue_settle *call);
    void (*redrive)(void *self, struct queue_redrive *call);
};

// ---- objects ----

struct object_info {
    char *key;
    int64_t size, modified_ms;
    char etag[40]; // MD5 in hex, as S3; with "-N" of a multipart upload
    char *type;    // Content-Type; NULL: not given
};
struct object_condition {
    const char *if_match; // ETag without quotes, "*", or NULL
    const char *if_none_match;
};

// An upload is written by one thread at a time and seen by nobody before commit ended with 0.
struct object_upload; // the engine's
struct object_put {   // commit
    struct engine_call call;
    struct object_upload *upload; // given back to the engine, whatever the result
    struct object_condition condition;
    struct object_info ret;
};
struct object_get {
    struct engine_call call;
    const char *bucket; // "public", "private", or a bucket's name
    struct blob key;
    struct object_info ret;
    char *ret_data; // the whole object, of a small one; released by engine_call_release
    int ret_fd; // else: of a plain file holding the whole object; the caller closes it. -1 with ret_data and after `stat`
};
struct object_remove {
    struct engine_call call;
    const char *bucket;
    struct blob key;
    struct object_condition condition;
};
struct object_list {
    struct engine_call call;
    const char *bucket;
    struct blob prefix, after;
    size_t limit; // 0: LIST_MAX
    struct object_info *ret;
    size_t ret_count;
    bool ret_more;
};

struct object_ops {
    // Cheap, on the caller's thread: makes room for an object of `size` bytes (-1: not known).
    int (*upload)(void *self, const char *workspace, const char *bucket, struct blob key, const char *type,
                  int64_t size, struct object_upload **ret, struct err *err);
    int (*upload_write)(void *self, struct object_upload *upload, const void *data, size_t len, struct err *err);
    void (*upload_cancel)(void *self, struct object_upload *upload);
    void (*commit)(void *self, struct object_put *call);
    void (*get)(void *self, struct object_get *call);
    void (*stat)(void *self, struct object_get *call);
    void (*remove)(void *self, struct object_remove *call);
    void (*list)(void *self, struct object_list *call);
};

// ---- the whole ----

struct quota { // of a workspace; 0: no limit
    int64_t namespaces, queues, bytes;
};
struct workspace_usage {
    int64_t namespaces, queues, kv_bytes, queue_bytes, object_bytes, objects;
};

struct engine {
    const struct kv_ops *kv;
    const struct queue_ops *queue;
    const struct object_ops *object;
    void *self;
    int (*usage)(void *self, const char *workspace, struct workspace_usage *ret, struct err *err);
    int (*set_quota)(void *self, const char *workspace, const struct quota *quota, struct err *err);
    int (*probe)(void *self, struct err *err); // ready to serve?
    // From now on nothing waits for messages or changes: what waits ends at once with what there is. For a graceful stop,
    // before the last connection is closed; everything else goes on.
    void (*drain)(void *self);
};
