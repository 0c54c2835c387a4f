// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/rows.h"

static int expand(struct cli *cli, const char *method, const char *path, struct json **ret, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    if (!request || json_set_text(request, "volume_id", cli->argv[0]) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    int r = request_set_path(request, "volume_path", "path", path, err);
    if (r == 0)
        r = request_set_capacity(request, &cli->options, err);
    return r < 0 ? r : call(cli, method, request, ret, err);
}

static int run(struct cli *cli, struct err *err) {
    struct json *reply cleanup(json_freep) = NULL;
    struct json *node_reply cleanup(json_freep) = NULL;
    char size[24];
    if (!cli->options.size)
        return err_set(err, -EINVAL, "give the new size with --size");
    int r = request_check_path("path", cli->options.path, err);
    if (r == 0)
        r = expand(cli, "ControllerExpandVolume", NULL, &reply, err);
    if (r == 0 && cli->options.path)
        r = expand(cli, "NodeExpandVolume", cli->options.path, &node_reply, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(reply, err);
    (void)printf("%s has a capacity of %s\n", cli->argv[0],
                 output_bytes(json_get_int(reply, "capacity_bytes", 0), size));
    return 0;
}

const struct command command_volume_expand = {
    .group = "volume",
    .name = "expand",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "give a volume more capacity; never shrinks",
    .detail = "With --path, the node where the volume is mounted is told as well.",
    .flags = (const char *const[]){"size", "limit", "path", NULL},
    .run = run,
};
