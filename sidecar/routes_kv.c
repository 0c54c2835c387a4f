// SPDX-License-Identifier: Apache-2.0
// Namespaces, keys and values: what clients of Lepton call, and versions, conditions and lifetimes by headers.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/kv_cursor.h"
#include "sidecar/kv_entry.h"

#define FORM_EXTRA (64 * 1024)                         // bytes around a value in a form
#define VALUE_BODY_MAX (4 * KV_VALUE_MAX + FORM_EXTRA) // what is read before the limit of values is told

// ---- namespaces ----

static struct json *namespace_json(const struct kv_namespace *ns) {
    struct json *object cleanup(json_freep) = json_object_new();
    struct json *metadata = json_object_new(), *status = json_object_new();
    int r = json_set_text(metadata, "name", ns->name);
    if (r == 0)
        r = json_set_text(status, "redis_url", "");
    r |= json_set_text(object, "name", ns->name) | json_set(object, "metadata", metadata) |
         json_set(object, "status", status) | json_set_int(object, "keys", ns->keys) |
         json_set_int(object, "bytes", ns->bytes) | json_set_int(object, "version", ns->version);
    return r == 0 ? take_ptr(object) : NULL;
}

static void answer_namespaces(struct job *job) {
    struct json *array cleanup(json_freep) = json_array_new();
    for (size_t i = 0; array && i < job->namespaces.ret_count; i++)
        if (json_append(array, namespace_json(&job->namespaces.ret[i])) < 0)
            array = json_free(array);
    reply_json(job->request, 200, take_ptr(array));
}

static void answer_namespace(struct job *job) {
    if (job->namespaces.ret_count == 0) {
        http_reply_status(job->request, 404, "not_found", "no such namespace");
        return;
    }
    reply_json(job->request, 200, namespace_json(&job->namespaces.ret[0]));
}

static void answer_created(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_text(object, "name", job->namespaces.name) < 0 ||
        json_set_bool(object, "created", job->namespaces.ret_created) < 0)
        object = json_free(object);
    reply_json(job->request, job->namespaces.ret_created ? 201 : 200, take_ptr(object));
}

static void answer_empty(struct job *job) {
    http_reply_empty(job->request, 204);
}

typedef void (*namespaces_fn)(void *self, struct kv_namespaces *call);

static void start_namespaces(struct service *service, struct http_request *request, namespaces_fn fn,
                             void (*answer)(struct job *job)) {
    struct err err = ERR_NONE;
    struct blob name = request_blob(request, "ns");
    struct job *job = job_new(service, request, answer);
    if (!job)
        return;
    if (name.len > 0) {
        job->namespaces.name = name.data;
        if (label_check("namespace", name.data, name.len, &err) < 0) {
            job_refuse(job, &err);
            return;
        }
    }
    fn(service->engine->self, &job->namespaces);
}

static void handle_list_namespaces(void *arg, struct http_request *request) {
    struct service *service = arg;
    start_namespaces(service, request, service->engine->kv->describe, answer_namespaces);
}
static void handle_get_namespace(void *arg, struct http_request *request) {
    struct service *service = arg;
    start_namespaces(service, request, service->engine->kv->describe, answer_namespace);
}
static void handle_create_namespace(void *arg, struct http_request *request) {
    struct service *service = arg;
    start_namespaces(service, request, service->engine->kv->create, answer_created);
}
static void handle_remove_namespace(void *arg, struct http_request *request) {
    struct service *service = arg;
    start_namespaces(service, request, service->engine->kv->remove, answer_empty);
}

// ---- values ----

static void answer_value(struct job *job) {
    char expires[32];
    kv_reply_version(job->request, job->get.ret_version);
    reply_header(job->request, "Cache-Control", "no-cache");
    if (job->get.ret_expires_ms) {
        (void)snprintf(expires, sizeof expires, "%" PRId64, job->get.ret_expires_ms);
        reply_header(job->request, "Stowage-Expires-Ms", expires);
    }
    if (kv_is_known(job->request, job->get.ret_version)) {
        http_reply_empty(job->request, 304);
        return;
    }
    http_reply(job->request, 200, "application/octet-stream", job->get.ret_data, job->get.ret_len);
}

