// SPDX-License-Identifier: Apache-2.0
// Volumes made from a snapshot or another volume.
//
//     RECORD_COPYING ──copy whole──▶ work/v-<key> ──RENAME──▶ subDir ──▶ RECORD_READY
//
// The directory is made empty and the record written before the copy starts; whoever finds the record in this state,
// now or after a crash, goes on from what is there. The source is pinned as long, so that nobody removes it.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/volume_dir.h"
#include "controller/volume_private.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define FINISH_NS (30 * NS_PER_S) // for the calls that put a whole copy into its place

#define WAIT_NS (10 * NS_PER_S)   // how long a create waits for its copy
#define LOOK_NS (200 * NS_PER_MS) // how often it looks whether its client is still there

static void copy_name(const struct record *record, char ret[static HASH_ID_LEN + 3]) {
    (void)snprintf(ret, HASH_ID_LEN + 3, "%c-%.26s", (int)record->kind, record->key);
}

bool volume_pin_counts(struct share *share, const char *pin, int64_t deadline_ns) {
    struct record *record cleanup(record_freep) = NULL;
    if (!pin[0] || pin[1] != '-' || !hash_is_id(pin + 2))
        return false;
    int r = store_get(share, (enum shared_kind)pin[0], pin + 2, deadline_ns, &record, NULL);
    return r == 0 ? record->state == RECORD_COPYING : r != -ENOENT;
}

static int source_missing(const char *id, struct err *err) {
    return err_set(err, -ENOENT, "content source '%.128s' does not exist", id);
}

// The same export, whatever the NFS version and the port of the mount protocol.
static bool same_export(const struct share_location *a, const struct share_location *b) {
    unsigned port_a = a->nfs_port ? a->nfs_port : 2049, port_b = b->nfs_port ? b->nfs_port : 2049;
    return str_eq(a->server, b->server) && str_eq(a->path, b->path) && port_a == port_b;
}

static int find_source(struct share *share, enum content_source source, const char *id, int64_t deadline_ns,
                       struct record **ret, struct err *err) {
    struct shared_id parsed cleanup(shared_id_done) = {0};
    enum shared_kind kind = source == CONTENT_SNAPSHOT ? SHARED_SNAPSHOT : SHARED_VOLUME;
    int r = shared_id_parse(id, &parsed, NULL);
    if (r == -ENOMEM)
        return err_set(err, r, "out of memory");
    if (r < 0 || parsed.kind != kind)
        return source_missing(id, err);
    if (!same_export(&parsed.location, &share->location))
        return err_set(err, -EINVAL,
                       "content source '%.128s' is on another share than %s; choose a class of that share", id,
                       share->text);
    r = store_get(share, kind, parsed.key, deadline_ns, ret, err);
    return r == -ENOENT ? source_missing(id, err) : r;
}

int volume_copy_check(struct volumes *volumes, const struct volume_create_request *request, struct plan *plan,
                      int64_t deadline_ns, struct err *err) {
    struct share *share cleanup(share_freep) = NULL;
    struct record *source cleanup(record_freep) = NULL;
    if (request->source == CONTENT_EMPTY)
        return 0;
    int r = shares_get(volumes->options.shares, &plan->location, true, deadline_ns, &share, err);
    if (r == 0)
        r = find_source(share, request->source, request->source_id, deadline_ns, &source, err);
    if (r < 0)
        return r;
    if (source->state != RECORD_READY)
        return err_set(err, -EAGAIN, "content source '%.80s' is not ready; try again", source->name);
    if (!request->required_bytes && plan->record->bytes < source->bytes)
        plan->record->bytes = source->bytes;
    if (plan->record->bytes < source->bytes || (plan->limit_bytes && plan->record->bytes > plan->limit_bytes))
        return err_set(err, -ERANGE, "content source '%.80s' has %" PRId64 " bytes; ask for at least as many",
                       source->name, source->bytes);
    return 0;
}

// ---- pins ---------------------------------------------------------------------------------------------------

