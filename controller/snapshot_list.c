// SPDX-License-Identifier: Apache-2.0
// ListSnapshots: every snapshot of every known share, or of one volume, in the order of the ids; a share that cannot be
// reached makes it fail. A damaged record is logged and left out: nothing of what a snapshot must tell is known then.
#include <errno.h>
#include <string.h>

#include "controller/snapshot_private.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct listing {
    struct share *share; // that is listed just now
    const char *source_id;
    struct snapshot_info *items;
    size_t count, room;
    struct err *err;
};

static void listing_done(struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++)
        snapshot_info_done(&listing->items[i]);
    free(listing->items);
}

static int take(void *arg, const char *key, const struct record *record, const struct err *damage) {
    struct listing *listing = arg;
    if (!record) {
        log_warning("snapshot left out of a list", LOG_S("key", key), LOG_S("error", err_text(damage)));
        return 0;
    }
    if (record->location && !str_eq(record->location, listing->share->text))
        return 0; // one share under two names: listed under the name of its id
    if (listing->source_id && !str_eq(record->source_id, listing->source_id))
        return 0;
    if (listing->count == listing->room) {
        size_t room = listing->room ? listing->room * 2 : 64;
        struct snapshot_info *items = mem_realloc(listing->items, room, sizeof *items);
        if (!items)
            return err_set(listing->err, -ENOMEM, "out of memory");
        listing->items = items;
        listing->room = room;
    }
    int r = snapshot_fill(listing->share, record, &listing->items[listing->count], listing->err);
    listing->count += r == 0;
    return r;
}

static int list_share(struct snapshots *snapshots, const struct share_location *location, int64_t deadline_ns,
                      struct listing *listing) {
    struct share *share cleanup(share_freep) = NULL;
    int r = shares_get(snapshots->options.shares, location, false, deadline_ns, &share, listing->err);
    listing->share = share;
    if (r == 0)
        r = store_list(share, SHARED_SNAPSHOT, NULL, deadline_ns, take, listing, listing->err);
    return r == -ENOENT ? 0 : r; // a share without a layout holds no snapshots
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct snapshot_info *)a)->id, ((const struct snapshot_info *)b)->id);
}

static int list_all(struct snapshots *snapshots, int64_t deadline_ns, struct listing *listing) {
    struct share_location *locations = NULL;
    size_t count = 0;
    int r = shares_locations(snapshots->options.shares, &locations, &count);
    if (r < 0)
        return err_set(listing->err, r, "out of memory");
    for (size_t i = 0; r == 0 && i < count; i++)
        r = list_share(snapshots, &locations[i], deadline_ns, listing);
    shares_locations_done(locations, count);
    return r;
}

int snapshot_list(void *self, const struct call_context *ctx, const char *after, const char *source_volume_id,
                  snapshot_emit_fn emit, void *arg, struct err *err) {
    struct listing listing cleanup(listing_done) = {.source_id = source_volume_id, .err = err};
    struct shared_id source cleanup(shared_id_done) = {0};
    int64_t deadline_ns = share_deadline(ctx);
    int r;
    if (!source_volume_id)
        r = list_all(self, deadline_ns, &listing);
    else if (shared_id_parse(source_volume_id, &source, NULL) < 0)
        return 0; // no volume of ours, so no snapshots
    else
        r = list_share(self, &source.location, deadline_ns, &listing);
    if (r < 0)
        return snapshot_answer(r, err);
    if (listing.count)
        qsort(listing.items, listing.count, sizeof *listing.items, by_id);
    for (size_t i = 0; i < listing.count; i++)
        if ((!after || strcmp(listing.items[i].id, after) > 0) && emit(&listing.items[i], arg) != 0)
            break;
    return 0;
}
