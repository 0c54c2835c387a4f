// SPDX-License-Identifier: Apache-2.0
// Queues: making, describing, emptying and removing them.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/queue_json.h"

#define SETTINGS_BODY_MAX 4096 // bytes

static void answer_list(struct job *job) {
    struct json *array cleanup(json_freep) = json_array_new();
    for (size_t i = 0; array && i < job->queue.ret_count; i++)
        if (json_append(array, queue_info_json(&job->queue.ret[i])) < 0)
            array = json_free(array);
    reply_json(job->request, 200, take_ptr(array));
}

static bool found(struct job *job) {
    if (job->queue.ret_count > 0)
        return true;
    http_reply_status(job->request, 404, "not_found", "no such queue");
    return false;
}

static void answer_one(struct job *job) {
    if (found(job))
        reply_json(job->request, 200, queue_info_json(&job->queue.ret[0]));
}

static void answer_length(struct job *job) {
    if (!found(job))
        return;
    const struct queue_info *info = &job->queue.ret[0];
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_int(object, "length", info->ready + info->leased + info->delayed) < 0)
        object = json_free(object);
    reply_header(job->request, "Cache-Control", "no-store");
    reply_json(job->request, 200, take_ptr(object));
}

static void answer_created(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_text(object, "name", job->queue.name) < 0 ||
        json_set_bool(object, "created", job->queue.ret_created) < 0)
        object = json_free(object);
    reply_json(job->request, job->queue.ret_created ? 201 : 200, take_ptr(object));
}

static void answer_purged(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_int(object, "removed", job->queue.ret_removed) < 0)
        object = json_free(object);
    reply_json(job->request, 200, take_ptr(object));
}

static void answer_empty(struct job *job) {
    http_reply_empty(job->request, 204);
}

typedef void (*queue_fn)(void *self, struct queue_describe *call);

static void start(struct service *service, struct http_request *request, queue_fn fn, void (*answer)(struct job *job)) {
    struct err err = ERR_NONE;
    struct blob name = request_blob(request, "queue");
    struct job *job = job_new(service, request, answer);
    if (!job)
        return;
    if (name.len > 0) {
        job->queue.name = name.data;
        if (label_check("queue", name.data, name.len, &err) < 0) {
            job_refuse(job, &err);
            return;
        }
    }
    fn(service->engine->self, &job->queue);
}

static void handle_list(void *arg, struct http_request *request) {
    struct service *service = arg;
    start(service, request, service->engine->queue->describe, answer_list);
}
static void handle_get(void *arg, struct http_request *request) {
    struct service *service = arg;
    start(service, request, service->engine->queue->describe, answer_one);
}
static void handle_length(void *arg, struct http_request *request) {
    struct service *service = arg;
    start(service, request, service->engine->queue->describe, answer_length);
}
static void handle_remove(void *arg, struct http_request *request) {
    struct service *service = arg;
    start(service, request, service->engine->queue->remove, answer_empty);
}
static void handle_purge(void *arg, struct http_request *request) {
    struct service *service = arg;
    start(service, request, service->engine->queue->purge, answer_purged);
}

// POST names the queue in the body, PUT in the path.
static void handle_create(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    struct blob name = request_blob(request, "queue");
    struct job *job = job_new(service, request, answer_created);
    if (!job || !job_read_body(job))
        return;
    if (name.len == 0) {
        name.data = json_get_bytes(job->body, "name", &name.len);
        if (!name.data)
            name.data = "";
    }
    job->queue.name = name.data;
    int r = label_check("queue", name.data, name.len, &err);
    if (r == 0)
        r = queue_read_settings(job->body, &job->queue.settings, &err);
    if (r < 0)
        job_refuse(job, &err);
    else
        service->engine->queue->create(service->engine->self, &job->queue);
}

static const struct http_route rows[] = {
    {HTTP_GET, "/queue", false, HTTP_BODY_NONE, 0, handle_list, "queue_list", "All queues", ACCESS_READ},
    {HTTP_POST, "/queue", false, HTTP_BODY_WHOLE, SETTINGS_BODY_MAX, handle_create, "queue_create",
     "Make the queue 'name'; done already is no failure", ACCESS_WRITE},
    {HTTP_GET, "/queue/{queue}", false, HTTP_BODY_NONE, 0, handle_get, "queue_get", "Settings and counts of a queue",
     ACCESS_READ},
    {HTTP_PUT, "/queue/{queue}", false, HTTP_BODY_WHOLE, SETTINGS_BODY_MAX, handle_create, "queue_configure",
     "Make a queue or change its settings", ACCESS_WRITE},
    {HTTP_DELETE, "/queue/{queue}", false, HTTP_BODY_NONE, 0, handle_remove, "queue_remove",
     "Remove a queue with all its messages", ACCESS_WRITE},
    {HTTP_GET, "/queue/{queue}/length", false, HTTP_BODY_NONE, 0, handle_length, "queue_length",
     "How many messages a queue holds", ACCESS_READ},
    {HTTP_POST, "/queue/{queue}/purge", false, HTTP_BODY_NONE, 0, handle_purge, "queue_purge", "Remove all messages",
     ACCESS_WRITE},
};
const struct route_table queue_routes = {rows, ARRAY_SIZE(rows)};
