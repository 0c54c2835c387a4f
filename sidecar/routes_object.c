// SPDX-License-Identifier: Apache-2.0
// Objects of the public and the private bucket. /objects is the plain way; /object_storage is that of clients of Lepton,
// which ask for links first and follow them to /objects.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/access.h"
#include "sidecar/object.h"

// ---- reading ----

static void reply_part(struct job *job, unsigned status, int64_t offset, int64_t len) {
    const char *type = job->object.ret.type ? job->object.ret.type : "application/octet-stream";
    if (job->object.ret_fd >= 0)
        http_reply_file(job->request, status, type, take_fd(&job->object.ret_fd), offset, len);
    else
        http_reply(job->request, status, type, job->object.ret_data ? job->object.ret_data + offset : "", (size_t)len);
}

static void answer_object(struct job *job) {
    const struct object_info *info = &job->object.ret;
    int own cleanup_close = -1; // where the answer has no bytes
    int64_t offset, len;
    char range[96];
    object_reply_headers(job->request, info);
    enum object_answer answer = object_evaluate(job->request, info, &offset, &len);
    if (answer != OBJECT_FULL && answer != OBJECT_PART)
        own = take_fd(&job->object.ret_fd);
    switch (answer) {
    case OBJECT_FULL:
        reply_part(job, 200, 0, info->size);
        break;
    case OBJECT_PART:
        (void)snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, offset, offset + len - 1,
                       info->size);
        reply_header(job->request, "Content-Range", range);
        reply_part(job, 206, offset, len);
        break;
    case OBJECT_NOT_MODIFIED:
        http_reply_empty(job->request, 304);
        break;
    case OBJECT_FAILED_CONDITION:
        http_reply_status(job->request, 412, "precondition_failed",
                          "the object is not as the request's conditions say");
        break;
    case OBJECT_BAD_RANGE:
        (void)snprintf(range, sizeof range, "bytes */%" PRId64, info->size);
        reply_header(job->request, "Content-Range", range);
        http_reply_status(job->request, 416, "range_not_satisfiable", "the object has %" PRId64 " bytes", info->size);
        break;
    }
}

static void get_object(struct service *service, struct http_request *request) {
    struct err err = ERR_NONE;
    struct job *job = job_new(service, request, answer_object);
    if (!job)
        return;
    job->object.bucket = object_bucket(request);
    job->object.key = request_blob(request, "key");
    job->object.ret_fd = -1;
    if (object_check_key(job->object.key, &err) < 0)
        job_refuse(job, &err);
    else
        service->engine->object->get(service->engine->self, &job->object);
}

// ---- listing ----

static struct json *item_json(const struct object_info *info) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = json_set_text(object, "key", info->key);
    if (r == 0)
        r = json_set_int(object, "size", info->size);
    if (r == 0)
        r = json_set_int(object, "last_modified", info->modified_ms);
    if (r == 0)
        r = json_set_text(object, "etag", info->etag);
    if (r == 0)
        r = json_set_text(object, "content_type", info->type);
    return r == 0 ? take_ptr(object) : NULL;
}

static void answer_list(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new(), *items = json_array_new();
    struct blob prefix = query_blob(job->request, "prefix");
    size_t count = job->objects.ret_count;
    bool ok = items != NULL, more = job->objects.ret_more && count > 0;
    for (size_t i = 0; ok && i < count; i++)
        ok = json_append(items, item_json(&job->objects.ret[i])) == 0;
    if (json_set(object, "items", items) < 0 || json_set_bytes(object, "prefix", prefix.data, prefix.len) < 0 ||
        json_set_text(object, "nextContinuationToken", more ? job->objects.ret[count - 1].key : "") < 0 || !ok)
        object = json_free(object);
    reply_json(job->request, 200, take_ptr(object));
}

static void handle_list(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    int64_t limit = 0;
    struct job *job = job_new(service, request, answer_list);
    if (!job)
        return;
    job->objects.bucket = object_bucket(request);
    job->objects.prefix = query_blob(request, "prefix");
    job->objects.after = query_blob(request, "after");
    int r = query_number(request, "limit", 0, LIST_MAX, 0, &limit, &err);
    if (r == 0 && !str_is_utf8(job->objects.prefix.data, job->objects.prefix.len))
        r = err_set(&err, -EINVAL, "prefix is no UTF-8");
    job->objects.limit = (size_t)limit;
    if (r < 0)
        job_refuse(job, &err);
    else
        service->engine->object->list(service->engine->self, &job->objects);
}

// ---- handlers ----

static void handle_get(void *arg, struct http_request *request) {
    if (request_blob(request, "key").len == 0)
        handle_list(arg, request);
    else
        get_object(arg, request);
}

static void handle_put(void *arg, struct http_request *request) {
    object_upload_start(arg, request);
}

static void answer_removed(struct job *job) {
    http_reply_empty(job->request, 204);
}

