// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/rows.h"
#include "csi/shared_volume.h"

static int set_source(struct json *request, const struct options *options, struct err *err) {
    bool snapshot = options->from_snapshot != NULL;
    const char *id = snapshot ? options->from_snapshot : options->from_volume;
    if (snapshot && options->from_volume)
        return err_set(err, -EINVAL, "--from-snapshot and --from-volume exclude each other");
    if (!id)
        return 0;
    struct json *inner cleanup(json_freep) = json_object_new();
    struct json *source cleanup(json_freep) = json_object_new();
    if (!inner || !source || json_set_text(inner, snapshot ? "snapshot_id" : "volume_id", id) < 0 ||
        json_set(source, snapshot ? "snapshot" : "volume", take_ptr(inner)) < 0 ||
        json_set(request, "volume_content_source", take_ptr(source)) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int run(struct cli *cli, struct err *err) {
    const struct options *options = &cli->options;
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, "name", cli->argv[0]) < 0)
        return err_set(err, -EINVAL, "the name is no UTF-8 text");
    int r = request_set_capacity(request, options, err);
    if (r == 0)
        r = request_add_capability(request, options, err);
    if (r == 0)
        r = request_set_map(request, "parameters", &options->parameter, err);
    if (r == 0)
        r = request_set_map(request, "mutable_parameters", &options->mutable_parameter, err);
    if (r == 0)
        r = set_source(request, options, err);
    if (r == 0)
        r = call(cli, "CreateVolume", request, &reply, err);
    if (r < 0)
        return r;
    if (options->json)
        return output_json(reply, err);
    output_volume(json_get(reply, "volume"));
    return 0;
}

static void more_help(void) {
    (void)printf("\nParameters of the class csi.stowage.dev, as a StorageClass has them (-p NAME=VALUE):\n");
    shared_parameters_print_help();
}

const struct command command_volume_create = {
    .group = "volume",
    .name = "create",
    .arguments = "NAME",
    .min = 1,
    .max = 1,
    .summary = "make a volume; the same name again gives the same volume",
    .detail = "With --from-snapshot or --from-volume it waits until everything is copied and shows how far that is.",
    .flags = (const char *const[]){"size", "limit", "parameter", "mutable", "from-snapshot", "from-volume", "access",
                                   "mount-option", "no-wait", NULL},
    .more_help = more_help,
    .run = run,
};
