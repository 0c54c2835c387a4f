// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "volume_id", cli->argv[0]) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    int r = call(cli, "ControllerGetVolume", request, &reply, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(reply, err);
    output_volume(json_get(reply, "volume"));
    const struct json *status = json_get(reply, "status");
    const struct json *condition = json_get(status, "volume_condition");
    const struct json *nodes = json_get(status, "published_node_ids");
    output_field("condition",
                 json_get_bool(condition, "abnormal", false) ? json_get_text(condition, "message") : "healthy");
    for (size_t i = 0; i < json_length(nodes); i++)
        output_field("published on", json_text(json_at(nodes, i)));
    return 0;
}

const struct command command_volume_get = {
    .group = "volume",
    .name = "get",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "show one volume",
    .run = run,
};
