// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/call.h"

static int backup(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *reply cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    char name[32];
    time_t now = time(NULL);
    struct tm parts;
    if (cli->argc == 0 && (!gmtime_r(&now, &parts) || !strftime(name, sizeof name, "%Y%m%d-%H%M%S", &parts)))
        return err_set(err, -EOVERFLOW, "the clock is out of order: give the backup a NAME");
    (void)store_path(&path, "/admin/backup/*", cli->argc > 0 ? cli->argv[0] : name);
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "POST", &path, NULL, &reply, err);
    if (r < 0 || cli->options.json)
        return r < 0 ? r : output_json(reply, err);
    (void)printf("%s\n", json_get_text(reply, "path"));
    return 0;
}

const struct command command_store_backup = {
    .group = "store",
    .name = "backup",
    .arguments = "[NAME]",
    .max = 1,
    .summary = "copy the whole store, while it runs, and print where the copy is",
    .detail = "Without NAME: the time, such as 20261231-235959. The folder is the server's (--backup-dir of "
              "stowage-sidecar), and so is the way "
              "back: stowage-sidecar --restore BACKUP --data-dir EMPTY.",
    .whom = OPTIONS_STORE_ADMIN,
    .run = backup,
};
