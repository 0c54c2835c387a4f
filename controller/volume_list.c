// SPDX-License-Identifier: Apache-2.0
// ControllerGetVolume and ListVolumes. A list names every volume of every known share, or fails: a share that cannot be
// reached makes it UNAVAILABLE. Volumes whose record is damaged are listed with an abnormal condition.
#include <errno.h>
#include <string.h>

#include "controller/volume_private.h"
#include "lib/base/mem.h"

static int set_condition(struct volume_info *info, const char *text) {
    info->abnormal = true;
    free(info->condition);
    info->condition = mem_strdup(text);
    return info->condition ? 0 : -ENOMEM;
}

static int describe(struct found *found, struct volume_info *ret, struct err *err) {
    struct nfs_fh dir;
    struct err why = ERR_NONE;
    int r = volume_fill_info(found->share, found->record, ret, err);
    if (r < 0)
        return r;
    if (found->record->state == RECORD_COPYING)
        return set_condition(ret, "its content is being copied");
    r = share_walk(found->share, found->record->sub_dir, found->deadline_ns, &dir, NULL, &why);
    if (r == -ENOENT)
        return set_condition(ret, "its directory is missing: restore it, or delete the volume");
    return r < 0 ? set_condition(ret, err_text(&why)) : 0;
}

int volume_get(void *self, const struct call_context *ctx, const char *id, struct volume_info *ret, struct err *err) {
    struct found found cleanup(found_done) = {0};
    struct volume_info info cleanup(volume_info_done) = {0};
    int r = volume_load(self, ctx, id, &found, err);
    if (r == 0)
        r = describe(&found, &info, err);
    if (r < 0)
        return volume_answer(r, id, err);
    *ret = info;
    info = (struct volume_info){0};
    return 0;
}

// ---- lists over several shares --------------------------------------------------------------------------------

struct part { // one share's keys
    struct share *share;
    struct store_key *keys;
    size_t count, at;
};

struct parts {
    struct part *items;
    size_t count;
};

static void parts_done(struct parts *parts) {
    for (size_t i = 0; i < parts->count; i++) {
        parts->items[i].share = share_free(parts->items[i].share);
        free(parts->items[i].keys);
    }
    free(parts->items);
}

static int collect(struct volumes *volumes, int64_t deadline_ns, struct parts *ret, struct err *err) {
    struct share_location *locations = NULL;
    size_t count = 0;
    int r = shares_locations(volumes->options.shares, &locations, &count);
    ret->items = r == 0 ? mem_array(count + 1, sizeof *ret->items) : NULL;
    if (r == 0 && !ret->items)
        r = -ENOMEM;
    if (r < 0)
        (void)err_set(err, r, "out of memory");
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct part *part = &ret->items[ret->count];
        r = shares_get(volumes->options.shares, &locations[i], false, deadline_ns, &part->share, err);
        if (r == -ENOENT) { // a share without a layout holds no volumes
            r = 0;
            continue;
        }
        ret->count++;
        if (r == 0)
            r = store_refresh(part->share, SHARED_VOLUME, deadline_ns, &part->keys, &part->count, err);
    }
    shares_locations_done(locations, count);
    return r;
}

// The part with the smallest id; ids are ordered by key, then by the text of the share, as the parts are.
static struct part *smallest(struct parts *parts) {
    struct part *best = NULL;
    for (size_t i = 0; i < parts->count; i++) {
        struct part *part = &parts->items[i];
        if (part->at < part->count && (!best || strcmp(part->keys[part->at].text, best->keys[best->at].text) < 0))
            best = part;
    }
    return best;
}

static int fill_damaged(struct share *share, const char *key, const struct err *damage, struct volume_info *ret) {
    char id[CSI_ID_MAX + 1];
    int r = shared_id_format(SHARED_VOLUME, key, &share->location, id, NULL);
    if (r < 0)
        return r;
    ret->id = mem_strdup(id);
    return ret->id ? set_condition(ret, err_text(damage)) : -ENOMEM;
}

// 0: go on. Fills `ret` unless the volume is gone, or is not there yet (being copied): then its id stays NULL.
static int look_at(struct part *part, const char *key, int64_t deadline_ns, struct volume_info *ret, struct err *err) {
    struct record *record cleanup(record_freep) = NULL;
    struct err damage = ERR_NONE;
    int r = store_peek(part->share, SHARED_VOLUME, key, deadline_ns, &record, &damage);
    if (r == -EBADMSG || r == -EPROTO)
        return fill_damaged(part->share, key, &damage, ret) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
    if (r == -ENOENT || (r == 0 && record->state == RECORD_COPYING))
        return 0;
    if (r == 0 && record->location && !str_eq(record->location, part->share->text))
        return 0; // one share under two names (another NFS version or port): listed under the name of its id
    return r < 0 ? err_set(err, r, "%s", err_text(&damage)) : volume_fill_info(part->share, record, ret, err);
}

static bool is_behind(const struct part *part, const char *after) {
    char id[CSI_ID_MAX + 1];
    return !after ||
           (shared_id_format(SHARED_VOLUME, part->keys[part->at].text, &part->share->location, id, NULL) == 0 &&
            strcmp(id, after) > 0);
}

static int list(struct volumes *volumes, int64_t deadline_ns, const char *after, volume_emit_fn emit, void *arg,
                struct err *err) {
    struct parts parts cleanup(parts_done) = {0};
    int r = collect(volumes, deadline_ns, &parts, err);
    for (struct part *part; r == 0 && (part = smallest(&parts)); part->at++) {
        struct volume_info info cleanup(volume_info_done) = {0};
        if (!is_behind(part, after))
            continue;
        r = look_at(part, part->keys[part->at].text, deadline_ns, &info, err);
        if (r == 0 && info.id && emit(&info, arg) != 0)
            return 0;
    }
    return r;
}

int volume_list(void *self, const struct call_context *ctx, const char *after, volume_emit_fn emit, void *arg,
                struct err *err) {
    return volume_answer(list(self, share_deadline(ctx), after, emit, arg, err), "of a list", err);
}
