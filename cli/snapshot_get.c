// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "snapshot_id", cli->argv[0]) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    int r = call(cli, "GetSnapshot", request, &reply, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(reply, err);
    struct table table cleanup_table = {0};
    output_snapshot_heading(&table);
    output_snapshot(&table, json_get(reply, "snapshot"));
    return table_print(&table, err);
}

const struct command command_snapshot_get = {
    .group = "snapshot",
    .name = "get",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "show one snapshot",
    .run = run,
};
