// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/listing.h"
#include "cli/store/transfer.h"
#include "lib/base/mem.h"

static const char *bucket(const struct cli *cli) {
    return cli->options.public ? "public" : "private";
}

static int object_path(const struct cli *cli, struct str *ret) {
    return store_path(ret, "/objects/*/**", bucket(cli), cli->argv[0]);
}

static int put(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct str path cleanup_str = {0};
    char *type cleanup_free = NULL;
    const char *headers[3] = {0};
    size_t count = 0;
    if (cli->options.content_type)
        headers[count++] = type = mem_printf("Content-Type: %s", cli->options.content_type);
    if (cli->options.if_new)
        headers[count++] = "If-None-Match: *";
    if (object_path(cli, &path) < 0 || (cli->options.content_type && !type))
        return store_no_memory(err);
    int r = store_open(cli, &client, err);
    return r < 0 ? r : transfer_up(client, "PUT", &path, NULL, headers, cli->argc > 1 ? cli->argv[1] : NULL, err);
}

static int get(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct str path cleanup_str = {0};
    (void)object_path(cli, &path);
    int r = store_open(cli, &client, err);
    return r < 0 ? r : transfer_down(client, &path, cli->argc > 1 ? cli->argv[1] : NULL, err);
}

static int rm(struct cli *cli, struct err *err) {
    struct str path cleanup_str = {0};
    (void)object_path(cli, &path);
    return store_do(cli, "DELETE", &path, NULL, err);
}

static int print_page(struct listing *listing, const struct json *items, struct err *err) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_length(items); i++) {
        const struct json *item = json_at(items, i);
        const char *time = json_get_text(item, "last_modified"), *type = json_get_text(item, "content_type");
        char more[200], size[24];
        (void)snprintf(more, sizeof more, "%8s  %24s  %-24.80s", output_bytes(json_get_int(item, "size", 0), size),
                       time ? time : "-", type ? type : "-");
        r = listing_add(listing, item, json_get_text(item, "key"), more, err);
    }
    return r;
}

static int list(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct listing listing = {.options = &cli->options};
    char *after cleanup_free = NULL;
    bool more = true;
    int r = store_open(cli, &client, err);
    while (r == 0 && more && listing_room(&listing) > 0) {
        struct str path cleanup_str = {0};
        struct json *page cleanup(json_freep) = NULL;
        (void)store_path(&path, "/objects/*", bucket(cli));
        (void)store_query(&path, "prefix", cli->argc > 0 ? cli->argv[0] : NULL);
        (void)store_query(&path, "after", after);
        (void)store_query_number(&path, "limit", listing_room(&listing));
        r = store_call(client, "GET", &path, NULL, &page, err);
        if (r == 0)
            r = print_page(&listing, json_get(page, "items"), err);
        const char *next = json_get_text(page, "nextContinuationToken");
        more = r == 0 && !str_empty(next);
        free(after);
        after = more ? mem_strdup(next) : NULL;
        if (more && !after)
            r = store_no_memory(err);
    }
    if (r == 0)
        listing_end(&listing);
    return r;
}

// The server answers with a redirect, which is the link.
static int url(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct http_answer answer cleanup_answer = {0};
    struct str path cleanup_str = {0};
    bool plain = cli->options.public && !cli->options.for_put;
    int made = plain ? store_path(&path, "/object_storage/public/**", cli->argv[0])
                     : store_path(&path,
                                  cli->options.public ? "/object_storage/public_presigned/**"
                                                      : "/object_storage/private_presigned/**",
                                  cli->argv[0]);
    if (made < 0)
        return store_no_memory(err);
    struct http_exchange exchange = {
        .method = cli->options.for_put ? "PUT" : "GET", .path = path.data, .redirect_ok = true};
    int r = store_open(cli, &client, err);
    if (r == 0)
        r = http_client_send(client, &exchange, &answer, err);
    if (r == 0 && !answer.location)
        r = err_set(err, -EIO, "the server answered HTTP %u without a link", answer.status);
    if (r == 0)
        (void)printf("%s\n", answer.location);
    return r;
}

const struct command command_object_ls = {
    .group = "object",
    .name = "ls",
    .arguments = "[PREFIX]",
    .max = 1,
    .summary = "list objects in the order of their keys",
    .flags = (const char *const[]){"public", "long", "max", "null", NULL},
    .whom = OPTIONS_STORE,
    .run = list,
};
const struct command command_object_put = {
    .group = "object",
    .name = "put",
    .arguments = "KEY [FILE]",
    .min = 1,
    .max = 2,
    .summary = "store a file, or standard input, as an object",
    .flags = (const char *const[]){"public", "content-type", "if-new", NULL},
    .whom = OPTIONS_STORE,
    .run = put,
};
const struct command command_object_get = {
    .group = "object",
    .name = "get",
    .arguments = "KEY [FILE]",
    .min = 1,
    .max = 2,
    .summary = "write an object to a file, or to standard output",
    .detail = "The file appears when all of it is there. Exit code 3: no such object.",
    .flags = (const char *const[]){"public", NULL},
    .whom = OPTIONS_STORE,
    .run = get,
};
const struct command command_object_rm = {
    .group = "object",
    .name = "rm",
    .arguments = "KEY",
    .min = 1,
    .max = 1,
    .summary = "remove an object; done already is no failure",
    .flags = (const char *const[]){"public", NULL},
    .whom = OPTIONS_STORE,
    .run = rm,
};
const struct command command_object_url = {
    .group = "object",
    .name = "url",
    .arguments = "KEY",
    .min = 1,
    .max = 1,
    .summary = "print a link that needs no token for 900 s (public objects: for ever)",
    .flags = (const char *const[]){"public", "for-put", NULL},
    .whom = OPTIONS_STORE,
    .run = url,
};