static void handle_get_value(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    struct job *job = job_new(service, request, answer_value);
    if (!job)
        return;
    job->get.ns = http_request_arg(request, "ns", NULL);
    job->get.key = request_blob(request, "key");
    if (kv_check_key(job->get.key, &err) < 0)
        job_refuse(job, &err);
    else
        service->engine->kv->get(service->engine->self, &job->get);
}

static void answer_written(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new();
    kv_reply_version(job->request, job->write.changes[0].ret_version);
    if (json_set_int(object, "version", job->write.changes[0].ret_version) < 0)
        object = json_free(object);
    reply_json(job->request, 200, take_ptr(object));
}

// One change of the key that the path names.
static void write_value(struct service *service, struct http_request *request, enum kv_action action,
                        struct blob value) {
    struct err err = ERR_NONE;
    struct kv_change *change = mem_zalloc(sizeof *change);
    struct job *job = change ? job_new(service, request, action == KV_PUT ? answer_written : answer_empty) : NULL;
    if (!job) {
        if (!change)
            reply_out_of_memory(request);
        free(change);
        return;
    }
    job->keep[0] = change;
    *change = (struct kv_change){.action = action, .key = request_blob(request, "key"), .value = value};
    job->write.ns = http_request_arg(request, "ns", NULL);
    job->write.changes = change;
    job->write.count = 1;
    int r = kv_check_key(change->key, &err);
    if (r == 0)
        r = kv_check_value(value, &err);
    if (r == 0)
        r = kv_read_conditions(request, change, &err);
    if (r < 0)
        job_refuse(job, &err);
    else
        service->engine->kv->write(service->engine->self, &job->write);
}

static void handle_put_form(void *arg, struct http_request *request) {
    struct err err = ERR_NONE;
    const void *data = NULL;
    size_t len = 0;
    if (http_request_form_part(request, "value", &data, &len, &err) < 0) {
        http_reply_status(request, 400, "invalid_argument", "%s; send the value as part 'value' of a form, or by PUT",
                          err_text(&err));
        return;
    }
    write_value(arg, request, KV_PUT, (struct blob){.data = len ? data : "", .len = len});
}

static void handle_put_raw(void *arg, struct http_request *request) {
    struct blob value = {0};
    value.data = http_request_body(request, &value.len);
    if (!value.data)
        value.data = "";
    write_value(arg, request, KV_PUT, value);
}

static void handle_remove_value(void *arg, struct http_request *request) {
    write_value(arg, request, KV_REMOVE, (struct blob){0});
}

// ---- lists of keys ----

// How many entries of the page are given: a page ends with a key that a cursor can hold.
static size_t page_end(const struct job *job, bool by_text) {
    size_t count = job->list.ret_count;
    while (!by_text && job->list.ret_more && count > 0 && job->list.ret[count - 1].key_len > KV_CURSOR_KEY_MAX)
        count--;
    return count;
}

static void append_entry(struct str *out, const struct kv_entry *entry, bool detail) {
    if (detail)
        (void)str_append(out, "{\"key\":");
    (void)json_append_quoted(out, entry->key);
    if (detail)
        (void)str_printf(out, ",\"version\":%" PRId64 ",\"bytes\":%" PRId64 ",\"expires_ms\":%" PRId64 "}",
                         entry->version, entry->bytes, entry->expires_ms);
}

