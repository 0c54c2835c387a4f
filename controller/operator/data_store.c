// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/data_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/http/client.h"

#define IDLE_MAX 8 // connections that are kept
#define TIMEOUT_S 10
#define BUFFER 16384
#define ANSWER_MAX (32U << 20)
#define AWAY_NS (5 * NS_PER_S) // not asked again before
#define PATIENCE_S 300
#define COUNTS_PER_S 20
#define COUNTS_BURST 40
#define TOKEN_NS (20 * NS_PER_S) // the file is read again after
#define TOKEN_MAX 65536

struct line { // a connection, and the token it was made with
    struct http_client *client;
    char *token;
};

struct data_store {
    struct data_store_options options;
    char *url, *public_url, *ca_file, *token_file;
    pthread_mutex_t lock; // of what follows
    struct line idle[IDLE_MAX];
    size_t idle_count;
    char *token;
    int64_t token_read_ns;
    int64_t away_since_ns, ask_after_ns; // 0: it is not away
    struct err away;
    int64_t counts_ns; // the time up to which statuses have been written, if they came evenly
};

bool data_store_is_away(int error) {
    return error == -EHOSTUNREACH || error == -ETIMEDOUT || error == -EPERM || error == -EACCES;
}

// ---- the token -------------------------------------------------------------------------------------------------------

// kubelet's file is a symbolic link into a folder that it replaces.
static char *read_text(const char *path) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    char *text cleanup_free = mem_alloc(TOKEN_MAX);
    ssize_t n = fd >= 0 && text ? read(fd, text, TOKEN_MAX - 1) : -1;
    if (n < 0)
        return NULL;
    text[n] = '\0';
    text[strcspn(text, " \r\n\t")] = '\0';
    return take_ptr(text);
}

static int read_token(struct data_store *store, int64_t now_ns, struct err *err) {
    if (!store->token_file || (store->token && now_ns - store->token_read_ns < TOKEN_NS))
        return 0;
    char *text cleanup_free = read_text(store->token_file);
    if (!text)
        return err_set(err, -EACCES, "the operator's token for the store cannot be read from %.120s",
                       store->token_file);
    store->token_read_ns = now_ns;
    if (str_eq(text, store->token))
        return 0;
    free(store->token);
    store->token = take_ptr(text);
    return 0;
}

// ---- connections -----------------------------------------------------------------------------------------------------

static void line_done(struct line *line) {
    line->client = http_client_free(line->client);
    free(take_ptr(line->token));
}

// One that has this token; whoever has another one ends.
static struct line take_line(struct data_store *store, const char *token) {
    LOCK_SCOPE(&store->lock);
    while (store->idle_count) {
        struct line line = store->idle[--store->idle_count];
        if (str_eq(line.token, token))
            return line;
        line_done(&line);
    }
    return (struct line){.token = mem_strdup(token)};
}

static void keep_line(struct data_store *store, struct line *line) {
    LOCK_SCOPE(&store->lock);
    if (store->idle_count == IDLE_MAX || !str_eq(line->token, store->token))
        return;
    store->idle[store->idle_count++] = *line;
    *line = (struct line){0};
}

static int send_by_http(void *arg, const struct data_store_request *request, const char *token, struct str *ret_answer,
                        struct err *err) {
    struct data_store *store = arg;
    struct line line cleanup(line_done) = take_line(store, token);
    struct http_answer answer cleanup_answer = {0};
    char *path cleanup_free = mem_printf("/api/v2/workspaces/%s%s", request->workspace, request->path);
    char *body cleanup_free = request->body ? json_dump(request->body, false) : NULL;
    if (!path || (request->body && !body))
        return err_set(err, -ENOMEM, "out of memory");
    const struct http_client_options options = {.url = store->url,
                                                .token = token,
                                                .ca_cert = store->ca_file,
                                                .root = true,
                                                .timeout_s = TIMEOUT_S,
                                                .buffer = BUFFER};
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    const struct http_exchange exchange = {.method = request->method,
                                           .path = path,
                                           .headers = body ? headers : NULL,
                                           .body = body ? body : "",
                                           .size = body ? (int64_t)strlen(body) : 0,
                                           .answer_max = ANSWER_MAX};
    int r = line.client ? 0 : http_client_new(&options, &line.client, err);
    if (r == 0)
        r = http_client_send(line.client, &exchange, &answer, err);
    if (r == 0) {
        *ret_answer = answer.body;
        answer.body = (struct str){0};
    }
    if (r == 0 || !data_store_is_away(r))
        keep_line(store, &line);
    return r;
}

