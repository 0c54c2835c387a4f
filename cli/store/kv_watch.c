// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/rows.h"
#include "cli/store/call.h"
#include "cli/store/stream.h"

#define WAIT_S 30
#define PAGE 1000

// The namespace's version now: what is watched without --since.
static int version_now(struct http_client *client, const char *ns, int64_t *ret, struct err *err) {
    struct str path cleanup_str = {0};
    struct json *reply cleanup(json_freep) = NULL;
    (void)store_path(&path, "/kv/namespaces/*", ns);
    int r = store_call(client, "GET", &path, NULL, &reply, err);
    *ret = json_get_int(reply, "version", 0);
    return r;
}

static int print_event(const struct cli *cli, const struct json *event, struct err *err) {
    if (cli->options.json) {
        char *text cleanup_free = json_dump(event, false);
        if (!text)
            return store_no_memory(err);
        (void)printf("%s\n", text);
        return 0;
    }
    const char *key = json_get_text(event, "key");
    (void)printf("%" PRId64 " %s ", json_get_int(event, "version", 0),
                 json_get_bool(event, "removed", false) ? "rm" : "put");
    output_name(key ? key : json_get_text(event, "key_base64"), cli->options.null);
    return 0;
}

static int poll_changes(struct cli *cli, struct http_client *client, int64_t *since, int64_t room, int64_t *ret_count,
                        struct err *err) {
    struct str path cleanup_str = {0};
    struct json *reply cleanup(json_freep) = NULL;
    int64_t wait = cli->options.timeout < WAIT_S * 2 ? cli->options.timeout / 2 : WAIT_S;
    (void)store_path(&path, "/kv/namespaces/*/watch", cli->argv[0]);
    (void)store_query_number(&path, "since", *since);
    (void)store_query_number(&path, "wait", wait);
    (void)store_query_number(&path, "limit", room);
    (void)store_query(&path, "prefix", cli->argc > 1 ? cli->argv[1] : NULL);
    int r = store_call(client, "GET", &path, NULL, &reply, err);
    const struct json *events = json_get(reply, "events");
    for (size_t i = 0; r == 0 && i < json_length(events); i++)
        r = print_event(cli, json_at(events, i), err);
    if (r < 0)
        return r;
    *ret_count = (int64_t)json_length(events);
    *since = json_get_int(reply, "version", *since);
    return fflush(stdout) == 0 ? 0 : err_set(err, -EIO, "standard output: %s", err_name(errno));
}

static int watch(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    const struct options *options = &cli->options;
    int64_t since = 0, seen = 0;
    int r = store_open(cli, &client, err);
    if (r == 0 && options->since)
        r = str_to_i64(options->since, 0, INT64_MAX, &since);
    else if (r == 0)
        r = version_now(client, cli->argv[0], &since, err);
    while (r == 0 && (!options->max || seen < options->max)) {
        int64_t count = 0, room = options->max && options->max - seen < PAGE ? options->max - seen : PAGE;
        r = poll_changes(cli, client, &since, room, &count, err);
        seen += count;
    }
    return r;
}

const struct command command_kv_watch = {
    .group = "kv",
    .name = "watch",
    .arguments = "NAMESPACE [PREFIX]",
    .min = 1,
    .max = 2,
    .summary = "print changes of keys as they happen",
    .detail =
        "A line is VERSION put|rm KEY; with --json an object on a line, with the value. Ends with --max or Ctrl-C.",
    .flags = (const char *const[]){"since", "max", "null", NULL},
    .whom = OPTIONS_STORE,
    .run = watch,
};
