// SPDX-License-Identifier: Apache-2.0
#include "cli/node_call.h"

#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"

static int fill_request(struct cli *cli, const struct node_call *row, struct json *request, struct err *err) {
    const struct options *options = &cli->options;
    int r = json_set_text(request, "volume_id", cli->argv[0]);
    if (r < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    if (row->staging)
        r = request_set_path(request, "staging_target_path", "staging", options->staging, err);
    if (r == 0 && row->target)
        r = request_set_path(request, "target_path", "target", options->target, err);
    if (r == 0 && row->read_only && json_set_bool(request, "readonly", options->read_only) < 0)
        r = err_set(err, -ENOMEM, "out of memory");
    if (r == 0 && row->mounts)
        r = request_set_capability(request, options, err);
    if (r == 0 && row->mounts)
        r = request_set_context(cli, request, cli->argv[0], err);
    return r;
}

int node_call(struct cli *cli, const struct node_call *row, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request)
        return err_set(err, -ENOMEM, "out of memory");
    int r = fill_request(cli, row, request, err);
    if (r == 0)
        r = call(cli, row->method, request, &reply, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(reply, err);
    (void)printf("%s %s %s\n", cli->argv[0], row->done, row->target ? cli->options.target : cli->options.staging);
    return 0;
}
