// SPDX-License-Identifier: Apache-2.0
#include "sidecar/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

const struct principal *request_principal(const struct http_request *request) {
    return http_request_user((struct http_request *)(uintptr_t)request);
}

const char *request_workspace(const struct http_request *request) {
    return request_principal(request)->workspace;
}

void reply_out_of_memory(struct http_request *request) {
    struct err err = ERR_NONE;
    (void)err_set(&err, -ENOMEM, "out of memory; try again later");
    http_reply_error(request, &err);
}

static void job_free(struct job *job) {
    engine_call_release(&job->call);
    (void)json_free(job->body);
    for (size_t i = 0; i < ARRAY_SIZE(job->keep); i++)
        free(job->keep[i]);
    free(job);
}

static void job_done(struct engine_call *call) {
    struct job *job = call->arg;
    // What is there already is a conflict, but a condition that failed when the request made it one (RFC 9110, 13.1.2).
    if (call->err.code == -EEXIST && http_request_header(job->request, "If-None-Match"))
        call->err.code = -ESTALE;
    if (call->err.code)
        http_reply_error(job->request, &call->err);
    else
        job->answer(job);
    job_free(job);
}

struct job *job_new(struct service *service, struct http_request *request, void (*answer)(struct job *job)) {
    struct job *job = mem_zalloc(sizeof *job);
    if (!job) {
        reply_out_of_memory(request);
        return NULL;
    }
    job->service = service;
    job->request = request;
    job->answer = answer;
    job->call = (struct engine_call){
        .workspace = request_workspace(request),
        .deadline_ns = SERVICE_CALL_DEADLINE(service),
        .done = job_done,
        .arg = job,
    };
    return job;
}

void job_refuse(struct job *job, const struct err *err) {
    http_reply_error(job->request, err);
    job_free(job);
}

bool job_read_body(struct job *job) {
    struct err err = ERR_NONE;
    size_t len = 0;
    const char *text = http_request_body(job->request, &len);
    if (len == 0) {
        job->body = json_object_new();
        if (job->body)
            return true;
        (void)err_set(&err, -ENOMEM, "out of memory; try again later");
    } else if (json_parse_body(text, len, len, &job->body, &err) < 0) {
        (void)err_wrap(&err, -EINVAL, "the body");
        err.code = -EINVAL;
    } else if (!json_is_an_object(job->body)) {
        (void)err_set(&err, -EINVAL, "the body is no JSON object");
    } else {
        return true;
    }
    job_refuse(job, &err);
    return false;
}

void reply_json(struct http_request *request, unsigned status, struct json *value) {
    char *text = value ? json_dump(value, false) : NULL;
    (void)json_free(value);
    if (!text) {
        reply_out_of_memory(request);
        return;
    }
    http_reply_take(request, status, "application/json", text, strlen(text));
}

void reply_header(struct http_request *request, const char *name, const char *value) {
    if (http_reply_header(request, name, value) < 0)
        return; // a value that cannot stand in a header
}

int query_number(const struct http_request *request, const char *name, int64_t min, int64_t max, int64_t fallback,
                 int64_t *ret, struct err *err) {
    const char *text = http_request_query(request, name, NULL);
    *ret = fallback;
    if (!text || str_to_i64(text, min, max, ret) == 0)
        return 0;
    return err_set(err, -EINVAL, "%s=%.40s is no whole number from %" PRId64 " to %" PRId64, name, text, min, max);
}

struct blob request_blob(const struct http_request *request, const char *arg) {
    struct blob blob = {0};
    blob.data = http_request_arg(request, arg, &blob.len);
    return blob;
}

struct blob query_blob(const struct http_request *request, const char *name) {
    struct blob blob = {0};
    blob.data = http_request_query(request, name, &blob.len);
    if (!blob.data)
        blob = (struct blob){.data = "", .len = 0};
    return blob;
}

int body_number(const struct json *object, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *ret,
                struct err *err) {
    *ret = fallback;
    if (!json_get(object, name))
        return 0;
    *ret = json_get_int(object, name, min);
    if (!json_has_int(object, name) || *ret < min || *ret > max)
        return err_set(err, -EINVAL, "'%s' is no whole number from %" PRId64 " to %" PRId64, name, min, max);
    return 0;
}

int body_seconds(const struct json *object, const char *name, int64_t max_s, int64_t fallback_ms, int64_t *ret_ms,
                 struct err *err) {
    char in_ms[48];
    int64_t seconds;
    (void)snprintf(in_ms, sizeof in_ms, "%s_ms", name);
    int r = body_number(object, name, 0, max_s, -1, &seconds, err);
    if (r == 0)
        r = body_number(object, in_ms, 0, max_s * 1000, seconds < 0 ? fallback_ms : seconds * 1000, ret_ms, err);
    return r;
}

int label_check(const char *what, const char *name, size_t len, struct err *err) {
    bool ok = len > 0 && len <= ENGINE_NAME_MAX && name[0] != '-' && name[len - 1] != '-';
    for (size_t i = 0; ok && i < len; i++)
        ok = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '-';
    if (ok)
        return 0;
    return err_set(err, -EINVAL, "'%.*s' is no name of a %s: give 1 to %d of a-z, 0-9 and '-', not '-' at an end",
                   len < 63 ? (int)len : 63, name, what, ENGINE_NAME_MAX);
}
