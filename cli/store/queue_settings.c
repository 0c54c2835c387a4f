// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/call.h"

static int print(const struct json *all, struct err *err) {
    static const char *const KEYS[] = {"length", "ready", "leased", "delayed"};
    struct table table cleanup_table = {0};
    table_row(&table, 6, (const char *[]){"QUEUE", "LENGTH", "READY", "LEASED", "DELAYED", "DEAD LETTERS"});
    for (size_t i = 0; i < json_length(all); i++) {
        const struct json *row = json_at(all, i);
        const char *dead_letter = json_get_text(row, "dead_letter");
        char cells[4][24];
        for (size_t k = 0; k < ARRAY_SIZE(KEYS); k++)
            (void)snprintf(cells[k], sizeof cells[k], "%" PRId64, json_get_int(row, KEYS[k], 0));
        table_row(&table, 6,
                  (const char *[]){json_get_text(row, "name"), cells[0], cells[1], cells[2], cells[3],
                                   str_empty(dead_letter) ? NULL : dead_letter});
    }
    return table_print(&table, err);
}

static int list(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *all cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue");
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "GET", &path, NULL, &all, err);
    if (r < 0)
        return r;
    return cli->options.json ? output_json(all, err) : print(all, err);
}

static int settings(const struct options *options, struct json **ret, struct err *err) {
    struct json *body cleanup(json_freep) = json_object_new();
    const struct {
        const char *key, *number;
    } numbers[] = {{"dedup", options->dedup},
                   {"visibility", options->visibility},
                   {"delay", options->delay},
                   {"retention", options->retention},
                   {"max_receives", options->max_receives}};
    int r = body ? 0 : store_no_memory(err);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++)
        r = store_set_number(body, numbers[i].key, numbers[i].number, err);
    if (r == 0 && options->dead_letter && json_set_text(body, "dead_letter", options->dead_letter) < 0)
        r = store_no_memory(err);
    if (r == 0)
        *ret = take_ptr(body);
    return r;
}

// Makes it, too, when it is not there.
static int set(struct cli *cli, struct err *err) {
    struct json *body cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*", cli->argv[0]);
    int r = settings(&cli->options, &body, err);
    return r < 0 ? r : store_do(cli, "PUT", &path, body, err);
}

static int remove_queue(struct cli *cli, struct err *err) {
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*", cli->argv[0]);
    return store_do(cli, "DELETE", &path, NULL, err);
}

static int purge(struct cli *cli, struct err *err) {
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*/purge", cli->argv[0]);
    return store_do(cli, "POST", &path, NULL, err);
}

static int redrive(struct cli *cli, struct err *err) {
    struct str path cleanup_str = {0};
    struct json *body cleanup(json_freep) = json_object_new();
    (void)store_path(&path, "/queue/*/redrive", cli->argv[0]);
    if (!body || json_set_int(body, "max", cli->options.max) < 0)
        return store_no_memory(err);
    return store_do(cli, "POST", &path, body, err);
}

static int length(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *reply cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/queue/*/length", cli->argv[0]);
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "GET", &path, NULL, &reply, err);
    if (r < 0 || cli->options.json)
        return r < 0 ? r : output_json(reply, err);
    (void)printf("%" PRId64 "\n", json_get_int(reply, "length", 0));
    return 0;
}

const struct command command_queue_ls = {
    .group = "queue",
    .name = "ls",
    .summary = "list the queues with their counts",
    .detail = "With --json: their settings as well.",
    .whom = OPTIONS_STORE,
    .run = list,
};
const struct command command_queue_create = {
    .group = "queue",
    .name = "create",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "make a queue, or change the settings that are given",
    .flags = (const char *const[]){"dedup", "visibility", "delay", "retention", "max-receives", "dead-letter", NULL},
    .whom = OPTIONS_STORE,
    .run = set,
};
const struct command command_queue_delete = {
    .group = "queue",
    .name = "delete",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "remove a queue with all its messages",
    .whom = OPTIONS_STORE,
    .run = remove_queue,
};
const struct command command_queue_length = {
    .group = "queue",
    .name = "length",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "how many messages it holds: ready, leased and delayed",
    .whom = OPTIONS_STORE,
    .run = length,
};
const struct command command_queue_purge = {
    .group = "queue",
    .name = "purge",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "remove all messages",
    .whom = OPTIONS_STORE,
    .run = purge,
};
const struct command command_queue_redrive = {
    .group = "queue",
    .name = "redrive",
    .arguments = "QUEUE",
    .min = 1,
    .max = 1,
    .summary = "give the messages of a dead-letter queue back to where they came from",
    .flags = (const char *const[]){"max", NULL},
    .whom = OPTIONS_STORE,
    .run = redrive,
};
