// SPDX-License-Identifier: Apache-2.0
// CreateSnapshot. Whoever finds a record in the state "copying", now or after a crash, goes on from what is there.
// The volume is pinned as long, so that nobody removes it under the copy.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/snapshot_private.h"
#include "controller/tree_work.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define FINISH_NS (30 * NS_PER_S) // for the calls that put a whole copy into its place

static void copy_name(const char *key, char ret[static HASH_ID_LEN + 3]) {
    (void)snprintf(ret, HASH_ID_LEN + 3, "s-%.26s", key);
}

static int volume_missing(const char *id, struct err *err) {
    return err_set(err, -ENOENT, "source volume '%.128s' does not exist", id);
}

// ---- the end of a copy ------------------------------------------------------------------------------------------

struct order { // argument of `finish`
    char key[HASH_ID_LEN + 1];
    int64_t capacity; // of the volume
    uint64_t bytes;   // of the tree
};

static int set_bytes(struct record *record, void *arg, struct err *err) {
    const struct order *order = arg;
    (void)err;
    uint64_t capacity = order->capacity > 0 ? (uint64_t)order->capacity : order->bytes;
    record->bytes = (int64_t)(order->bytes < capacity ? order->bytes : capacity);
    return record->state == RECORD_COPYING ? 0 : 1;
}

static int set_ready(struct record *record, void *arg, struct err *err) {
    (void)arg;
    (void)err;
    if (record->state != RECORD_COPYING)
        return 1;
    record->state = RECORD_READY;
    return 0;
}

static int drop_pin(struct record *volume, void *arg, struct err *err) {
    (void)err;
    return !record_list_remove(volume->pins, &volume->pin_count, arg);
}

static int mark_ready(struct share *share, const char *key, int64_t deadline_ns, struct err *err) {
    struct record *record cleanup(record_freep) = NULL;
    struct shared_id volume cleanup(shared_id_done) = {0};
    char name[HASH_ID_LEN + 3];
    copy_name(key, name);
    int r = store_update(share, SHARED_SNAPSHOT, key, deadline_ns, set_ready, NULL, err);
    if (r == 0)
        r = store_get(share, SHARED_SNAPSHOT, key, deadline_ns, &record, err);
    if (r < 0)
        return r;
    struct err why = ERR_NONE; // a pin that is left counts no more, since the record is ready
    if (shared_id_parse(record->source_id, &volume, NULL) == 0 &&
        store_update(share, SHARED_VOLUME, volume.key, deadline_ns, drop_pin, name, &why) < 0)
        log_debug("pin left", LOG_S("volume", record->source_id), LOG_S("error", err_text(&why)));
    return 0;
}

// 1: there, whole; 0: not there.
static int has_data(struct share *share, const char *key, int64_t deadline_ns, struct err *err) {
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_SNAPSHOT_DATA], .name = key};
    look.deadline_ns = deadline_ns;
    int r = share_call(share, &look, "look for a snapshot's data", err);
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int put_in_place(struct share *share, const struct order *order, const char *name, int64_t deadline_ns,
                        struct err *err) {
    int r = has_data(share, order->key, deadline_ns, err);
    if (r != 0)
        return r < 0 ? r : 0;
    struct nfs_call move = {.op = NFS_RENAME, .fh = share->dirs[SHARE_DIR_WORK], .name = name};
    move.fh2 = share->dirs[SHARE_DIR_SNAPSHOT_DATA];
    move.name2 = order->key;
    move.deadline_ns = deadline_ns;
    r = share_call(share, &move, "move a copied tree into its place", err);
    if (r == -ENOENT) // a RENAME that was sent twice
        r = has_data(share, order->key, deadline_ns, err);
    return r < 0 ? r : 0;
}

static int finish(void *arg, struct share *share, const char *name, struct err *err) {
    struct order *order = arg;
    int64_t deadline_ns = clock_monotonic(&clock_system) + FINISH_NS;
    int r = store_update(share, SHARED_SNAPSHOT, order->key, deadline_ns, set_bytes, order, err);
    if (r == 0)
        r = put_in_place(share, order, name, deadline_ns, err);
    if (r == 0)
        r = mark_ready(share, order->key, deadline_ns, err);
    return r == -ENOENT ? err_set(err, r, "the snapshot was deleted while it was copied") : r;
}

// ---- the start --------------------------------------------------------------------------------------------------

