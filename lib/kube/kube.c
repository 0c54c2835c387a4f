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
#define TOKEN_MAX 65536
#define TIMEOUT_S 10
#define OBJECT_MAX (8U << 20) // bytes of an answer; an object in etcd has at most 1.5 MiB

struct kube {
    char *url, *token_file, *ca_file;
    uint32_t timeout_s;
};

bool kube_in_cluster(void) {
    return !str_empty(getenv("KUBERNETES_SERVICE_HOST")) && access(ACCOUNT "/token", R_OK) == 0;
}

static char *own_cluster(void) {
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    bool v6 = host && strchr(host, ':');
    return mem_printf(v6 ? "https://[%s]:%s" : "https://%s:%s", host, str_empty(port) ? "443" : port);
}

int kube_new(const struct kube_options *options, struct kube **ret, struct err *err) {
    struct kube *kube cleanup(kube_freep) = mem_zalloc(sizeof *kube);
    if (!options && !kube_in_cluster())
        return err_set(err, -ENOENT,
                       "this is no pod with a service account: KUBERNETES_SERVICE_HOST or the token in " ACCOUNT
                       " is missing");
    if (!kube)
        return err_set(err, -ENOMEM, "out of memory");
    static const struct kube_options pod = {.token_file = ACCOUNT "/token", .ca_file = ACCOUNT "/ca.crt"};
    kube->url = options ? mem_strdup(options->url) : own_cluster();
    options = options ? options : &pod;
    kube->token_file = mem_strdup(options->token_file);
    kube->ca_file = mem_strdup(options->ca_file);
    kube->timeout_s = options->timeout_s ? options->timeout_s : TIMEOUT_S;
    if (!kube->url || (options->token_file && !kube->token_file) || (options->ca_file && !kube->ca_file))
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(kube);
    return 0;
}

struct kube *kube_free(struct kube *kube) {
    if (!kube)
        return NULL;
    free(kube->url);
    free(kube->token_file);
    free(kube->ca_file);
    free(kube);
    return NULL;
}

// A projected token is a symbolic link that kubelet moves.
static int read_token(const struct kube *kube, char **ret, struct err *err) {
    if (!kube->token_file)
        return 0;
    int fd cleanup_close = open(kube->token_file, O_RDONLY | O_CLOEXEC);
    char *text cleanup_free = mem_alloc(TOKEN_MAX + 1);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    ssize_t n = fd >= 0 ? read(fd, text, TOKEN_MAX) : -1;
    if (n < 0)
        return err_set(err, -EIO, "token %.120s: %s", kube->token_file, err_name(errno));
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    *ret = take_ptr(text);
    return 0;
}

static int describe(const struct kube *kube, const char *what, int r, struct err *err) {
    if (r == -EHOSTUNREACH)
        return err_set(err, r, "the Kubernetes API server %.100s is not reachable", kube->url);
    if (r == -ETIMEDOUT)
        return err_set(err, r, "the Kubernetes API server %.100s does not answer", kube->url);
    return err_wrap(err, r, "%.120s", what);
}

static int send_request(const struct kube *kube, const struct http_exchange *exchange, struct http_answer *ret,
                        struct err *err) {
    char *token cleanup_free = NULL;
    struct http_client *client cleanup(http_client_freep) = NULL;
    int r = read_token(kube, &token, err);
    struct http_client_options options = {
        .url = kube->url, .token = token, .ca_cert = kube->ca_file, .root = true, .timeout_s = kube->timeout_s};
    if (r == 0)
        r = http_client_new(&options, &client, err);
    if (r == 0)
        r = http_client_send(client, exchange, ret, err);
    return r < 0 ? describe(kube, exchange->path, r, err) : 0;
}

int kube_get(const struct kube *kube, const char *path, struct json **ret, struct err *err) {
    static const char *const headers[] = {"Accept: application/json", NULL};
    const struct http_exchange exchange = {.method = "GET", .path = path, .headers = headers};
    struct http_answer answer cleanup_answer = {0};
    struct json *object cleanup(json_freep) = NULL;
    int r = send_request(kube, &exchange, &answer, err);
    if (r == 0)
        r = json_parse(str_text(&answer.body), answer.body.len, OBJECT_MAX, &object, err);
    if (r == 0 && !json_is_an_object(object))
        r = err_set(err, -EBADMSG, "%.120s: the answer is no object", path);
    if (r == 0)
        *ret = take_ptr(object);
    return r;
}

char *kube_path(const char *collection, const char *name) {
    struct str path cleanup_str = {0};
    (void)str_printf(&path, "%s/", collection);
    (void)http_append_encoded(&path, name, strlen(name), false);
    return str_take(&path);
}

bool kube_may_pass(int error) {
    return error == -EHOSTUNREACH || error == -ETIMEDOUT || error == -ENOSPC || error == -EIO;
}

const char *kube_label(const struct json *object, const char *name) {
    const struct json *metadata = json_get(object, "metadata");
    const struct json *labels = metadata ? json_get(metadata, "labels") : NULL;
    return labels ? json_get_text(labels, name) : NULL;
}
