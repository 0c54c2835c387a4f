// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/kube.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/http/client.h"

// Where kubelet puts a pod's service account (Kubernetes documentation, "Accessing the Kubernetes API from a Pod").
#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define FIELD_MANAGER "stowage-operator"

struct kube {
    struct kube_transport transport;
};

bool kube_in_cluster(void) {
    return !str_empty(getenv("KUBERNETES_SERVICE_HOST")) && access(ACCOUNT "/token", R_OK) == 0;
}

char *kube_own_namespace(void) {
    char text[256];
    int fd cleanup_close = open(ACCOUNT "/namespace", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0)
        return NULL;
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    return mem_strdup(text);
}

static char *own_cluster(void) {
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    bool v6 = host && strchr(host, ':');
    return mem_printf(v6 ? "https://[%s]:%s" : "https://%s:%s", host, str_empty(port) ? "443" : port);
}

int kube_options_of_pod(struct kube_options *ret, struct err *err) {
    if (!kube_in_cluster())
        return err_set(err, -ENOENT,
                       "this is no pod with a service account: KUBERNETES_SERVICE_HOST or the token in " ACCOUNT
                       " is missing");
    *ret = (struct kube_options){.url = own_cluster(), .token_file = ACCOUNT "/token", .ca_file = ACCOUNT "/ca.crt"};
    return ret->url ? 0 : err_set(err, -ENOMEM, "out of memory");
}

void kube_options_of_pod_done(struct kube_options *options) {
    free((void *)(uintptr_t)options->url);
    *options = (struct kube_options){0};
}

int kube_new(const struct kube_options *options, struct kube **ret, struct err *err) {
    struct kube_options pod cleanup(kube_options_of_pod_done) = {0};
    struct kube_transport transport = {0};
    int r = options ? 0 : kube_options_of_pod(&pod, err);
    if (r == 0)
        r = kube_transport_http(options ? options : &pod, &transport, err);
    return r < 0 ? r : kube_new_over(transport, ret, err);
}

int kube_new_over(struct kube_transport transport, struct kube **ret, struct err *err) {
    struct kube *kube = mem_zalloc(sizeof *kube);
    if (!kube) {
        transport.ops->free(transport.self);
        return err_set(err, -ENOMEM, "out of memory");
    }
    kube->transport = transport;
    *ret = kube;
    return 0;
}

struct kube *kube_free(struct kube *kube) {
    if (!kube)
        return NULL;
    kube->transport.ops->free(kube->transport.self);
    free(kube);
    return NULL;
}

int kube_send(const struct kube *kube, const struct kube_request *request, struct str *ret_body, struct err *err) {
    return kube->transport.ops->send(kube->transport.self, request, ret_body, err);
}

static int parse_object(const char *path, const struct str *body, struct json **ret, struct err *err) {
    struct json *object cleanup(json_freep) = NULL;
    int r = json_parse_body(str_text(body), body->len, KUBE_ANSWER_MAX, &object, err);
    if (r == 0 && !json_is_an_object(object))
        r = err_set(err, -EBADMSG, "%.120s: the answer is no object", path);
    if (r == 0)
        *ret = take_ptr(object);
    return r;
}

// One object there, one object back.
static int call(const struct kube *kube, const char *method, const char *path, const char *type,
                const struct json *object, struct json **ret, struct err *err) {
    struct str body cleanup_str = {0};
    char *text cleanup_free = object ? json_dump(object, false) : NULL;
    if (object && !text)
        return err_set(err, -ENOMEM, "out of memory");
    const struct kube_request request = {
        .method = method, .path = path, .content_type = type, .body = text, .body_len = text ? strlen(text) : 0};
    int r = kube_send(kube, &request, &body, err);
    return r == 0 && ret ? parse_object(path, &body, ret, err) : r;
}

// 409 means "there is one already" to who creates, and "it was changed meanwhile" to everybody else.
static int conflict(int r, struct err *err) {
    if (r == -EEXIST && err)
        err->code = -EAGAIN;
    return r == -EEXIST ? -EAGAIN : r;
}

int kube_get(const struct kube *kube, const char *path, struct json **ret, struct err *err) {
    return call(kube, "GET", path, NULL, NULL, ret, err);
}

int kube_create(const struct kube *kube, const char *collection, const struct json *object, struct json **ret,
                struct err *err) {
    return call(kube, "POST", collection, "application/json", object, ret, err);
}

int kube_update(const struct kube *kube, const char *path, const struct json *object, struct json **ret,
                struct err *err) {
    return conflict(call(kube, "PUT", path, "application/json", object, ret, err), err);
}

int kube_patch(const struct kube *kube, const char *path, enum kube_patch kind, const struct json *object,
               struct json **ret, struct err *err) {
    bool apply = kind == KUBE_PATCH_APPLY;
    char *query cleanup_free = mem_printf("%s?fieldManager=" FIELD_MANAGER "%s", path, apply ? "&force=true" : "");
    if (!query)
        return err_set(err, -ENOMEM, "out of memory");
    return conflict(call(kube, "PATCH", query, apply ? "application/apply-patch+yaml" : "application/merge-patch+json",
                         object, ret, err),
                    err);
}

int kube_patch_status(const struct kube *kube, const char *path, const struct json *object, struct json **ret,
                      struct err *err) {
    char *status cleanup_free = mem_printf("%s/status", path);
    if (!status)
        return err_set(err, -ENOMEM, "out of memory");
    return kube_patch(kube, status, KUBE_PATCH_MERGE, object, ret, err);
}

int kube_delete(const struct kube *kube, const char *path, const char *uid, const char *version, struct err *err) {
    struct json *options cleanup(json_freep) = json_object_new();
    struct json *only = json_object_new();
    if (json_set_text(only, "uid", uid) < 0 || json_set_text(only, "resourceVersion", version) < 0 ||
        json_set_text(options, "apiVersion", "v1") < 0 || json_set_text(options, "kind", "DeleteOptions") < 0 ||
        json_set_text(options, "propagationPolicy", "Background") < 0 || json_set(options, "preconditions", only) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return conflict(call(kube, "DELETE", path, "application/json", options, NULL, err), err);
}

char *kube_path(const char *collection, const char *name) {
    struct str path cleanup_str = {0};
    (void)str_printf(&path, "%s/", collection);
    (void)http_append_encoded(&path, name, strlen(name), false);
    return str_take(&path);
}

char *kube_collection(const char *group, const char *ns, const char *plural) {
    char *inside cleanup_free = str_empty(ns) ? NULL : mem_printf("%s/namespaces", group);
    char *one cleanup_free = inside ? kube_path(inside, ns) : NULL;
    if (str_empty(ns))
        return mem_printf("%s/%s", group, plural);
    return one ? mem_printf("%s/%s", one, plural) : NULL;
}

bool kube_may_pass(int error) {
    return error == -EHOSTUNREACH || error == -ETIMEDOUT || error == -ENOSPC || error == -EIO;
}
