// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/methods.h"
#include "cli/output.h"
#include "cli/rows.h"

#define REQUEST_MAX (4 * 1024 * 1024) // bytes; the servers refuse more

static int read_input(struct str *text, struct err *err) {
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
        if (text->len + n > REQUEST_MAX)
            return err_set(err, -EMSGSIZE, "the request on standard input is over 4 MiB");
        if (str_append_bytes(text, buffer, n) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

static int run(struct cli *cli, struct err *err) {
    struct json *request cleanup(json_freep) = NULL;
    struct json *reply cleanup(json_freep) = NULL;
    struct str text cleanup_str = {0};
    const char *given = cli->argc > 1 ? cli->argv[1] : "{}";
    int r = 0;
    if (str_eq(given, "-")) {
        r = read_input(&text, err);
        given = str_text(&text);
    }
    if (r == 0)
        r = json_parse(given, strlen(given), REQUEST_MAX, &request, err);
    if (r == 0)
        r = call(cli, cli->argv[0], request, &reply, err);
    return r < 0 ? r : output_json(reply, err);
}

static void more_help(void) {
    (void)printf("\nMethods:\n");
    method_print_all();
}

const struct command command_csi = {
    .name = "csi",
    .arguments = "METHOD [JSON]",
    .min = 1,
    .max = 2,
    .summary = "call a CSI method as it is, for debugging",
    .detail =
        "JSON is the request with the interface's own field names, such as '{\"volume_id\": \"...\"}'; \"-\" reads it "
        "from standard input.\nThe reply is printed as JSON.",
    .flags = (const char *const[]){"at", "no-wait", NULL},
    .more_help = more_help,
    .run = run,
};
