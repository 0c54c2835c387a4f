// SPDX-License-Identifier: Apache-2.0
// Requests over HTTP: a few connections that wait for the next one, and a token that is read for each.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/kube/kube.h"
#include "lib/kube/transport.h"

#define TOKEN_MAX 65536
#define TIMEOUT_S 10
#define IDLE_MAX 4          // connections kept between requests
#define BUFFER (16U * 1024) // of a connection: what is sent and got is small

struct transport {
    char *url, *token, *token_file, *ca_file, *ca_pem, *cert_file, *key_file, *cert_pem, *key_pem;
    uint32_t timeout_s;
    pthread_mutex_t lock; // of what follows
    struct http_client *idle[2][IDLE_MAX];
    size_t idle_count[2]; // by whether their time limit is a watch's
};

static void transport_free(void *self) {
    struct transport *t = self;
    if (!t)
        return;
    for (size_t kind = 0; kind < 2; kind++)
        while (t->idle_count[kind])
            (void)http_client_free(t->idle[kind][--t->idle_count[kind]]);
    char *texts[] = {t->url, t->token, t->token_file, t->ca_file, t->ca_pem, t->cert_file, t->key_file, t->cert_pem};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    if (t->key_pem)
        explicit_bzero(t->key_pem, strlen(t->key_pem));
    free(t->key_pem);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

static void transport_freep(struct transport **t) {
    transport_free(*t);
}

// A projected token is a symbolic link that kubelet moves; it writes a new one long before the old one ends.
static int read_token(const struct transport *t, char **ret, struct err *err) {
    if (!t->token_file) {
        *ret = mem_strdup(t->token);
        return t->token && !*ret ? err_set(err, -ENOMEM, "out of memory") : 0;
    }
    int fd cleanup_close = open(t->token_file, O_RDONLY | O_CLOEXEC);
    char *text cleanup_free = mem_alloc(TOKEN_MAX + 1);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    ssize_t n = fd >= 0 ? read(fd, text, TOKEN_MAX) : -1;
    if (n < 0)
        return err_set(err, -EIO, "token %.120s: %s", t->token_file, err_name(errno));
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    *ret = take_ptr(text);
    return 0;
}

static struct http_client *take_idle(struct transport *t, size_t kind) {
    LOCK_SCOPE(&t->lock);
    return t->idle_count[kind] ? t->idle[kind][--t->idle_count[kind]] : NULL;
}

static void give_back(struct transport *t, size_t kind, struct http_client *client) {
    LOCK_SCOPE(&t->lock);
    if (t->idle_count[kind] < IDLE_MAX)
        t->idle[kind][t->idle_count[kind]++] = client;
    else
        (void)http_client_free(client);
}

static int connect_new(const struct transport *t, uint32_t timeout_s, struct http_client **ret, struct err *err) {
    struct http_client_options options = {
        .url = t->url,
        .ca_cert = t->ca_file,
        .ca_pem = t->ca_pem,
        .client_cert = t->cert_file,
        .client_key = t->key_file,
        .client_cert_pem = t->cert_pem,
        .client_key_pem = t->key_pem,
        .root = true,
        .timeout_s = timeout_s,
        .buffer = BUFFER,
    };
    return http_client_new(&options, ret, err);
}

static int describe(const struct transport *t, const char *path, int r, struct err *err) {
    if (r == -EHOSTUNREACH)
        return err_set(err, r, "the Kubernetes API server %.100s is not reachable", t->url);
    if (r == -ETIMEDOUT)
        return err_set(err, r, "the Kubernetes API server %.100s does not answer", t->url);
    return err_wrap(err, r, "%.*s", (int)strcspn(path, "?") < 120 ? (int)strcspn(path, "?") : 120, path);
}

static int exchange(struct http_client *client, const struct kube_request *request, const char *token,
                    struct http_answer *ret, struct err *err) {
    char *authorization cleanup_free = token ? mem_printf("Authorization: Bearer %s", token) : NULL;
    char *type cleanup_free = request->body ? mem_printf("Content-Type: %s", request->content_type) : NULL;
    if ((token && !authorization) || (request->body && !type))
        return err_set(err, -ENOMEM, "out of memory");
    const char *headers[4] = {"Accept: application/json"};
    size_t count = 1;
    if (authorization)
        headers[count++] = authorization;
    if (type)
        headers[count++] = type;
    const struct http_exchange order = {
        .method = request->method,
        .path = request->path,
        .headers = headers,
        .body = request->body,
        .size = (int64_t)request->body_len,
        .write = request->chunk,
        .answer_max = request->max ? request->max : KUBE_ANSWER_MAX,
        .cancelled = request->cancelled,
        .arg = request->arg,
    };
    int r = http_client_send(client, &order, ret, err);
    if (authorization)
        explicit_bzero(authorization, strlen(authorization));
    return r;
}

static int transport_send(void *self, const struct kube_request *request, struct str *ret_body, struct err *err) {
    struct transport *t = self;
    struct http_answer answer cleanup_answer = {0};
    struct err local = ERR_NONE;
    char *token cleanup_free = NULL;
    size_t kind = request->chunk != NULL;
    err = err ? err : &local;
    int r = read_token(t, &token, err);
    if (r < 0)
        return r;
    struct http_client *client = request->timeout_s && !kind ? NULL : take_idle(t, kind);
    if (!client)
        r = connect_new(t, request->timeout_s ? request->timeout_s : t->timeout_s, &client, err);
    if (r == 0)
        r = exchange(client, request, token, &answer, err);
    if (r == 0 && (kind || !request->timeout_s))
        give_back(t, kind, client);
    else
        (void)http_client_free(client); // a new one reads the certificates again
    if (r < 0)
        return describe(t, request->path, r, err);
    *ret_body = answer.body;
    answer.body = (struct str){0};
    return 0;
}

static int copy(const char *from, char **to) {
    *to = mem_strdup(from);
    return from && !*to ? -ENOMEM : 0;
}

int kube_transport_http(const struct kube_options *options, struct kube_transport *ret, struct err *err) {
    static const struct kube_transport_ops ops = {.send = transport_send, .free = transport_free};
    struct transport *t cleanup(transport_freep) = mem_zalloc(sizeof *t);
    if (!t)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&t->lock, NULL);
    t->timeout_s = options->timeout_s ? options->timeout_s : TIMEOUT_S;
    if (copy(options->url, &t->url) < 0 || copy(options->token, &t->token) < 0 ||
        copy(options->token_file, &t->token_file) < 0 || copy(options->ca_file, &t->ca_file) < 0 ||
        copy(options->ca_pem, &t->ca_pem) < 0 || copy(options->client_cert_file, &t->cert_file) < 0 ||
        copy(options->client_key_file, &t->key_file) < 0 || copy(options->client_cert_pem, &t->cert_pem) < 0 ||
        copy(options->client_key_pem, &t->key_pem) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = (struct kube_transport){.ops = &ops, .self = take_ptr(t)};
    return 0;
}
