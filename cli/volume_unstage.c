// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    const struct options *options = &cli->options;
    const char *id = cli->argv[0];
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "volume_id", id) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    int r = request_check_path("staging", options->staging, err);
    if (r == 0 && json_set_text(request, "staging_target_path", options->staging) < 0)
        r = err_set(err, -EINVAL, "--staging is no UTF-8 text");
    if (r == 0)
        r = call(cli, "NodeUnstageVolume", request, &reply, err);
    if (r < 0)
        return r;
    if (options->json)
        return output_json(reply, err);
    (void)printf("%s is no longer staged at %s\n", id, options->staging);
    return 0;
}

const struct command command_volume_unstage = {
    .group = "volume",
    .name = "unstage",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "unmount a volume from this node",
    .flags = (const char *const[]){"staging", NULL},
    .run = run,
};
