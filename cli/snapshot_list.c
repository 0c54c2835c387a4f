// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "lib/base/mem.h"

#define PAGE 1000               // entries a call
#define ENTRY_MAX (1024 * 1024) // bytes of one entry as JSON

static int add_page(struct cli *cli, const char *token, struct json *all, char **ret_next, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_int(request, "max_entries", PAGE) < 0 ||
        json_set_text(request, "starting_token", token) < 0 ||
        json_set_text(request, "source_volume_id", cli->options.volume) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int r = call(cli, "ListSnapshots", request, &reply, err);
    const struct json *entries = json_get(reply, "entries");
    for (size_t i = 0; r == 0 && i < json_length(entries); i++) {
        char *text cleanup_free = json_dump(json_at(entries, i), false);
        struct json *copy = NULL;
        r = text ? json_parse(text, strlen(text), ENTRY_MAX, &copy, err) : -ENOMEM;
        if (r == 0)
            r = json_append(all, copy);
    }
    if (r < 0)
        return r;
    const char *next = json_get_text(reply, "next_token");
    *ret_next = str_empty(next) ? NULL : mem_strdup(next);
    return !str_empty(next) && !*ret_next ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int print(const struct json *all, struct err *err) {
    struct table table cleanup_table = {0};
    output_snapshot_heading(&table);
    for (size_t i = 0; i < json_length(all); i++) {
        output_snapshot(&table, json_get(json_at(all, i), "snapshot"));
    }
    return table_print(&table, err);
}

static int run(struct cli *cli, struct err *err) {
    struct json *all cleanup(json_freep) = json_array_new();
    char *token cleanup_free = NULL;
    int r = all ? 0 : err_set(err, -ENOMEM, "out of memory");
    do {
        char *next = NULL;
        if (r == 0)
            r = add_page(cli, token, all, &next, err);
        free(token);
        token = next;
    } while (r == 0 && token);
    if (r < 0)
        return r;
    return cli->options.json ? output_json(all, err) : print(all, err);
}

const struct command command_snapshot_list = {
    .group = "snapshot",
    .name = "list",
    .summary = "list the snapshots",
    .flags = (const char *const[]){"volume", NULL},
    .run = run,
};
