// SPDX-License-Identifier: Apache-2.0
#include "cli/objects.h"
#include "cli/output.h"
#include "cli/rows.h"

static int print(const struct json *all, struct err *err) {
    struct table table cleanup_table = {0};
    table_row(&table, 4, (const char *[]){"VOLUME", "CAPACITY", "DIRECTORY", "CONDITION"});
    for (size_t i = 0; i < json_length(all); i++) {
        char size[24];
        const struct json *volume = json_get(json_at(all, i), "volume");
        const struct json *condition = json_get(json_get(json_at(all, i), "status"), "volume_condition");
        table_row(&table, 4,
                  (const char *[]){
                      json_get_text(volume, "volume_id"), output_bytes(json_get_int(volume, "capacity_bytes", 0), size),
                      json_get_text(json_get(volume, "volume_context"), "subDir"),
                      json_get_bool(condition, "abnormal", false) ? json_get_text(condition, "message") : "healthy"});
    }
    return table_print(&table, err);
}

static int run(struct cli *cli, struct err *err) {
    struct json *all cleanup(json_freep) = NULL;
    int r = objects_list(cli, "ListVolumes", NULL, NULL, &all, err);
    if (r < 0)
        return r;
    return cli->options.json ? output_json(all, err) : print(all, err);
}

const struct command command_volume_list = {
    .group = "volume",
    .name = "list",
    .summary = "list the volumes",
    .flags = NULL,
    .run = run,
};