static void handle_remove(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    struct object_condition_text *texts = mem_zalloc(sizeof *texts);
    struct job *job = texts ? job_new(service, request, answer_removed) : NULL;
    if (!job) {
        if (!texts)
            reply_out_of_memory(request);
        free(texts);
        return;
    }
    job->keep[0] = texts;
    job->remove.bucket = object_bucket(request);
    job->remove.key = request_blob(request, "key");
    int r = object_check_key(job->remove.key, &err);
    if (r == 0)
        r = object_read_condition(request, texts, &job->remove.condition, &err);
    if (r < 0)
        job_refuse(job, &err);
    else
        service->engine->object->remove(service->engine->self, &job->remove);
}

// 307 keeps method and body; every other redirect makes clients lose one of them.
static void redirect(struct service *service, struct http_request *request, const char *method) {
    struct err err = ERR_NONE;
    struct blob key = request_blob(request, "key");
    if (object_check_key(key, &err) < 0) {
        http_reply_error(request, &err);
        return;
    }
    char *url cleanup_free = access_object_url(service, request, object_bucket(request), key, method);
    struct json *object cleanup(json_freep) = json_object_new();
    if (!url || json_set_text(object, "url", url) < 0) {
        reply_out_of_memory(request);
        return;
    }
    reply_header(request, "Location", url);
    reply_header(request, "Cache-Control", "no-store");
    reply_json(request, 307, take_ptr(object));
}

static void handle_link(void *arg, struct http_request *request) {
    bool public = str_eq(object_bucket(request), "public");
    if (request_blob(request, "key").len == 0)
        handle_list(arg, request);
    else
        redirect(arg, request, public ? NULL : "GET"); // of a missing key, too: following it tells
}

// A client that sends nothing wants a link to send the object to; one that sends the object has it stored.
static void handle_put_or_link(void *arg, struct http_request *request) {
    if (http_request_content_length(request) == 0)
        redirect(arg, request, "PUT");
    else
        object_upload_start(arg, request);
}

#define OBJECT_BODY_MAX ((size_t)OBJECT_SIZE_MAX)
#define LIST(path, name)                                                                                               \
    {                                                                                                                  \
        HTTP_GET, path, false, HTTP_BODY_NONE, 0, handle_list, name, "Objects whose keys begin with a prefix",         \
            ACCESS_READ                                                                                                \
    }
#define REMOVE(path, name)                                                                                             \
    {                                                                                                                  \
        HTTP_DELETE, path "/{key...}", false, HTTP_BODY_NONE, 0, handle_remove, name,                                  \
            "Remove an object; done already is no failure", ACCESS_WRITE                                               \
    }
#define PUT(path, name, handler, what)                                                                                 \
    {                                                                                                                  \
        HTTP_PUT, path "/{key...}", false, HTTP_BODY_STREAM, OBJECT_BODY_MAX, handler, name, what,                     \
            ACCESS_WRITE | ACCESS_SIGNED                                                                               \
    }
#define GET(path, name, handler, what, access)                                                                         \
    { HTTP_GET, path "/{key...}", false, HTTP_BODY_NONE, 0, handler, name, what, access }

static const struct http_route rows[] = {
    LIST("/objects/public", "object_list_public"),
    LIST("/objects/private", "object_list_private"),
    GET("/objects/public", "object_get_public", handle_get, "An object that everybody may read",
        ACCESS_READ | ACCESS_SIGNED | ACCESS_PUBLIC),
    GET("/objects/private", "object_get_private", handle_get, "An object", ACCESS_READ | ACCESS_SIGNED),
    PUT("/objects/public", "object_put_public", handle_put, "Store the body as an object that everybody may read"),
    PUT("/objects/private", "object_put_private", handle_put, "Store the body as an object"),
    REMOVE("/objects/public", "object_remove_public"),
    REMOVE("/objects/private", "object_remove_private"),
};
const struct route_table object_routes = {rows, ARRAY_SIZE(rows)};

static const struct http_route lepton_rows[] = {
    LIST("/object_storage/public", "lepton_object_list_public"),
    LIST("/object_storage/private", "lepton_object_list_private"),
    GET("/object_storage/public", "lepton_object_get_public", handle_link, "The link of a public object",
        ACCESS_READ | ACCESS_PUBLIC),
    GET("/object_storage/private", "lepton_object_get_private", handle_link, "A presigned link of an object",
        ACCESS_READ),
    GET("/object_storage/private_presigned", "lepton_object_link_private", handle_link, "A presigned link of an object",
        ACCESS_READ),
    GET("/object_storage/public_presigned", "lepton_object_link_public", handle_link, "The link of a public object",
        ACCESS_READ | ACCESS_PUBLIC),
    PUT("/object_storage/public_presigned", "lepton_object_put_public", handle_put_or_link,
        "Without a body: a presigned link to upload to; else store the body"),
    PUT("/object_storage/private_presigned", "lepton_object_put_private", handle_put_or_link,
        "Without a body: a presigned link to upload to; else store the body"),
    REMOVE("/object_storage/public", "lepton_object_remove_public"),
    REMOVE("/object_storage/private", "lepton_object_remove_private"),
};
const struct route_table lepton_object_routes = {lepton_rows, ARRAY_SIZE(lepton_rows)};
