// SPDX-License-Identifier: Apache-2.0
// One call to the engine and the request that it answers.
//
// Why:     a handler fills in what it asks for and says how success is answered; failures, results and memory are the
//          same everywhere.
// Owns:    a job frees itself, its body, what it was given to keep, and the call's results after the answer.
// Threads: `answer` runs wherever the engine ends the call, perhaps before the engine's function returned: a handler
//          does not touch a job after it was started.
#pragma once

#include "lib/base/json.h"
#include "sidecar/service.h"

struct job {
    struct service *service;
    struct http_request *request;
    void (*answer)(struct job *job); // only after success
    struct json *body;               // of the request, when it is JSON
    void *keep[2];                   // freed with the job
    union {
        struct engine_call call; // every other member begins with one
        struct kv_namespaces namespaces;
        struct kv_get get;
        struct kv_write write;
        struct kv_list list;
        struct kv_watch watch;
        struct queue_describe queue;
        struct queue_send send;
        struct queue_receive receive;
        struct queue_settle settle;
        struct queue_redrive redrive;
        struct object_put put;
        struct object_get object;
        struct object_remove remove;
        struct object_list objects;
    };
};

// NULL: out of memory, which was answered.
struct job *job_new(struct service *service, struct http_request *request, void (*answer)(struct job *job));
// For a job that was not started: answers with the error.
void job_refuse(struct job *job, const struct err *err);
// The body as a JSON object; false: it is none, which was answered and the job is gone.
bool job_read_body(struct job *job);

// ---- answers ----

// Takes `value`; NULL or one that cannot be written answers as out of memory.
void reply_json(struct http_request *request, unsigned status, struct json *value);
void reply_out_of_memory(struct http_request *request);
// Sets the response header; what cannot be one is left out.
void reply_header(struct http_request *request, const char *name, const char *value);

// ---- arguments of requests ----

// A whole number from the query, `fallback` when absent. -EINVAL with name and limits.
int query_number(const struct http_request *request, const char *name, int64_t min, int64_t max, int64_t fallback,
                 int64_t *ret, struct err *err) must_check;
struct blob request_blob(const struct http_request *request, const char *arg);
struct blob query_blob(const struct http_request *request, const char *name); // absent: empty
// A member of a JSON object that is a whole number, `fallback` when absent; -EINVAL when it is anything else.
int body_number(const struct json *object, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *ret,
                struct err *err) must_check;
// Seconds, whole or with a fraction as milliseconds in `name`_ms, as milliseconds.
int body_seconds(const struct json *object, const char *name, int64_t max_s, int64_t fallback_ms, int64_t *ret_ms,
                 struct err *err) must_check;
// A name of a namespace or queue: an RFC 1123 label. -EINVAL says so.
int label_check(const char *what, const char *name, size_t len, struct err *err) must_check;
