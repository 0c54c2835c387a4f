// SPDX-License-Identifier: Apache-2.0
#include "cli/objects.h"
#include "cli/output.h"
#include "cli/rows.h"

static int print(const struct json *all, struct err *err) {
    struct table table cleanup_table = {0};
    output_snapshot_heading(&table);
    for (size_t i = 0; i < json_length(all); i++) {
        output_snapshot(&table, json_get(json_at(all, i), "snapshot"));
    }
    return table_print(&table, err);
}

static int run(struct cli *cli, struct err *err) {
    struct json *all cleanup(json_freep) = NULL;
    int r = objects_list(cli, "ListSnapshots", "source_volume_id", cli->options.volume, &all, err);
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
