// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/call.h"
#include "cli/store/stream.h"
#include "lib/base/mem.h"

#define INPUT_MAX (64U << 20)
#define BATCH 100 // messages of one request, the server's limit

// ---- send ----

static int new_message(const struct options *options, const char *data, size_t len, struct json **ret,
                       struct err *err) {
    struct json *message cleanup(json_freep) = json_object_new();
    int r = message ? store_set_text(message, "message", data, len, err) : store_no_memory(err);
    if (r == 0)
        r = store_set_number(message, "delay", options->delay, err);
    if (r == 0 && options->dedup_id)
        r = store_set_text(message, "dedup_id", options->dedup_id, strlen(options->dedup_id), err);
    if (r == 0)
        *ret = take_ptr(message);
    return r;
}

static int send_one(struct cli *cli, const struct str *text, struct err *err) {
    struct json *body cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*/messages", cli->argv[0]);
    int r = new_message(&cli->options, text->data, text->len, &body, err);
    return r < 0 ? r : store_do(cli, "POST", &path, body, err);
}

// The next lines, at most BATCH of them, as the body of one request.
static int take_lines(const struct options *options, const char **at, const char *end, struct json **ret,
                      struct err *err) {
    struct json *list = json_array_new();
    struct json *body cleanup(json_freep) = json_object_new();
    int r = list && body && json_set(body, "messages", list) == 0 ? 0 : store_no_memory(err);
    for (int i = 0; r == 0 && i < BATCH && *at < end; i++) {
        const char *stop = memchr(*at, '\n', (size_t)(end - *at));
        size_t len = (size_t)((stop ? stop : end) - *at);
        struct json *message = NULL;
        r = new_message(options, *at, len, &message, err);
        if (r == 0 && json_append(list, message) < 0)
            r = store_no_memory(err);
        *at += len + (stop != NULL);
    }
    if (r == 0)
        *ret = take_ptr(body);
    return r;
}

static int send_lines(struct cli *cli, const struct str *text, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    const char *at = str_text(text), *end = at + text->len;
    int r = store_open(cli, &client, err);
    while (r == 0 && at < end) {
        struct str path cleanup_str = {0};
        struct json *body cleanup(json_freep) = NULL, *reply cleanup(json_freep) = NULL;
        (void)store_path(&path, "/queue/*/batch", cli->argv[0]);
        r = take_lines(&cli->options, &at, end, &body, err);
        if (r == 0)
            r = store_call(client, "POST", &path, body, &reply, err);
        if (r == 0 && cli->options.json)
            r = output_json(reply, err);
    }
    return r;
}

static int send(struct cli *cli, struct err *err) {
    struct str text cleanup_str = {0};
    if (cli->argc > 1 && (cli->options.file || cli->options.lines))
        return err_set(err, -EINVAL, "give MESSAGE, or --file and --lines, not both");
    int r = cli->argc > 1 ? str_append(&text, cli->argv[1]) : input_read(cli->options.file, INPUT_MAX, &text, err);
    if (r < 0)
        return r == -ENOMEM ? store_no_memory(err) : r;
    return cli->options.lines ? send_lines(cli, &text, err) : send_one(cli, &text, err);
}

// ---- receive, peek ----

static int print(const struct cli *cli, const struct json *messages, struct err *err) {
    if (cli->options.json)
        return output_json(messages, err);
    for (size_t i = 0; i < json_length(messages); i++) {
        const struct json *message = json_at(messages, i);
        size_t len = 0;
        const char *text = json_get_bytes(message, "message", &len);
        const char *receipt = json_get_text(message, "receipt");
        if (cli->options.lease && receipt)
            (void)printf("%s\t", receipt);
        (void)fwrite(text, 1, len, stdout);
        (void)putchar(cli->options.null ? '\0' : '\n');
    }
    return 0;
}

