// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/rows.h"

// The same name again is the same snapshot, so asking again is how to wait until it is whole.
static int create_until_ready(struct cli *cli, const struct json *request, struct json **ret, struct err *err) {
    for (unsigned n = 0;; n++) {
        struct json *reply cleanup(json_freep) = NULL;
        int r = call(cli, "CreateSnapshot", request, &reply, err);
        if (r < 0)
            return r;
        if (cli->options.no_wait || json_get_bool(json_get(reply, "snapshot"), "ready_to_use", false)) {
            call_progress_end(cli);
            *ret = take_ptr(reply);
            return 0;
        }
        call_progress(cli, "copying; the snapshot is not ready yet");
        r = call_pause(cli, n, err);
        if (r < 0)
            return r;
    }
}

static int create(struct cli *cli, const char *name, const char *volume_id, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "name", name) < 0 ||
        json_set_text(request, "source_volume_id", volume_id) < 0)
        return err_set(err, -EINVAL, "the name or the id is no UTF-8 text");
    int r = request_set_map(request, "parameters", &cli->options.parameter, err);
    if (r == 0)
        r = create_until_ready(cli, request, &reply, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(reply, err);
    struct table table cleanup_table = {0};
    output_snapshot_heading(&table);
    output_snapshot(&table, json_get(reply, "snapshot"));
    return table_print(&table, err);
}

static int run(struct cli *cli, struct err *err) {
    return create(cli, cli->argv[0], cli->argv[1], err);
}

static int run_for_volume(struct cli *cli, struct err *err) {
    return create(cli, cli->argv[1], cli->argv[0], err);
}

static const char *const FLAGS[] = {"parameter", "no-wait", NULL};

const struct command command_snapshot_create = {
    .group = "snapshot",
    .name = "create",
    .arguments = "NAME VOLUME_ID",
    .min = 2,
    .max = 2,
    .summary = "take a snapshot and wait until it is whole",
    .flags = FLAGS,
    .run = run,
};

const struct command command_volume_snapshot = {
    .group = "volume",
    .name = "snapshot",
    .arguments = "ID NAME",
    .min = 2,
    .max = 2,
    .summary = "take a snapshot of a volume (as `snapshot create`)",
    .flags = FLAGS,
    .run = run_for_volume,
};