// ---- a request -------------------------------------------------------------------------------------------------------

// *ret_token is a copy, for the file may change meanwhile. *ret_tried: it is asked, and what comes of it is to be told to end().
static int begin(struct data_store *store, bool *ret_tried, char **ret_token, struct err *err) {
    int64_t now_ns = clock_monotonic(store->options.clock);
    LOCK_SCOPE(&store->lock);
    if (store->away_since_ns && now_ns < store->ask_after_ns) {
        if (err)
            *err = store->away;
        return store->away.code;
    }
    *ret_tried = true;
    if (store->away_since_ns) // this one tries; the others wait for what it finds
        store->ask_after_ns = now_ns + TIMEOUT_S * NS_PER_S;
    int r = read_token(store, now_ns, err);
    if (r == 0 && store->token && !(*ret_token = mem_strdup(store->token)))
        r = err_set(err, -ENOMEM, "out of memory");
    return r;
}

static void end(struct data_store *store, int r, const struct err *err) {
    int64_t now_ns = clock_monotonic(store->options.clock);
    LOCK_SCOPE(&store->lock);
    if (!data_store_is_away(r)) {
        store->away_since_ns = 0;
        return;
    }
    store->token_read_ns = now_ns - TOKEN_NS; // it may be the token
    store->away = *err;
    store->ask_after_ns = now_ns + AWAY_NS;
    if (!store->away_since_ns)
        store->away_since_ns = now_ns;
}

int data_store_send(struct data_store *store, const struct data_store_request *request, struct json **ret,
                    struct err *err) {
    struct str answer cleanup_str = {0};
    struct err own = ERR_NONE;
    char *token cleanup_free = NULL;
    if (!store->url)
        return err_set(err, -EHOSTUNREACH, "the operator knows no store");
    bool tried = false;
    int r = begin(store, &tried, &token, &own);
    if (r == 0)
        r = store->options.send(store->options.arg ? store->options.arg : store, request, token, &answer, &own);
    if (tried)
        end(store, r, &own);
    if (r == 0 && ret && answer.len)
        r = json_parse_body(answer.data, answer.len, ANSWER_MAX, ret, &own);
    return r < 0 ? err_set(err, r, "%s", err_text(&own)) : 0;
}

bool data_store_is_given_up(struct data_store *store) {
    int64_t now_ns = clock_monotonic(store->options.clock);
    LOCK_SCOPE(&store->lock);
    return !store->url ||
           (store->away_since_ns && now_ns - store->away_since_ns >= store->options.patience_s * NS_PER_S);
}

bool data_store_may_count(struct data_store *store) {
    int64_t now_ns = clock_monotonic(store->options.clock), least = now_ns - COUNTS_BURST * NS_PER_S / COUNTS_PER_S;
    LOCK_SCOPE(&store->lock);
    if (store->counts_ns < least)
        store->counts_ns = least;
    if (store->counts_ns >= now_ns)
        return false;
    store->counts_ns += NS_PER_S / COUNTS_PER_S;
    return true;
}

// ---- beginning and end -----------------------------------------------------------------------------------------------

int64_t data_store_patience_s(const struct data_store *store) {
    return store->options.patience_s;
}

bool data_store_exists(const struct data_store *store) {
    return store->url != NULL;
}

const char *data_store_public_url(const struct data_store *store) {
    return store->public_url ? store->public_url : store->url;
}

static int copy(const char *text, char **ret) {
    *ret = mem_strdup(text);
    return text && !*ret ? -ENOMEM : 0;
}

int data_store_new(const struct data_store_options *options, struct data_store **ret, struct err *err) {
    struct data_store *store cleanup(data_store_freep) = mem_zalloc(sizeof *store);
    if (!store)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&store->lock, NULL);
    store->options = *options;
    store->options.clock = options->clock ? options->clock : &clock_system;
    store->options.send = options->send ? options->send : send_by_http;
    store->options.patience_s = options->patience_s ? options->patience_s : PATIENCE_S;
    if (copy(options->url, &store->url) < 0 || copy(options->public_url, &store->public_url) < 0 ||
        copy(options->ca_file, &store->ca_file) < 0 || copy(options->token_file, &store->token_file) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(store);
    return 0;
}

struct data_store *data_store_free(struct data_store *store) {
    if (!store)
        return NULL;
    for (size_t i = 0; i < store->idle_count; i++)
        line_done(&store->idle[i]);
    free(store->url);
    free(store->public_url);
    free(store->ca_file);
    free(store->token_file);
    free(store->token);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
    return NULL;
}