static int add_pin(struct record *volume, void *arg, struct err *err) {
    size_t before = volume->pin_count;
    if (volume->state != RECORD_READY)
        return err_set(err, -EAGAIN, "source volume '%.80s' is not ready; try again", volume->name);
    if (record_list_add(&volume->pins, &volume->pin_count, arg) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return volume->pin_count == before;
}

static int order_copy(struct snapshots *snapshots, struct share *share, const struct record *record,
                      const struct record *volume, const char *name, int64_t deadline_ns, struct err *err) {
    const struct tree_work *work = &snapshots->options.work;
    struct copy_order order = {.name = name, .source = share, .target = share, .finish = finish, .release = free};
    int r = share_walk(share, volume->sub_dir, deadline_ns, &order.source_dir, NULL, err);
    if (r == -ENOENT)
        return err_set(err, -EBUSY, "the directory of volume '%.80s' is missing; restore it", volume->name);
    if (r < 0)
        return r;
    struct order *arg = mem_zalloc(sizeof *arg);
    if (!arg)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(arg->key, record->key, sizeof arg->key);
    arg->capacity = volume->bytes;
    order.arg = arg;
    order.ret_bytes = &arg->bytes;
    return work->ops->copy_start(work->self, &order, err);
}

// -ENOENT: the volume is gone.
static int start(struct snapshots *snapshots, struct share *share, const struct record *record, int64_t deadline_ns,
                 struct err *err) {
    struct shared_id id cleanup(shared_id_done) = {0};
    struct record *volume cleanup(record_freep) = NULL;
    char name[HASH_ID_LEN + 3];
    copy_name(record->key, name);
    int r = has_data(share, record->key, deadline_ns, err);
    if (r != 0) // the process died before it could say so
        return r < 0 ? r : mark_ready(share, record->key, deadline_ns, err);
    r = record->source_id ? shared_id_parse(record->source_id, &id, NULL) : -EINVAL;
    if (r < 0)
        return volume_missing(record->source_id ? record->source_id : "", err);
    r = store_update(share, SHARED_VOLUME, id.key, deadline_ns, add_pin, name, err);
    if (r == 0)
        r = store_get(share, SHARED_VOLUME, id.key, deadline_ns, &volume, err);
    if (r < 0)
        return r == -ENOENT ? volume_missing(record->source_id, err) : r;
    return order_copy(snapshots, share, record, volume, name, deadline_ns, err);
}

// The volume was removed before the copy could begin: the record of the snapshot that cannot be goes, too.
static void give_up(struct share *share, const struct record *record, int64_t deadline_ns) {
    struct lock *lock cleanup(lock_freep) = NULL;
    struct record *now cleanup(record_freep) = NULL;
    char name[HASH_ID_LEN + 3];
    struct err why = ERR_NONE;
    copy_name(record->key, name);
    int r = lock_wait(share, name, deadline_ns, &lock, &why);
    if (r == 0)
        r = store_get(share, SHARED_SNAPSHOT, record->key, deadline_ns, &now, &why);
    if (r == 0 && now->state == RECORD_COPYING) // not made ready by another controller meanwhile
        r = store_remove(share, SHARED_SNAPSHOT, record->key, deadline_ns, &why);
    if (r < 0)
        log_warning("record of an impossible snapshot left", LOG_S("snapshot", record->name),
                    LOG_S("error", err_text(&why)));
}

static int make_record(struct snapshots *snapshots, struct snapshot_place *source, const char *name,
                       const char *source_id, const char *group_id, struct record **ret, struct err *err) {
    struct record *volume cleanup(record_freep) = NULL;
    struct record *record cleanup(record_freep) = record_new(SHARED_SNAPSHOT, name);
    int r = store_get(source->share, SHARED_VOLUME, source->id.key, source->deadline_ns, &volume, err);
    if (r < 0)
        return r == -ENOENT ? volume_missing(source_id, err) : r;
    if (volume->state != RECORD_READY)
        return err_set(err, -EAGAIN, "source volume '%.80s' is not ready; try again", volume->name);
    if (!record || record_set_text(&record->source_id, source_id) < 0 ||
        record_set_text(&record->location, source->share->text) < 0 || record_set_text(&record->group_id, group_id) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    record->state = RECORD_COPYING;
    record->source = CONTENT_VOLUME;
    record->created_ns = clock_wall(snapshots->options.clock);
    r = store_create(source->share, record, source->deadline_ns, err);
    if (r == 0)
        *ret = take_ptr(record);
    return r;
}

int snapshot_begin(struct snapshots *snapshots, struct snapshot_place *source, const char *name, const char *group_id,
                   struct record **ret, struct err *err) {
    struct record *record cleanup(record_freep) = NULL;
    struct share *share = source->share;
    char key[HASH_ID_LEN + 1], source_id[CSI_ID_MAX + 1];
    hash_id(name, strlen(name), key);
    int r = shared_id_format(SHARED_VOLUME, source->id.key, &share->location, source_id, err);
    if (r == 0)
        r = store_get(share, SHARED_SNAPSHOT, key, source->deadline_ns, &record, err);
    if (r == -ENOENT)
        r = make_record(snapshots, source, name, source_id, group_id, &record, err);
    if (r == -EEXIST) // another controller was first
        r = store_get(share, SHARED_SNAPSHOT, key, source->deadline_ns, &record, err);
    if (r < 0)
        return r;
    if (!str_eq(record->source_id, source_id))
        return err_set(err, -EEXIST, "snapshot '%.80s' exists already, of volume '%.120s'", name, record->source_id);
    if (record->state == RECORD_COPYING)
        r = start(snapshots, share, record, source->deadline_ns, err);
    if (r == -ENOENT)
        give_up(share, record, source->deadline_ns);
    if (r == 0)
        *ret = take_ptr(record);
    return r;
}

int64_t snapshot_until(const struct snapshots *snapshots, int64_t deadline_ns) {
    int64_t now = clock_monotonic(&clock_system);
    int64_t wait = (deadline_ns - now) / 5 * 4, most = snapshots->options.wait_ms * NS_PER_MS;
    return now + (wait < most ? wait : most);
}

int snapshot_settle(struct snapshots *snapshots, struct share *share, const struct record *record, int64_t until_ns,
                    int64_t deadline_ns, struct snapshot_info *ret, struct err *err) {
    const struct tree_work *work = &snapshots->options.work;
    struct record *now cleanup(record_freep) = NULL;
    struct copy_progress progress;
    char name[HASH_ID_LEN + 3];
    copy_name(record->key, name);
    int r = 0;
    struct err why = ERR_NONE;
    if (record->state == RECORD_COPYING)
        r = work->ops->copy_wait(work->self, share, name, until_ns, &progress, &why);
    if (r < 0 && r != -ENOENT && r != -EAGAIN)
        return err_set(err, r, "snapshot '%.60s' was not copied on %.80s: %s", record->name, share->text,
                       err_text(&why));
    r = store_get(share, SHARED_SNAPSHOT, record->key, deadline_ns, &now, err);
    if (r == -ENOENT)
        return err_set(err, -EAGAIN, "snapshot '%.80s' was deleted meanwhile", record->name);
    return r < 0 ? r : snapshot_fill(share, now, ret, err);
}

int snapshot_create(void *self, const struct call_context *ctx, const char *name, const char *source_volume_id,
                    const struct string_map *parameters, struct snapshot_info *ret, struct err *err) {
    struct snapshots *snapshots = self;
    struct snapshot_place source cleanup(snapshot_place_done) = {0};
    struct record *record cleanup(record_freep) = NULL;
    int r = snapshot_check_parameters(parameters, NULL, err);
    if (r == 0)
        r = snapshot_locate(snapshots, ctx, SHARED_VOLUME, source_volume_id, &source, err);
    if (r == -ENOENT)
        return volume_missing(source_volume_id, err);
    if (r == 0)
        r = snapshot_check_parameters(parameters, source.share, err);
    if (r == 0)
        r = snapshot_begin(snapshots, &source, name, NULL, &record, err);
    if (r == 0)
        r = snapshot_settle(snapshots, source.share, record, snapshot_until(snapshots, source.deadline_ns),
                            source.deadline_ns, ret, err);
    return snapshot_answer(r, err);
}

// ---- after a restart --------------------------------------------------------------------------------------------

struct resume {
    struct snapshots *snapshots;
    struct share *share;
    int64_t deadline_ns;
};

static int resume_one(void *arg, const char *key, const struct record *record, const struct err *damage) {
    struct resume *resume = arg;
    struct err err = ERR_NONE;
    (void)damage;
    if (!record || record->state != RECORD_COPYING)
        return 0;
    if (start(resume->snapshots, resume->share, record, resume->deadline_ns, &err) < 0)
        log_error("snapshot not resumed", LOG_S("key", key), LOG_S("snapshot", record->name),
                  LOG_S("error", err_text(&err)));
    else
        log_info("snapshot resumed", LOG_S("snapshot", record->name), LOG_S("share", resume->share->text));
    return 0;
}

int snapshots_resume(struct snapshots *snapshots, struct share *share, int64_t deadline_ns, struct err *err) {
    struct resume resume = {snapshots, share, deadline_ns};
    return store_list(share, SHARED_SNAPSHOT, NULL, deadline_ns, resume_one, &resume, err);
}
