// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/call.h"
#include "cli/store/stream.h"
#include "lib/base/mem.h"

#define INPUT_MAX (16U << 20) // the server's limit is lower, and its to tell

// One request for a key; the answer's body and version are the caller's.
static int send_for_key(struct cli *cli, struct http_exchange *exchange, struct http_answer *ret, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct str path cleanup_str = {0};
    if (store_path(&path, "/kv/namespaces/*/values/**", cli->argv[0], cli->argv[1]) < 0)
        return store_no_memory(err);
    exchange->path = path.data;
    int r = store_open(cli, &client, err);
    return r < 0 ? r : http_client_send(client, exchange, ret, err);
}

static int set_version(struct json *object, const char *etag) {
    int64_t version = 0;
    int r = etag ? str_to_i64(etag, 0, INT64_MAX, &version) : -ENOENT;
    return r < 0 ? 0 : json_set_int(object, "version", version);
}

// ---- get ----

static int print_value(struct cli *cli, const struct http_answer *answer, struct err *err) {
    struct json *object cleanup(json_freep) = json_object_new();
    int64_t expires_ms = 0;
    if (store_set_bytes(object, "key", cli->argv[1], strlen(cli->argv[1])) < 0 ||
        set_version(object, answer->etag) < 0 ||
        store_set_bytes(object, "value", answer->body.data, answer->body.len) < 0)
        return store_no_memory(err);
    if (answer->expires_ms && str_to_i64(answer->expires_ms, 0, INT64_MAX, &expires_ms) == 0 &&
        json_set_int(object, "expires_ms", expires_ms) < 0)
        return store_no_memory(err);
    return output_json(object, err);
}

static int get(struct cli *cli, struct err *err) {
    struct http_answer answer cleanup_answer = {0};
    int r = send_for_key(cli, &(struct http_exchange){.method = "GET"}, &answer, err);
    if (r < 0)
        return r;
    return cli->options.json ? print_value(cli, &answer, err) : output_raw(answer.body.data, answer.body.len, err);
}

// ---- put, rm ----

struct conditions {
    char *lines[3];
    const char *headers[4];
};

static void conditions_done(struct conditions *conditions) {
    for (size_t i = 0; i < ARRAY_SIZE(conditions->lines); i++)
        free(conditions->lines[i]);
}

static int conditions_set(const struct options *options, struct conditions *ret, struct err *err) {
    size_t count = 0;
    if (options->if_new && options->if_version)
        return err_set(err, -EINVAL, "give --if-new or --if-version, not both");
    bool must_be_new = options->if_new || str_eq(options->if_version, "0");
    if (must_be_new)
        ret->lines[count++] = mem_strdup("If-None-Match: *");
    else if (options->if_version)
        ret->lines[count++] = mem_printf("If-Match: \"%s\"", options->if_version);
    if (options->ttl)
        ret->lines[count++] = mem_printf("Stowage-TTL: %s", options->ttl);
    for (size_t i = 0; i < count; i++) {
        if (!ret->lines[i])
            return store_no_memory(err);
        ret->headers[i] = ret->lines[i];
    }
    return 0;
}

static int change(struct cli *cli, const char *method, const struct str *value, struct err *err) {
    struct conditions conditions cleanup(conditions_done) = {0};
    struct http_answer answer cleanup_answer = {0};
    struct json *object cleanup(json_freep) = json_object_new();
    int r = conditions_set(&cli->options, &conditions, err);
    if (r < 0)
        return r;
    struct http_exchange exchange = {.method = method,
                                     .headers = conditions.headers,
                                     .body = value ? str_text(value) : NULL,
                                     .size = value ? (int64_t)value->len : 0};
    r = send_for_key(cli, &exchange, &answer, err);
    if (r < 0 || !cli->options.json)
        return r;
    return object && set_version(object, answer.etag) == 0 ? output_json(object, err) : store_no_memory(err);
}

static int put(struct cli *cli, struct err *err) {
    struct str value cleanup_str = {0};
    if (cli->argc > 2 && cli->options.file)
        return err_set(err, -EINVAL, "give VALUE or --file, not both");
    int r = cli->argc > 2 ? str_append(&value, cli->argv[2]) : input_read(cli->options.file, INPUT_MAX, &value, err);
    return r < 0 ? r : change(cli, "PUT", &value, err);
}

static int rm(struct cli *cli, struct err *err) {
    return change(cli, "DELETE", NULL, err);
}

const struct command command_kv_get = {
    .group = "kv",
    .name = "get",
    .arguments = "NAMESPACE KEY",
    .min = 2,
    .max = 2,
    .summary = "write the value of a key to standard output, byte for byte",
    .detail =
        "With --json: an object with version and value (value_base64 when it is no UTF-8). Exit code 3: no such key.",
    .whom = OPTIONS_STORE,
    .run = get,
};
const struct command command_kv_put = {
    .group = "kv",
    .name = "put",
    .arguments = "NAMESPACE KEY [VALUE]",
    .min = 2,
    .max = 3,
    .summary = "set a key to VALUE, to a file or to standard input",
    .flags = (const char *const[]){"file", "ttl", "if-version", "if-new", NULL},
    .whom = OPTIONS_STORE,
    .run = put,
};
const struct command command_kv_rm = {
    .group = "kv",
    .name = "rm",
    .arguments = "NAMESPACE KEY",
    .min = 2,
    .max = 2,
    .summary = "remove a key; done already is no failure",
    .flags = (const char *const[]){"if-version", NULL},
    .whom = OPTIONS_STORE,
    .run = rm,
};
