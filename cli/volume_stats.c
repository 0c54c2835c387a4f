// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/rows.h"

static int print(const struct json *reply, struct err *err) {
    struct table table cleanup_table = {0};
    const struct json *usage = json_get(reply, "usage");
    const struct json *condition = json_get(reply, "volume_condition");
    table_row(&table, 4, (const char *[]){"UNIT", "TOTAL", "USED", "AVAILABLE"});
    for (size_t i = 0; i < json_length(usage); i++) {
        static const char *const KEYS[] = {"total", "used", "available"};
        const struct json *row = json_at(usage, i);
        char cells[3][24];
        bool bytes = str_eq(json_get_text(row, "unit"), "BYTES");
        for (size_t k = 0; k < 3; k++) {
            if (bytes)
                str_from_bytes(json_get_int(row, KEYS[k], 0), cells[k]);
            else
                (void)snprintf(cells[k], sizeof cells[k], "%" PRId64, json_get_int(row, KEYS[k], 0));
        }
        table_row(&table, 4, (const char *[]){bytes ? "bytes" : "files", cells[0], cells[1], cells[2]});
    }
    int r = table_print(&table, err);
    if (json_get_bool(condition, "abnormal", false))
        output_field("condition", json_get_text(condition, "message"));
    return r;
}

static int run(struct cli *cli, struct err *err) {
    const struct options *options = &cli->options;
    const char *id = cli->argv[0];
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "volume_id", id) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    if (!options->path)
        return err_set(err, -EINVAL, "give --path: where the volume is staged or published");
    int r = request_set_path(request, "volume_path", "path", options->path, err);
    if (r == 0)
        r = call(cli, "NodeGetVolumeStats", request, &reply, err);
    if (r < 0)
        return r;
    return options->json ? output_json(reply, err) : print(reply, err);
}

const struct command command_volume_stats = {
    .group = "volume",
    .name = "stats",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "show how full a volume is",
    .flags = (const char *const[]){"path", NULL},
    .run = run,
};
