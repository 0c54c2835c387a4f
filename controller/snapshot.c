// SPDX-License-Identifier: Apache-2.0
#include "controller/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/snapshot_private.h"
#include "controller/tree_work.h"
#include "controller/volume_private.h"
#include "lib/base/mem.h"

const struct snapshot_ops snapshot_ops = {
    .create = snapshot_create,
    .destroy = snapshot_destroy,
    .get = snapshot_get,
    .list = snapshot_list,
    .group_create = group_create,
    .group_get = group_get,
    .group_destroy = group_destroy,
};

int snapshots_new(const struct snapshots_options *options, struct snapshots **ret, struct err *err) {
    struct snapshots *snapshots = mem_zalloc(sizeof *snapshots);
    if (!snapshots)
        return err_set(err, -ENOMEM, "out of memory");
    snapshots->options = *options;
    if (!snapshots->options.clock)
        snapshots->options.clock = &clock_system;
    if (!snapshots->options.wait_ms)
        snapshots->options.wait_ms = 5000;
    *ret = snapshots;
    return 0;
}

struct snapshots *snapshots_free(struct snapshots *snapshots) {
    free(snapshots);
    return NULL;
}

void snapshot_place_done(struct snapshot_place *place) {
    place->share = share_free(place->share);
    shared_id_done(&place->id);
}

int snapshot_locate(struct snapshots *snapshots, const struct call_context *ctx, enum shared_kind kind, const char *id,
                    struct snapshot_place *ret, struct err *err) {
    int r = shared_id_parse(id, &ret->id, NULL);
    if (r == -EINVAL || (r == 0 && ret->id.kind != kind))
        return -ENOENT;
    if (r < 0)
        return err_set(err, r, "out of memory");
    ret->deadline_ns = share_deadline(ctx);
    return shares_get(snapshots->options.shares, &ret->id.location, false, ret->deadline_ns, &ret->share, err);
}

int snapshot_answer(int r, struct err *err) {
    if (r == -EPROTO) // a newer format: trying again cures nothing
        r = -EBUSY;
    else if (r == -ESTALE) // the share was made anew: the next call opens it again
        r = -EAGAIN;
    if (err && r < 0)
        err->code = r;
    return r;
}

int snapshot_fill(struct share *share, const struct record *record, struct snapshot_info *ret, struct err *err) {
    struct snapshot_info info cleanup(snapshot_info_done) = {0};
    char id[CSI_ID_MAX + 1];
    int r = shared_id_format(SHARED_SNAPSHOT, record->key, &share->location, id, err);
    if (r < 0)
        return r;
    info.id = mem_strdup(id);
    info.source_volume_id = mem_strdup(record->source_id ? record->source_id : "");
    info.group_id = mem_strdup(record->group_id);
    if (!info.id || !info.source_volume_id || (record->group_id && !info.group_id))
        return err_set(err, -ENOMEM, "out of memory");
    info.size_bytes = record->bytes;
    info.created_ns = record->created_ns;
    info.ready = record->state == RECORD_READY;
    *ret = info;
    info = (struct snapshot_info){0};
    return 0;
}

static bool same_path(const char *a, const char *b) {
    size_t len = strlen(a);
    while (len > 1 && a[len - 1] == '/')
        len--;
    return strlen(b) == len && strncmp(a, b, len) == 0;
}

int snapshot_check_parameters(const struct string_map *parameters, const struct share *share, struct err *err) {
    for (size_t i = 0; parameters && i < parameters->count; i++) {
        const char *key = parameters->items[i].key, *value = parameters->items[i].value;
        bool server = str_eq_nocase(key, "server"), path = str_eq_nocase(key, "share");
        if (str_starts(key, "csi.storage.k8s.io/"))
            continue;
        if (!server && !path)
            return err_set(err, -EINVAL, "unknown parameter '%.60s' of a snapshot class; known are server, share", key);
        if (share && (server ? !str_eq(value, share->location.server) : !same_path(value, share->location.path)))
            return err_set(err, -EINVAL,
                           "%s '%.80s' is not the volume's (%s): snapshots stay on the share of their volume; leave "
                           "the parameter out",
                           key, value,
                           !server                  ? share->location.path
                           : share->location.server ? share->location.server
                                                    : share->text);
    }
    return 0;
}

// ---- get and destroy --------------------------------------------------------------------------------------------

static int not_there(const char *id, struct err *err) {
    return err_set(err, -ENOENT, "snapshot '%.128s' does not exist", id);
}

int snapshot_get(void *self, const struct call_context *ctx, const char *id, struct snapshot_info *ret,
                 struct err *err) {
    struct snapshot_place place cleanup(snapshot_place_done) = {0};
    struct record *record cleanup(record_freep) = NULL;
    int r = snapshot_locate(self, ctx, SHARED_SNAPSHOT, id, &place, err);
    if (r == 0)
        r = store_get(place.share, SHARED_SNAPSHOT, place.id.key, place.deadline_ns, &record, err);
    if (r == 0)
        r = snapshot_fill(place.share, record, ret, err);
    return r == -ENOENT ? not_there(id, err) : snapshot_answer(r, err);
}

static int check_unpinned(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    for (size_t i = 0; i < record->pin_count; i++)
        if (volume_pin_counts(share, record->pins[i], deadline_ns))
            return err_set(err, -EBUSY, "snapshot '%.80s' is being restored (to %s); try again when that is done",
                           record->name, record->pins[i]);
    return 0;
}

static int destroy(struct snapshots *snapshots, struct snapshot_place *place, struct err *err) {
    struct lock *lock cleanup(lock_freep) = NULL;
    struct record *record cleanup(record_freep) = NULL;
    const struct tree_work *work = &snapshots->options.work;
    struct share *share = place->share;
    char name[HASH_ID_LEN + 3];
    (void)snprintf(name, sizeof name, "s-%s", place->id.key);
    int r = lock_wait(share, name, place->deadline_ns, &lock, err);
    if (r == 0)
        r = store_get(share, SHARED_SNAPSHOT, place->id.key, place->deadline_ns, &record, err);
    if (r == 0)
        r = check_unpinned(share, record, place->deadline_ns, err);
    if (r == 0 && record->state != RECORD_READY)
        r = work->ops->copy_cancel(work->self, share, name, place->deadline_ns, err);
    if (r == 0)
        r = tree_work_discard(work, share, SHARE_DIR_SNAPSHOT_DATA, place->id.key, place->deadline_ns, err);
    if (r < 0)
        return r;
    if (!lock_held(lock))
        return err_set(err, -EAGAIN, "the server of %s answers too slowly to delete a snapshot; try again",
                       share->text);
    return store_remove(share, SHARED_SNAPSHOT, place->id.key, place->deadline_ns, err);
}

int snapshot_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct snapshot_place place cleanup(snapshot_place_done) = {0};
    int r = snapshot_locate(self, ctx, SHARED_SNAPSHOT, id, &place, err);
    if (r == 0)
        r = destroy(self, &place, err);
    return r == -ENOENT ? 0 : snapshot_answer(r, err); // what is not there is deleted
}
