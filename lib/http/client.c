// SPDX-License-Identifier: Apache-2.0
#include "lib/http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

#define CONNECT_S 10L
#define ERROR_BODY_MAX (64U * 1024)
#define TRANSFER_BUFFER (256U * 1024)

// What a connection by TLS is made with: an option of libcurl each, given as a file or as the text itself.
enum { TLS_CA_FILE, TLS_CERT_FILE, TLS_KEY_FILE, TLS_CA, TLS_CERT, TLS_KEY, TLS_TEXTS };
static const CURLoption tls_options[TLS_TEXTS] = {
    [TLS_CA_FILE] = CURLOPT_CAINFO, [TLS_CERT_FILE] = CURLOPT_SSLCERT, [TLS_KEY_FILE] = CURLOPT_SSLKEY,
    [TLS_CA] = CURLOPT_CAINFO_BLOB, [TLS_CERT] = CURLOPT_SSLCERT_BLOB, [TLS_KEY] = CURLOPT_SSLKEY_BLOB};

struct http_client {
    CURL *curl;
    char *base, *socket, *authorization;
    char *tls[TLS_TEXTS];
    size_t buffer;
    bool local; // on this machine: no proxy stands between
    uint32_t timeout_s;
};

struct transfer { // of one exchange
    struct http_client *client;
    const struct http_exchange *exchange;
    struct http_answer *answer;
    struct curl_slist *headers;
    curl_mime *form;
    struct err *err;
    int failed; // of a callback: its -errno
};

// ---- texts ----

int http_append_encoded(struct str *out, const char *text, size_t len, bool keep_slashes) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < len; i++) {
        bool keep = text[i] && (strchr(plain, text[i]) || (keep_slashes && text[i] == '/'));
        if (keep)
            (void)str_append_bytes(out, &text[i], 1);
        else
            (void)str_printf(out, "%%%02X", (unsigned)(unsigned char)text[i]);
    }
    return out->failed ? -ENOMEM : 0;
}

static int no_memory(struct err *err) {
    return err_set(err, -ENOMEM, "out of memory");
}

// ---- the client ----

static bool is_local(const char *url) {
    static const char *const hosts[] = {"://127.", "://localhost:", "://localhost/", "://[::1]"};
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
        if (strstr(url, hosts[i]))
            return true;
    return false;
}

// A URL without a path means the API of the token's workspace.
static int set_url(struct http_client *client, const char *url, bool root, struct err *err) {
    const char *host = strstr(url, "://");
    if (str_starts(url, "unix:/")) {
        const char *path = strchr(url + 5, ':');
        client->socket = path ? mem_strndup(url + 5, (size_t)(path - url - 5)) : mem_strdup(url + 5);
        client->base = mem_printf("http://localhost%s", path && path[1] ? path + 1 : "/api/v1");
    } else if ((str_starts(url, "http://") || str_starts(url, "https://")) && host && host[3] && host[3] != '/') {
        const char *path = strchr(host + 3, '/');
        bool none = !path || !path[1];
        size_t len = none && path ? (size_t)(path - url) : strlen(url);
        while (!none && len && url[len - 1] == '/')
            len--;
        client->base = mem_printf("%.*s%s", (int)len, url, none ? "/api/v1" : "");
    } else {
        return err_set(err, -EINVAL, "'%.100s' is no URL such as http://127.0.0.1:3500/api/v1, nor unix:SOCKET", url);
    }
    char *path = client->base ? strchr(strstr(client->base, "://") + 3, '/') : NULL;
    if (root && path)
        *path = '\0';
    client->local = client->base && is_local(client->base);
    return client->base && (client->socket || !str_starts(url, "unix:")) ? 0 : no_memory(err);
}

static int copy_tls(struct http_client *client, const struct http_client_options *options) {
    const char *texts[TLS_TEXTS] = {
        [TLS_CA_FILE] = options->ca_cert, [TLS_CERT_FILE] = options->client_cert, [TLS_KEY_FILE] = options->client_key,
        [TLS_CA] = options->ca_pem,       [TLS_CERT] = options->client_cert_pem,  [TLS_KEY] = options->client_key_pem};
    for (size_t i = 0; i < TLS_TEXTS; i++)
        if (texts[i] && !(client->tls[i] = mem_strdup(texts[i])))
            return -ENOMEM;
    return 0;
}

int http_client_new(const struct http_client_options *options, struct http_client **ret, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = mem_zalloc(sizeof *client);
    if (!client)
        return no_memory(err);
    int r = set_url(client, options->url, options->root, err);
    if (r < 0)
        return r;
    if (!str_empty(options->token) && strpbrk(options->token, "\r\n"))
        return err_set(err, -EINVAL, "the token holds a line break");
    client->timeout_s = options->timeout_s;
    client->buffer = options->buffer ? options->buffer : TRANSFER_BUFFER;
    if (copy_tls(client, options) < 0)
        return no_memory(err);
    client->authorization = str_empty(options->token) ? NULL : mem_printf("Authorization: Bearer %s", options->token);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        client->curl = curl_easy_init();
    if (!client->curl || (!str_empty(options->token) && !client->authorization))
        return no_memory(err);
    *ret = take_ptr(client);
    return 0;
}