static int add_pin(struct record *source, void *arg, struct err *err) {
    size_t before = source->pin_count;
    if (record_list_add(&source->pins, &source->pin_count, arg) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return source->pin_count == before;
}

static int drop_pin(struct record *source, void *arg, struct err *err) {
    (void)err;
    return !record_list_remove(source->pins, &source->pin_count, arg);
}

static int change_source(struct share *share, const struct record *record, store_change_fn change, int64_t deadline_ns,
                         struct err *err) {
    struct record *source cleanup(record_freep) = NULL;
    char name[HASH_ID_LEN + 3];
    copy_name(record, name);
    int r = find_source(share, record->source, record->source_id, deadline_ns, &source, err);
    if (r == 0)
        r = store_update(share, source->kind, source->key, deadline_ns, change, name, err);
    return r == -ENOENT ? source_missing(record->source_id, err) : r;
}

// ---- the end of a copy --------------------------------------------------------------------------------------

static int set_ready(struct record *record, void *arg, struct err *err) {
    (void)arg;
    (void)err;
    if (record->state != RECORD_COPYING)
        return 1;
    record->state = RECORD_READY;
    return 0;
}

static int mark_ready(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    int r = store_update(share, SHARED_VOLUME, record->key, deadline_ns, set_ready, NULL, err);
    if (r < 0)
        return r;
    struct err why = ERR_NONE; // a pin that is left counts no more, since the record is ready
    if (change_source(share, record, drop_pin, deadline_ns, &why) < 0)
        log_debug("pin left", LOG_S("source", record->source_id), LOG_S("error", err_text(&why)));
    return 0;
}

// work/<name> into the volume's directory, which is empty. Done already when it is not in work/.
static int put_in_place(struct share *share, const struct record *record, const char *name, int64_t deadline_ns,
                        struct err *err) {
    struct nfs_fh dir, parent;
    const char *last;
    bool fresh = false;
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_WORK], .name = name, .deadline_ns = deadline_ns};
    int r = share_call(share, &look, "look for a copied tree", err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = volume_dir_set(share, record, &look.out_fh, &look.attr, deadline_ns, err);
    if (r == 0)
        r = share_walk(share, record->sub_dir, deadline_ns, &dir, NULL, err);
    if (r == -ENOENT) // somebody removed it
        r = volume_dir_make(share, record, deadline_ns, &dir, &fresh, err);
    if (r == 0)
        r = share_walk_parent(share, record->sub_dir, deadline_ns, &parent, &last, err);
    if (r < 0)
        return r;
    struct nfs_call move = {.op = NFS_RENAME,
                            .fh = share->dirs[SHARE_DIR_WORK],
                            .name = name,
                            .fh2 = parent,
                            .name2 = last,
                            .deadline_ns = deadline_ns};
    r = share_call(share, &move, "move a copied tree into its place", err);
    if (r == -EEXIST || r == -ENOTEMPTY)
        return err_set(err, -EEXIST, "directory '%.100s' on %s was filled by somebody else; empty it, then try again",
                       record->sub_dir, share->text);
    return r;
}

static int copy_finish(void *arg, struct share *share, const char *name, struct err *err) {
    struct record *record cleanup(record_freep) = NULL;
    int64_t deadline_ns = clock_monotonic(&clock_system) + FINISH_NS;
    int r = store_get(share, SHARED_VOLUME, arg, deadline_ns, &record, err);
    if (r == -ENOENT)
        return err_set(err, r, "the volume was deleted while it was copied");
    if (r == 0 && record->state == RECORD_COPYING)
        r = put_in_place(share, record, name, deadline_ns, err);
    return r == 0 ? mark_ready(share, record, deadline_ns, err) : r;
}

// Whole and in its place, only the record does not say so: the process died between the two.
static int is_in_place(struct share *share, const struct record *record, const char *name, int64_t deadline_ns,
                       struct err *err) {
    struct nfs_fh dir;
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_WORK], .name = name, .deadline_ns = deadline_ns};
    int r = share_call(share, &look, "look for a copied tree", err);
    if (r != -ENOENT)
        return r < 0 ? r : 0;
    r = share_walk(share, record->sub_dir, deadline_ns, &dir, NULL, err);
    if (r == 0)
        r = volume_dir_is_empty(share, &dir, deadline_ns, err);
    return r == -ENOENT ? 0 : r < 0 ? r : !r;
}

// ---- the start ----------------------------------------------------------------------------------------------

static int source_dir(struct share *share, const struct record *record, int64_t deadline_ns, struct nfs_fh *ret,
                      struct err *err) {
    struct record *source cleanup(record_freep) = NULL;
    int r = find_source(share, record->source, record->source_id, deadline_ns, &source, err);
    if (r < 0)
        return r;
    if (source->kind == SHARED_VOLUME)
        return share_walk(share, source->sub_dir, deadline_ns, ret, NULL, err);
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_SNAPSHOT_DATA], .name = source->key, .deadline_ns = deadline_ns};
    r = share_call(share, &look, "open a snapshot", err);
    *ret = look.out_fh;
    return r;
}

int volume_copy_start(struct volumes *volumes, struct share *share, const struct record *record, int64_t deadline_ns,
                      struct err *err) {
    char name[HASH_ID_LEN + 3];
    copy_name(record, name);
    const struct tree_work *work = &volumes->options.work;
    int r = is_in_place(share, record, name, deadline_ns, err);
    if (r != 0)
        return r < 0 ? r : mark_ready(share, record, deadline_ns, err);
    struct copy_order order = {.name = name, .source = share, .target = share, .finish = copy_finish, .release = free};
    r = change_source(share, record, add_pin, deadline_ns, err);
    if (r == 0)
        r = source_dir(share, record, deadline_ns, &order.source_dir, err);
    if (r < 0)
        return r;
    order.arg = mem_strdup(record->key);
    return order.arg ? work->ops->copy_start(work->self, &order, err) : err_set(err, -ENOMEM, "out of memory");
}