static void answer_keys(struct job *job) {
    struct str out cleanup_str = {0};
    char *cursor cleanup_free = NULL;
    bool by_text = http_request_query(job->request, "after", NULL);
    bool detail = str_eq(http_request_query(job->request, "detail", NULL), "true");
    size_t count = page_end(job, by_text);
    if (job->list.ret_more && count == 0) {
        http_reply_status(job->request, 400, "invalid_argument",
                          "the page has only keys of more than %d bytes, which no cursor can hold; page with after=KEY",
                          KV_CURSOR_KEY_MAX);
        return;
    }
    const struct kv_entry *last = count ? &job->list.ret[count - 1] : NULL;
    if (job->list.ret_more && last->key_len <= KV_CURSOR_KEY_MAX) {
        cursor = kv_cursor_encode(last->key, last->key_len);
        if (!cursor) {
            reply_out_of_memory(job->request);
            return;
        }
    }
    (void)str_printf(&out, "{\"cursor\":%s,\"more\":%s,\"keys\":[", cursor ? cursor : "null",
                     job->list.ret_more ? "true" : "false");
    for (size_t i = 0; i < count; i++) {
        if (i)
            (void)str_append(&out, ",");
        append_entry(&out, &job->list.ret[i], detail);
    }
    (void)str_append(&out, "]}");
    size_t len = out.len;
    char *text = str_take(&out);
    if (text)
        http_reply_take(job->request, 200, "application/json", text, len);
    else
        reply_out_of_memory(job->request);
}

static int read_keys_query(struct job *job, struct err *err) {
    const struct http_request *request = job->request;
    struct blob cursor = query_blob(request, "cursor");
    int64_t limit;
    int r = query_number(request, "limit", 0, LIST_MAX, 0, &limit, err);
    if (r < 0)
        return r;
    job->list.limit = (size_t)limit;
    job->list.prefix = query_blob(request, "prefix");
    job->list.after = query_blob(request, "after");
    if (job->list.after.len > 0 || cursor.len == 0)
        return 0;
    char *after = NULL;
    if (kv_cursor_decode(cursor.data, cursor.len, &after, &job->list.after.len) < 0)
        return err_set(err, -EINVAL, "cursor=%.40s did not come from a list of keys", cursor.data);
    job->keep[0] = after;
    job->list.after.data = after;
    return 0;
}

static void handle_list_keys(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    struct job *job = job_new(service, request, answer_keys);
    if (!job)
        return;
    job->list.ns = http_request_arg(request, "ns", NULL);
    if (read_keys_query(job, &err) < 0)
        job_refuse(job, &err);
    else
        service->engine->kv->list(service->engine->self, &job->list);
}

#define NS "/kv/namespaces/{ns}"
static const struct http_route rows[] = {
    {HTTP_GET, "/kv/namespaces", false, HTTP_BODY_NONE, 0, handle_list_namespaces, "kv_namespace_list",
     "All namespaces", ACCESS_READ},
    {HTTP_GET, NS, false, HTTP_BODY_NONE, 0, handle_get_namespace, "kv_namespace_get", "One namespace", ACCESS_READ},
    {HTTP_POST, NS, false, HTTP_BODY_NONE, 0, handle_create_namespace, "kv_namespace_create",
     "Make a namespace; done already is no failure", ACCESS_WRITE},
    {HTTP_DELETE, NS, false, HTTP_BODY_NONE, 0, handle_remove_namespace, "kv_namespace_remove",
     "Remove a namespace with all its keys", ACCESS_WRITE},
    {HTTP_GET, NS "/values/{key...}", true, HTTP_BODY_NONE, 0, handle_get_value, "kv_get", "The value of a key",
     ACCESS_READ},
    {HTTP_POST, NS "/values/{key...}", true, HTTP_BODY_WHOLE, VALUE_BODY_MAX, handle_put_form, "kv_put_form",
     "Set a key to the part 'value' of a form", ACCESS_WRITE},
    {HTTP_PUT, NS "/values/{key...}", true, HTTP_BODY_WHOLE, VALUE_BODY_MAX, handle_put_raw, "kv_put",
     "Set a key to the body", ACCESS_WRITE},
    {HTTP_DELETE, NS "/values/{key...}", true, HTTP_BODY_NONE, 0, handle_remove_value, "kv_remove",
     "Remove a key; done already is no failure", ACCESS_WRITE},
    {HTTP_GET, NS "/keys", false, HTTP_BODY_NONE, 0, handle_list_keys, "kv_list", "Keys in order, page by page",
     ACCESS_READ},
};
const struct route_table kv_routes = {rows, ARRAY_SIZE(rows)};
