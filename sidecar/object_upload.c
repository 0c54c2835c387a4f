// SPDX-License-Identifier: Apache-2.0
// An upload: the body goes to the engine piece by piece, and is seen by all or by nobody.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/object.h"

#define TYPE_MAX 255 // bytes of Content-Type

struct receiving { // a body on its way to the engine
    struct job *job;
    struct object_upload *upload;
    struct object_condition_text texts;
    struct err err; // of a write that failed
};

static void answer_stored(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = json_set_text(object, "key", job->put.ret.key);
    if (r == 0)
        r = json_set_int(object, "size", job->put.ret.size);
    if (r == 0)
        r = json_set_text(object, "etag", job->put.ret.etag);
    object_reply_headers(job->request, &job->put.ret);
    reply_json(job->request, 200, r == 0 ? take_ptr(object) : NULL);
}

static int write_piece(void *arg, const void *data, size_t len, struct err *err) {
    struct receiving *receiving = arg;
    struct service *service = receiving->job->service;
    int r = service->engine->object->upload_write(service->engine->self, receiving->upload, data, len, err);
    if (r < 0 && r != -EAGAIN)
        receiving->err = *err;
    return r;
}

static void end_of_body(void *arg, struct http_request *request, int rc) {
    struct receiving *receiving = arg;
    struct job *job = receiving->job;
    struct service *service = job->service;
    (void)request;
    if (rc < 0) {
        struct err err = receiving->err;
        if (!err.code)
            (void)err_set(&err, rc, "the body did not arrive whole: %s", err_name(rc));
        service->engine->object->upload_cancel(service->engine->self, receiving->upload);
        job_refuse(job, &err);
        return;
    }
    job->call.deadline_ns = SERVICE_CALL_DEADLINE(service); // counted from the end of the body
    job->put.upload = receiving->upload;
    service->engine->object->commit(service->engine->self, &job->put);
}

static int start(struct service *service, struct http_request *request, struct receiving *receiving, struct err *err) {
    const char *type = http_request_header(request, "Content-Type");
    struct blob key = request_blob(request, "key");
    int64_t size = http_request_content_length(request);
    int r = object_check_key(key, err);
    if (r == 0 && size > OBJECT_SIZE_MAX)
        r = err_set(err, -E2BIG, "the object has %lld bytes; the limit is %lld", (long long)size,
                    (long long)OBJECT_SIZE_MAX);
    if (r == 0 && type && strlen(type) > TYPE_MAX)
        r = err_set(err, -EINVAL, "Content-Type has more than %d bytes", TYPE_MAX);
    if (r == 0)
        r = object_read_condition(request, &receiving->texts, &receiving->job->put.condition, err);
    if (r == 0)
        r = service->engine->object->upload(service->engine->self, request_workspace(request), object_bucket(request),
                                            key, type, size, &receiving->upload, err);
    return r;
}

void object_upload_start(struct service *service, struct http_request *request) {
    static const struct http_sink sink = {.write = write_piece, .end = end_of_body};
    struct err err = ERR_NONE;
    struct receiving *receiving = mem_zalloc(sizeof *receiving);
    if (!receiving) {
        reply_out_of_memory(request);
        return;
    }
    struct job *job = receiving->job = job_new(service, request, answer_stored);
    if (!job) {
        free(receiving);
        return;
    }
    job->keep[0] = receiving;
    if (start(service, request, receiving, &err) < 0)
        job_refuse(job, &err);
    else
        http_request_stream(request, NULL, &sink, receiving);
}