struct http_client *http_client_free(struct http_client *client) {
    if (!client)
        return NULL;
    curl_easy_cleanup(client->curl);
    free(client->base);
    free(client->socket);
    free(client->authorization);
    for (size_t i = 0; i < TLS_TEXTS; i++) {
        if (client->tls[i])
            explicit_bzero(client->tls[i], strlen(client->tls[i]));
        free(client->tls[i]);
    }
    free(client);
    return NULL;
}

void http_answer_done(struct http_answer *answer) {
    free(answer->etag);
    free(answer->location);
    free(answer->expires_ms);
    str_done(&answer->body);
    *answer = (struct http_answer){0};
}

// ---- callbacks of a transfer ----

static bool is_success(const struct transfer *transfer) {
    unsigned class = transfer->answer->status / 100;
    return class == 2 || (class == 3 && transfer->exchange->redirect_ok);
}

static size_t on_read(char *buf, size_t size, size_t count, void *arg) {
    struct transfer *transfer = arg;
    int64_t n = transfer->exchange->read(transfer->exchange->arg, buf, size * count, transfer->err);
    if (n >= 0)
        return (size_t)n;
    transfer->failed = (int)n;
    return CURL_READFUNC_ABORT;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg) {
    struct transfer *transfer = arg;
    struct str *body = &transfer->answer->body;
    size_t len = size * count;
    bool stream = is_success(transfer) && transfer->exchange->write;
    size_t most = transfer->exchange->answer_max ? transfer->exchange->answer_max : HTTP_ANSWER_MAX;
    size_t max = is_success(transfer) ? most : ERROR_BODY_MAX;
    if (stream)
        transfer->failed = transfer->exchange->write(transfer->exchange->arg, data, len, transfer->err);
    else if (len > max - body->len)
        transfer->failed = err_set(transfer->err, -EMSGSIZE, "the server's answer has more than %zu bytes", max);
    else if (str_append_bytes(body, data, len) < 0)
        transfer->failed = no_memory(transfer->err);
    return transfer->failed < 0 ? 0 : len;
}

static int on_progress(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_put, curl_off_t put) {
    struct transfer *transfer = arg;
    (void)to_get, (void)got, (void)to_put, (void)put;
    if (!transfer->failed && transfer->exchange->cancelled(transfer->exchange->arg))
        transfer->failed = err_set(transfer->err, -ECANCELED, "the request was given up");
    return transfer->failed < 0; // libcurl then ends the transfer
}

static void keep_field(const char *line, size_t len, const char *name, char **ret) {
    size_t at = strlen(name);
    if (len <= at || line[at] != ':' || strncasecmp(line, name, at) != 0)
        return;
    for (at++; at < len && (line[at] == ' ' || line[at] == '\t');)
        at++;
    while (len > at && strchr("\r\n ", line[len - 1]))
        len--;
    if (len - at >= 2 && line[at] == '"' && line[len - 1] == '"') {
        at++;
        len--;
    }
    free(*ret);
    *ret = mem_strndup(line + at, len - at);
}

static size_t on_header(char *line, size_t size, size_t count, void *arg) {
    struct transfer *transfer = arg;
    struct http_answer *answer = transfer->answer;
    size_t len = size * count;
    long status = 0;
    (void)curl_easy_getinfo(transfer->client->curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (unsigned)status; // known before any byte of the body
    keep_field(line, len, "ETag", &answer->etag);
    keep_field(line, len, "Location", &answer->location);
    keep_field(line, len, "Stowage-Expires-Ms", &answer->expires_ms);
    return len;
}

// ---- setting up ----

static int add_header(struct transfer *transfer, const char *line) {
    struct curl_slist *grown = curl_slist_append(transfer->headers, line);
    if (!grown)
        return -ENOMEM;
    transfer->headers = grown;
    return 0;
}

static int set_headers(struct transfer *transfer) {
    const struct http_exchange *exchange = transfer->exchange;
    int r = transfer->client->authorization ? add_header(transfer, transfer->client->authorization) : 0;
    if (r == 0 && (exchange->body || exchange->read) && !exchange->form_part)
        r = add_header(transfer, "Content-Type:"); // not the form that libcurl would claim
    for (const char *const *line = exchange->headers; r == 0 && line && *line; line++)
        r = add_header(transfer, *line);
    (void)curl_easy_setopt(transfer->client->curl, CURLOPT_HTTPHEADER, transfer->headers);
    return r;
}

static int set_form(struct transfer *transfer) {
    const struct http_exchange *exchange = transfer->exchange;
    transfer->form = curl_mime_init(transfer->client->curl);
    curl_mimepart *part = transfer->form ? curl_mime_addpart(transfer->form) : NULL;
    if (!part || curl_mime_name(part, exchange->form_part) || curl_mime_filename(part, "file") ||
        curl_mime_type(part, "application/octet-stream") ||
        curl_mime_data_cb(part, exchange->size, on_read, NULL, NULL, transfer))
        return -ENOMEM;
    (void)curl_easy_setopt(transfer->client->curl, CURLOPT_MIMEPOST, transfer->form);
    return 0;
}

static int set_body(struct transfer *transfer) {
    const struct http_exchange *exchange = transfer->exchange;
    CURL *curl = transfer->client->curl;
    if (exchange->read && exchange->form_part)
        return set_form(transfer);
    if (exchange->read) {
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
        (void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->size);
    } else if (str_eq(exchange->method, "HEAD")) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (exchange->body || !str_eq(exchange->method, "GET")) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->body ? exchange->body : "");
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(exchange->body ? exchange->size : 0));
    }
    return 0;
}