static int receive(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *body cleanup(json_freep) = json_object_new(), *messages cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    const struct options *options = &cli->options;
    if (options->visibility && !options->lease)
        return err_set(err, -EINVAL, "--visibility is of a lease: give --lease as well");
    (void)store_path(&path, "/queue/*/receive", cli->argv[0]);
    if (!body || json_set_int(body, "max", options->max ? options->max : 1) < 0 ||
        json_set_int(body, "wait", options->wait) < 0 ||
        json_set_text(body, "mode", options->lease ? "lease" : "take") < 0)
        return store_no_memory(err);
    int r = store_set_number(body, "visibility", options->visibility, err);
    if (r == 0)
        r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "POST", &path, body, &messages, err);
    if (r == 0 && json_length(messages) == 0)
        return err_set(err, -ENOENT, "queue '%.63s' has no message to give", cli->argv[0]);
    return r < 0 ? r : print(cli, messages, err);
}

static int peek(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *messages cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*/peek", cli->argv[0]);
    (void)store_query_number(&path, "max", cli->options.max ? cli->options.max : 10);
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "GET", &path, NULL, &messages, err);
    return r < 0 ? r : print(cli, messages, err);
}

// ---- leases ----

static int settle(struct cli *cli, const char *action, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *body cleanup(json_freep) = json_object_new(), *reply cleanup(json_freep) = NULL;
    struct json *receipts = json_array_new();
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*/*", cli->argv[0], action);
    int r = body && receipts && json_set(body, "receipts", receipts) == 0 ? 0 : store_no_memory(err);
    for (int i = 1; r == 0 && i < cli->argc; i++)
        r = json_append_text(receipts, cli->argv[i]) < 0 ? store_no_memory(err) : 0;
    if (r == 0)
        r = store_set_number(body, "delay", cli->options.delay, err);
    if (r == 0)
        r = store_set_number(body, "visibility", cli->options.visibility, err);
    if (r == 0)
        r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "POST", &path, body, &reply, err);
    if (r == 0 && cli->options.json)
        r = output_json(reply, err);
    size_t lost = json_length(json_get(reply, "lost"));
    if (r == 0 && lost > 0)
        return err_set(err, -ENOENT, "the lease of %zu of %d messages was over: somebody else may have them", lost,
                       cli->argc - 1);
    return r;
}

static int ack(struct cli *cli, struct err *err) {
    return settle(cli, "ack", err);
}
static int nack(struct cli *cli, struct err *err) {
    return settle(cli, "nack", err);
}
static int extend(struct cli *cli, struct err *err) {
    return settle(cli, "extend", err);
}

const struct command command_queue_send = {
    .group = "queue",
    .name = "send",
    .arguments = "QUEUE [MESSAGE]",
    .min = 1,
    .max = 2,
    .summary = "send MESSAGE, a file or standard input as one message, or each of its lines",
    .flags = (const char *const[]){"file", "lines", "delay", "dedup-id", NULL},
    .whom = OPTIONS_STORE,
    .run = send,
};
const struct command command_queue_receive = {
    .group = "queue",
    .name = "receive",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "receive the next message and remove it, or lease it",
    .detail = "Messages are printed on lines. A lease is ended with `queue ack` or `queue nack`. Exit code 3: there "
              "was none.",
    .flags = (const char *const[]){"max", "wait", "lease", "visibility", "null", NULL},
    .whom = OPTIONS_STORE,
    .run = receive,
};
const struct command command_queue_peek = {
    .group = "queue",
    .name = "peek",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "look at the next messages (10, or --max) without taking them",
    .flags = (const char *const[]){"max", "null", NULL},
    .whom = OPTIONS_STORE,
    .run = peek,
};
const struct command command_queue_ack = {
    .group = "queue",
    .name = "ack",
    .arguments = "QUEUE RECEIPT...",
    .min = 2,
    .max = 101,
    .summary = "remove leased messages: they are done with",
    .whom = OPTIONS_STORE,
    .run = ack,
};
const struct command command_queue_nack = {
    .group = "queue",
    .name = "nack",
    .arguments = "QUEUE RECEIPT...",
    .min = 2,
    .max = 101,
    .summary = "give leased messages back, now or after --delay",
    .flags = (const char *const[]){"delay", NULL},
    .whom = OPTIONS_STORE,
    .run = nack,
};
const struct command command_queue_extend = {
    .group = "queue",
    .name = "extend",
    .arguments = "QUEUE RECEIPT...",
    .min = 2,
    .max = 101,
    .summary = "lengthen leases to --visibility from now",
    .flags = (const char *const[]){"visibility", NULL},
    .whom = OPTIONS_STORE,
    .run = extend,
};
