// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/listing.h"
#include "cli/store/transfer.h"
#include "lib/base/mem.h"

static int remote_path(const struct cli *cli, int argument, struct str *ret) {
    return store_files(ret, cli->argv[argument]);
}

// What follows the last slash; the text itself when there is none.
static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- ls, du ----

static int print_file_systems(const struct json *all, struct err *err) {
    struct table table cleanup_table = {0};
    table_row(&table, 2, (const char *[]){"FILE SYSTEM", "USED"});
    for (size_t i = 0; i < json_length(all); i++) {
        const struct json *row = json_at(all, i);
        char used[24];
        table_row(&table, 2,
                  (const char *[]){json_get_text(json_get(row, "metadata"), "name"),
                                   output_bytes(json_get_int(json_get(row, "status"), "total_usage_bytes", 0), used)});
    }
    return table_print(&table, err);
}

static int usage(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *all cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)store_path(&path, "/storage");
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "GET", &path, NULL, &all, err);
    if (r < 0)
        return r;
    return cli->options.json ? output_json(all, err) : print_file_systems(all, err);
}

static int list(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct json *entries cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    struct listing listing = {.options = &cli->options};
    (void)remote_path(cli, 0, &path);
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = store_call(client, "GET", &path, NULL, &entries, err);
    for (size_t i = 0; r == 0 && i < json_length(entries); i++) {
        const struct json *entry = json_at(entries, i);
        bool dir = str_eq(json_get_text(entry, "type"), "dir");
        const char *name = json_get_text(entry, "name");
        char more[80], size[24], time[32];
        char *shown cleanup_free = mem_printf("%s%s", name ? name : "", dir ? "/" : "");
        if (!shown)
            return store_no_memory(err);
        (void)snprintf(more, sizeof more, "%8s  %19s", dir ? "-" : output_bytes(json_get_int(entry, "size", 0), size),
                       listing_time(json_get_int(entry, "modified_ms", 0), time));
        r = listing_add(&listing, entry, shown, more, err);
    }
    if (r == 0)
        listing_end(&listing);
    return r;
}

// ---- put, get ----

static int put(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct str path cleanup_str = {0};
    const char *file = cli->argv[0], *to = cli->argv[1];
    bool into = to[0] && to[strlen(to) - 1] == '/';
    if (into && str_eq(file, "-"))
        return err_set(err, -EINVAL, "standard input has no name: say what '%.100s' is to hold it as", to);
    (void)remote_path(cli, 1, &path);
    if (into)
        (void)store_path(&path, "**", last_part(file));
    int r = store_open(cli, &client, err);
    return r < 0 ? r : transfer_up(client, "POST", &path, "file", NULL, file, err);
}

static int get(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct str path cleanup_str = {0};
    const char *to = cli->argc > 1 ? cli->argv[1] : NULL;
    char *inside cleanup_free = NULL;
    struct stat st;
    if (to && stat(to, &st) == 0 && S_ISDIR(st.st_mode)) {
        inside = mem_printf("%s/%s", to, last_part(cli->argv[0]));
        if (!inside)
            return store_no_memory(err);
        to = inside;
    }
    (void)remote_path(cli, 0, &path);
    int r = store_open(cli, &client, err);
    return r < 0 ? r : transfer_down(client, &path, to, err);
}

// ---- mkdir, rm ----

static int make_directory(struct cli *cli, struct err *err) {
    struct str path cleanup_str = {0};
    (void)remote_path(cli, 0, &path);
    return store_do(cli, "PUT", &path, NULL, err);
}

static int rm(struct cli *cli, struct err *err) {
    struct str path cleanup_str = {0};
    (void)remote_path(cli, 0, &path);
    (void)store_query(&path, "removeall", cli->options.recursive ? "true" : NULL);
    return store_do(cli, "DELETE", &path, NULL, err);
}

const struct command command_fs_ls = {
    .group = "fs",
    .name = "ls",
    .arguments = "FS/DIR",
    .min = 1,
    .max = 1,
    .summary = "list a directory of a file system (the first is called 'default')",
    .flags = (const char *const[]){"long", "null", NULL},
    .whom = OPTIONS_STORE,
    .run = list,
};
const struct command command_fs_du = {
    .group = "fs",
    .name = "du",
    .summary = "list the file systems with the bytes they hold",
    .whom = OPTIONS_STORE,
    .run = usage,
};
const struct command command_fs_put = {
    .group = "fs",
    .name = "put",
    .arguments = "FILE FS/PATH",
    .min = 2,
    .max = 2,
    .summary = "write a file, or standard input (-), to a file system",
    .detail = "A PATH that ends in '/' is a directory, which gets the file under its own name. It appears when all of "
              "it is there.",
    .whom = OPTIONS_STORE,
    .run = put,
};
const struct command command_fs_get = {
    .group = "fs",
    .name = "get",
    .arguments = "FS/FILE [FILE]",
    .min = 1,
    .max = 2,
    .summary = "write a file of a file system to a file, into a directory, or to standard output",
    .whom = OPTIONS_STORE,
    .run = get,
};
const struct command command_fs_mkdir = {
    .group = "fs",
    .name = "mkdir",
    .arguments = "FS/DIR",
    .min = 1,
    .max = 1,
    .summary = "make a directory, and those above it",
    .whom = OPTIONS_STORE,
    .run = make_directory,
};
const struct command command_fs_rm = {
    .group = "fs",
    .name = "rm",
    .arguments = "FS/PATH",
    .min = 1,
    .max = 1,
    .summary = "remove a file or an empty directory; --recursive: with all that is in it",
    .flags = (const char *const[]){"recursive", NULL},
    .whom = OPTIONS_STORE,
    .run = rm,
};
