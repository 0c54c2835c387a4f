// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/call.h"

static int print(const struct json *all, struct err *err) {
    static const char *const KEYS[] = {"keys", "bytes", "version"};
    struct table table cleanup_table = {0};
    table_row(&table, 4, (const char *[]){"NAMESPACE", "KEYS", "BYTES", "VERSION"});
    for (size_t i = 0; i < json_length(all); i++) {
        const struct json *row = json_at(all, i);
        char cells[3][24];
        for (size_t k = 0; k < ARRAY_SIZE(KEYS); k++)
            (void)snprintf(cells[k], sizeof cells[k], "%" PRId64, json_get_int(row, KEYS[k], 0));
        table_row(&table, 4, (const char *[]){json_get_text(row, "name"), cells[0], cells[1], cells[2]});
    }
    return table_print(&table, err);
}

static int list(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *all cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/kv/namespaces");
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "GET", &path, NULL, &all, err);
    if (r < 0)
        return r;
    return cli->options.json ? output_json(all, err) : print(all, err);
}

static int change(struct cli *cli, const char *method, struct err *err) {
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/kv/namespaces/*", cli->argv[0]);
    return store_do(cli, method, &path, NULL, err);
}

static int create(struct cli *cli, struct err *err) {
    return change(cli, "POST", err);
}
static int remove_all(struct cli *cli, struct err *err) {
    return change(cli, "DELETE", err);
}

const struct command command_kv_namespaces = {
    .group = "kv",
    .name = "namespaces",
    .summary = "list the namespaces of keys",
    .whom = OPTIONS_STORE,
    .run = list,
};
const struct command command_kv_create = {
    .group = "kv",
    .name = "create",
    .arguments = "NAMESPACE",
    .min = 1,
    .max = 1,
    .summary = "make a namespace; done already is no failure",
    .whom = OPTIONS_STORE,
    .run = create,
};
const struct command command_kv_delete = {
    .group = "kv",
    .name = "delete",
    .arguments = "NAMESPACE",
    .min = 1,
    .max = 1,
    .summary = "remove a namespace with all its keys",
    .whom = OPTIONS_STORE,
    .run = remove_all,
};
