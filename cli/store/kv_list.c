// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/rows.h"
#include "cli/store/call.h"
#include "cli/store/listing.h"
#include "lib/base/mem.h"

struct place { // where the next page begins
    char *cursor, *after;
    bool more;
};

static void place_done(struct place *place) {
    free(place->cursor);
    free(place->after);
}

static int print_page(struct listing *listing, const struct json *keys, struct err *err) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_length(keys); i++) {
        const struct json *entry = json_at(keys, i);
        char more[96], expires[32];
        (void)snprintf(more, sizeof more, "%10" PRId64 "  %8" PRId64 "  %19s", json_get_int(entry, "version", 0),
                       json_get_int(entry, "bytes", 0), listing_time(json_get_int(entry, "expires_ms", 0), expires));
        r = listing_add(listing, entry, json_get_text(entry, "key"), more, err);
    }
    return r;
}

// Keys too long for a cursor are paged by themselves; a page of nothing would be asked for again and again.
static int next_place(struct place *place, const struct json *page, struct err *err) {
    const struct json *keys = json_get(page, "keys");
    size_t count = json_length(keys);
    const char *last = count ? json_get_text(json_at(keys, count - 1), "key") : NULL;
    char *cursor = mem_strdup(json_get_text(page, "cursor"));
    char *after cleanup_free = cursor ? NULL : mem_strdup(last);
    place->more = json_get_bool(page, "more", false);
    if (place->more && ((!cursor && !after) || (after && str_eq(after, place->after)))) {
        free(cursor);
        return err_set(err, -EIO, "the server's pages do not go on after %zu keys", count);
    }
    place_done(place);
    place->cursor = cursor;
    place->after = take_ptr(after);
    return 0;
}

static int list(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    struct listing listing = {.options = &cli->options};
    struct place place cleanup(place_done) = {.more = true};
    int r = store_open(cli, &client, err);
    while (r == 0 && place.more && listing_room(&listing) > 0) {
        struct str path cleanup_str = {0};
        struct json *page cleanup(json_freep) = NULL;
        (void)store_path(&path, "/kv/namespaces/*/keys", cli->argv[0]);
        (void)store_query(&path, "detail", "true");
        (void)store_query(&path, "prefix", cli->argc > 1 ? cli->argv[1] : NULL);
        (void)store_query(&path, "cursor", place.cursor);
        (void)store_query(&path, "after", place.after ? place.after : ""); // also "": long keys do not end the page
        (void)store_query_number(&path, "limit", listing_room(&listing));
        r = store_call(client, "GET", &path, NULL, &page, err);
        if (r == 0)
            r = print_page(&listing, json_get(page, "keys"), err);
        if (r == 0)
            r = next_place(&place, page, err);
    }
    if (r == 0)
        listing_end(&listing);
    return r;
}

const struct command command_kv_ls = {
    .group = "kv",
    .name = "ls",
    .arguments = "NAMESPACE [PREFIX]",
    .min = 1,
    .max = 2,
    .summary = "list keys in the order of their bytes",
    .detail = "--long puts version, bytes and end of life before each. Bytes of keys that are no UTF-8 show as U+FFFD.",
    .flags = (const char *const[]){"long", "max", "null", NULL},
    .whom = OPTIONS_STORE,
    .run = list,
};