// The source was removed before the copy began: the volume that was to be goes, too. Unless another controller has
// made it ready meanwhile, after which the source may go at any time.
static int give_up(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    struct lock *lock cleanup(lock_freep) = NULL;
    struct record *now cleanup(record_freep) = NULL;
    char name[HASH_ID_LEN + 3], trash[NFS_NAME_MAX + 1];
    struct err why = ERR_NONE;
    copy_name(record, name);
    int r = lock_wait(share, name, deadline_ns, &lock, &why);
    if (r == 0)
        r = store_get(share, SHARED_VOLUME, record->key, deadline_ns, &now, &why);
    if (r == 0 && now->state != RECORD_COPYING)
        return now->state == RECORD_READY
                   ? 0
                   : err_set(err, -EAGAIN, "volume '%.80s' is being deleted; try again", record->name);
    if (r == 0)
        r = volume_dir_trash(share, record, deadline_ns, trash, &why);
    if (r == 0)
        r = store_remove(share, SHARED_VOLUME, record->key, deadline_ns, &why);
    if (r < 0)
        log_warning("record of an impossible copy left", LOG_S("volume", record->name), LOG_S("error", err_text(&why)));
    return source_missing(record->source_id, err);
}

static int still_copying(const struct record *record, const struct copy_progress *progress, struct err *err) {
    if (progress->elsewhere)
        return err_set(err, -EAGAIN, "volume '%.80s' is being copied by another controller; try again", record->name);
    if (progress->bytes_total == 0)
        return err_set(err, -EAGAIN, "volume '%.80s' is being copied, %" PRIu64 " files so far; try again",
                       record->name, progress->files_done);
    double part = (double)progress->bytes_done / (double)progress->bytes_total;
    return err_set(err, -EAGAIN, "volume '%.80s' is being copied: %.0f %%; try again", record->name,
                   part < 1 ? part * 100 : 100);
}

// A long copy is not waited for: the client asks again, and hears how far it is.
static int wait_a_while(struct volumes *volumes, struct share *share, const char *name, const struct call_context *ctx,
                        struct copy_progress *ret, struct err *err) {
    const struct tree_work *work = &volumes->options.work;
    int64_t now = clock_monotonic(&clock_system), left = (share_deadline(ctx) - now) / 5 * 4;
    int64_t end = now + (left < WAIT_NS ? left : WAIT_NS);
    for (;;) {
        int64_t look = now + LOOK_NS < end ? now + LOOK_NS : end;
        int r = work->ops->copy_wait(work->self, share, name, look, ret, err);
        now = clock_monotonic(&clock_system);
        bool waited = r == -EAGAIN && now >= look;
        if (!waited || now >= end || (ctx->cancelled && ctx->cancelled(ctx->arg)))
            return r;
    }
}

int volume_copy_run(struct volumes *volumes, struct share *share, const struct record *record,
                    const struct call_context *ctx, struct err *err) {
    struct copy_progress progress = {0};
    struct record *now cleanup(record_freep) = NULL;
    char name[HASH_ID_LEN + 3];
    int64_t deadline_ns = share_deadline(ctx);
    copy_name(record, name);
    int r = volume_copy_start(volumes, share, record, deadline_ns, err);
    if (r == -ENOENT)
        return give_up(share, record, deadline_ns, err);
    if (r < 0)
        return r;
    r = wait_a_while(volumes, share, name, ctx, &progress, err);
    if (r < 0 && r != -ENOENT && r != -EAGAIN)
        return err_wrap(err, r, "volume '%.60s' was not copied on %.80s", record->name, share->text);
    int got = store_get(share, SHARED_VOLUME, record->key, deadline_ns, &now, err);
    if (got < 0)
        return got == -ENOENT ? err_set(err, -EAGAIN, "volume '%.80s' was deleted meanwhile", record->name) : got;
    return now->state == RECORD_READY ? 0 : still_copying(record, &progress, err);
}

// ---- after a restart ----------------------------------------------------------------------------------------

struct resume {
    struct volumes *volumes;
    struct share *share;
    int64_t deadline_ns;
};

static int resume_one(void *arg, const char *key, const struct record *record, const struct err *damage) {
    struct resume *resume = arg;
    struct err err = ERR_NONE;
    (void)damage;
    if (!record || record->state != RECORD_COPYING)
        return 0;
    if (volume_copy_start(resume->volumes, resume->share, record, resume->deadline_ns, &err) < 0)
        log_error("copy not resumed", LOG_S("key", key), LOG_S("volume", record->name), LOG_S("error", err_text(&err)));
    else
        log_info("copy resumed", LOG_S("volume", record->name), LOG_S("share", resume->share->text));
    return 0;
}

int volumes_resume(struct volumes *volumes, struct share *share, int64_t deadline_ns, struct err *err) {
    struct resume resume = {volumes, share, deadline_ns};
    return store_list(share, SHARED_VOLUME, NULL, deadline_ns, resume_one, &resume, err);
}