static void set_limits(const struct http_client *client, const struct http_exchange *exchange) {
    bool streamed = exchange->read || exchange->write;
    (void)curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    (void)curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, streamed ? 0L : (long)client->timeout_s);
    (void)curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, streamed ? 1L : 0L);
    (void)curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, (long)client->timeout_s);
    (void)curl_easy_setopt(client->curl, CURLOPT_BUFFERSIZE, (long)client->buffer);
    (void)curl_easy_setopt(client->curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)client->buffer);
}

static void set_tls(const struct http_client *client) {
    for (size_t i = 0; i < TLS_TEXTS; i++) {
        if (!client->tls[i])
            continue;
        struct curl_blob blob = {.data = client->tls[i], .len = strlen(client->tls[i]), .flags = CURL_BLOB_COPY};
        if (i >= TLS_CA)
            (void)curl_easy_setopt(client->curl, tls_options[i], &blob);
        else
            (void)curl_easy_setopt(client->curl, tls_options[i], client->tls[i]);
    }
}

static int set_up(struct transfer *transfer, const char *url) {
    struct http_client *client = transfer->client;
    curl_easy_reset(client->curl);
    if (curl_easy_setopt(client->curl, CURLOPT_URL, url) != CURLE_OK)
        return -ENOMEM;
    (void)curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);   // many threads, none of which may lose its alarm
    (void)curl_easy_setopt(client->curl, CURLOPT_PATH_AS_IS, 1L); // a key may be "a/../b"
    (void)curl_easy_setopt(client->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(client->curl, CURLOPT_USERAGENT, "stowage/" STOWAGE_VERSION);
    (void)curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    if (client->local)
        (void)curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
    set_tls(client);
    if (transfer->exchange->cancelled) {
        (void)curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
        (void)curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void)curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, transfer);
    }
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_write);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, transfer);
    set_limits(client, transfer->exchange);
    int r = set_body(transfer);
    (void)curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, transfer->exchange->method);
    return r < 0 ? r : set_headers(transfer);
}

// ---- results ----

static int no_answer(const struct http_client *client, CURLcode code, struct err *err) {
    const char *where = client->socket ? client->socket : client->base;
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return no_memory(err);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(err, -EHOSTUNREACH,
                       "the store at %.120s is not reachable: %s; start stowage-sidecar, or say "
                       "with --url where it is",
                       where, curl_easy_strerror(code));
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, -ETIMEDOUT, "no answer from %.120s in time; see whether it lives, or raise --timeout",
                       where);
    default:
        return err_set(err, -EIO, "%.120s: %s", where, curl_easy_strerror(code));
    }
}

static int refused(const struct http_answer *answer, struct err *err) {
    static const struct {
        unsigned status;
        int code;
    } codes[] = {{401, -EPERM},  {403, -EACCES}, {404, -ENOENT}, {409, -EEXIST}, {410, -ESTALE},
                 {412, -EAGAIN}, {413, -E2BIG},  {429, -ENOSPC}, {507, -ENOSPC}};
    struct json *body cleanup(json_freep) = NULL;
    int code = answer->status >= 400 && answer->status < 500 ? -EINVAL : -EIO;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i].status == answer->status)
            code = codes[i].code;
    int r = answer->body.len ? json_parse(answer->body.data, answer->body.len, ERROR_BODY_MAX, &body, NULL) : -EIO;
    const char *message = r == 0 ? json_get_text(body, "message") : NULL;
    if (message)
        return err_set(err, code, "%s", message);
    return err_set(err, code, "the server answered HTTP %u without saying why", answer->status);
}

int http_client_send(struct http_client *client, const struct http_exchange *exchange, struct http_answer *ret,
                     struct err *err) {
    struct transfer transfer = {.client = client, .exchange = exchange, .answer = ret, .err = err};
    char *url cleanup_free = mem_printf("%s%s", client->base, exchange->path);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    *ret = (struct http_answer){0};
    if (url && set_up(&transfer, url) == 0)
        code = curl_easy_perform(client->curl);
    curl_slist_free_all(transfer.headers);
    curl_mime_free(transfer.form);
    int r = transfer.failed;
    // An answer that came before the body was sent counts more than that the rest could not be sent.
    if (r == 0 && ret->status >= 300 && !is_success(&transfer))
        r = refused(ret, err);
    else if (r == 0 && code != CURLE_OK)
        r = no_answer(client, code, err);
    if (r < 0)
        http_answer_done(ret);
    return r;
}
