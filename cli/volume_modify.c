// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "volume_id", cli->argv[0]) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    if (!cli->options.parameter.count)
        return err_set(err, -EINVAL, "nothing to modify; give -p NAME=VALUE");
    int r = request_set_map(request, "mutable_parameters", &cli->options.parameter, err);
    if (r == 0)
        r = call(cli, "ControllerModifyVolume", request, &reply, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(reply, err);
    (void)printf("%s is modified\n", cli->argv[0]);
    return 0;
}

const struct command command_volume_modify = {
    .group = "volume",
    .name = "modify",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "change parameters of a volume that may be changed",
    .flags = (const char *const[]){"parameter", NULL},
    .run = run,
};
