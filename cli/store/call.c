// SPDX-License-Identifier: Apache-2.0
#include "cli/store/call.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "lib/base/base64.h"
#include "lib/base/mem.h"

#define URL_DEFAULT "http://127.0.0.1:3500/api/v1"
#define TOKEN_FILE_DEFAULT "/var/lib/stowage/store/token"
#define TOKEN_MAX 4096

int store_no_memory(struct err *err) {
    return err_set(err, -ENOMEM, "out of memory");
}

// ---- the store ----

// The first word of a file, as stowage-sidecar writes it.
static int read_token(const char *file, char **ret, struct err *err) {
    char text[TOKEN_MAX + 1];
    int fd cleanup_close = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TOKEN_MAX);
    if (n < 0)
        return err_set(err, -errno, "the token's file %.150s: %s", file, err_name(errno));
    text[n] = '\0';
    size_t len = strcspn(text, " \t\r\n");
    if (len == 0)
        return err_set(err, -EINVAL, "the token's file %.150s begins with no token", file);
    *ret = mem_strndup(text, len);
    return *ret ? 0 : store_no_memory(err);
}

static int find_token(const struct cli *cli, char **ret, struct err *err) {
    const struct options *options = &cli->options;
    bool admin = cli->command->whom == OPTIONS_STORE_ADMIN;
    const char *token = admin ? options->admin_token : options->token;
    const char *file = admin ? options->admin_token_file : options->token_file;
    if (str_empty(token) && !admin && str_empty(file))
        token = getenv("LEPTON_WORKSPACE_TOKEN");
    if (!str_empty(token)) {
        *ret = mem_strdup(token);
        return *ret ? 0 : store_no_memory(err);
    }
    if (!str_empty(file))
        return read_token(file, ret, err);
    return access(TOKEN_FILE_DEFAULT, R_OK) == 0 ? read_token(TOKEN_FILE_DEFAULT, ret, err) : 0;
}

int store_open(const struct cli *cli, struct http_client **ret, struct err *err) {
    char *token cleanup_free = NULL;
    const char *url = cli->options.url;
    if (str_empty(url))
        url = getenv("LEPTON_WORKSPACE_URL");
    int r = find_token(cli, &token, err);
    if (r < 0)
        return r == -ENOENT ? -EINVAL : r; // no file is not "no such key"
    struct http_client_options options = {.url = str_empty(url) ? URL_DEFAULT : url,
                                          .token = token,
                                          .ca_cert = cli->options.ca_cert,
                                          .root = cli->command->whom == OPTIONS_STORE_ADMIN,
                                          .timeout_s = cli->options.timeout};
    return http_client_new(&options, ret, err);
}

// ---- paths ----

int store_path(struct str *path, const char *pattern, ...) {
    va_list ap;
    va_start(ap, pattern);
    for (const char *p = pattern; *p; p++) {
        if (*p != '*') {
            (void)str_append_bytes(path, p, 1);
            continue;
        }
        const char *text = va_arg(ap, const char *);
        bool keep_slashes = p[1] == '*';
        (void)http_append_encoded(path, text, strlen(text), keep_slashes);
        p += keep_slashes;
    }
    va_end(ap);
    return path->failed ? -ENOMEM : 0;
}

int store_files(struct str *path, const char *place) {
    return store_path(path, strchr(place, '/') ? "/storage/**" : "/storage/**/", place);
}

int store_query(struct str *path, const char *name, const char *text) {
    if (!text)
        return 0;
    (void)str_printf(path, "%c%s=", path->data && strchr(path->data, '?') ? '&' : '?', name);
    return http_append_encoded(path, text, strlen(text), false);
}

int store_query_number(struct str *path, const char *name, int64_t number) {
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRId64, number);
    return store_query(path, name, digits);
}

// ---- bodies ----

int store_set_number(struct json *body, const char *key, const char *number, struct err *err) {
    int64_t value = 0;
    if (!number)
        return 0;
    int r = str_to_i64(number, 0, INT64_MAX, &value);
    if (r < 0)
        return err_set(err, r, "'%.40s' is no number", number);
    return json_set_int(body, key, value) < 0 ? store_no_memory(err) : 0;
}

int store_set_text(struct json *body, const char *key, const char *data, size_t len, struct err *err) {
    int r = json_set_bytes(body, key, data ? data : "", len);
    if (r == -EINVAL)
        return err_set(err, -EINVAL, "the %s is no UTF-8 text", key);
    return r < 0 ? store_no_memory(err) : 0;
}

int store_set_bytes(struct json *object, const char *key, const char *data, size_t len) {
    int r = json_set_bytes(object, key, data ? data : "", len);
    if (r != -EINVAL)
        return r;
    char name[64];
    char *encoded cleanup_free = base64_encode(data, len);
    (void)snprintf(name, sizeof name, "%s_base64", key);
    return encoded ? json_set_text(object, name, encoded) : -ENOMEM;
}

// ---- calls ----

static int parse_answer(const struct http_answer *answer, struct json **ret, struct err *err) {
    if (!ret || answer->body.len == 0)
        return 0;
    int r = json_parse_body(answer->body.data, answer->body.len, HTTP_ANSWER_MAX, ret, err);
    return r < 0 ? err_wrap(err, r, "the server's answer") : 0;
}

int store_call(struct http_client *client, const char *method, const struct str *path, const struct json *body,
               struct json **ret, struct err *err) {
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct http_answer answer cleanup_answer = {0};
    char *text cleanup_free = body ? json_dump(body, false) : NULL;
    if (path->failed || (body && !text))
        return store_no_memory(err);
    struct http_exchange exchange = {.method = method,
                                     .path = path->data,
                                     .headers = text ? headers : NULL,
                                     .body = text,
                                     .size = text ? (int64_t)strlen(text) : 0};
    int r = http_client_send(client, &exchange, &answer, err);
    return r < 0 ? r : parse_answer(&answer, ret, err);
}

int store_do(const struct cli *cli, const char *method, const struct str *path, const struct json *body,
             struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *reply cleanup(json_freep) = NULL;
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, method, path, body, &reply, err);
    return r == 0 && cli->options.json && reply ? output_json(reply, err) : r;
}
