// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/rows.h"

static int delete_one(struct cli *cli, const char *id, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "volume_id", id) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    return call(cli, "DeleteVolume", request, &reply, err);
}

static int run(struct cli *cli, struct err *err) {
    struct json *done cleanup(json_freep) = json_array_new();
    int r = done ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (int i = 0; r == 0 && i < cli->argc; i++) {
        r = delete_one(cli, cli->argv[i], err);
        if (r == 0 && !cli->options.json)
            (void)printf("deleted %s\n", cli->argv[i]);
        if (r == 0)
            r = json_append_text(done, cli->argv[i]);
    }
    return r == 0 && cli->options.json ? output_json(done, err) : r;
}

const struct command command_volume_delete = {
    .group = "volume",
    .name = "delete",
    .arguments = "ID...",
    .min = 1,
    .max = INT_MAX,
    .summary = "delete volumes; one that is gone already is fine",
    .run = run,
};
