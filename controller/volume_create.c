// SPDX-License-Identifier: Apache-2.0
// CreateVolume: six round trips for a new volume in a directory of its own.
#include <errno.h>
#include <string.h>

#include "controller/volume_dir.h"
#include "controller/volume_private.h"

static int set_source(const struct volume_create_request *request, struct plan *plan, struct err *err) {
    plan->record->source = request->source;
    if (request->source == CONTENT_EMPTY)
        return 0;
    plan->record->state = RECORD_COPYING;
    return record_set_text(&plan->record->source_id, request->source_id) < 0 ? err_set(err, -ENOMEM, "out of memory")
                                                                             : 0;
}

// A copy moves into an empty directory only: it must not mix with what is there.
static int check_room(struct share *share, const struct plan *plan, const struct nfs_fh *dir, int64_t deadline_ns,
                      struct err *err) {
    int r = volume_dir_is_empty(share, dir, deadline_ns, err);
    if (r == 0)
        return err_set(err, -EEXIST,
                       "directory '%.100s' on %s is not empty; a volume with a content source needs a new one",
                       plan->record->sub_dir, share->text);
    return r < 0 ? r : 0;
}

// Failures that surely left no record: nothing shall stay behind. After others the next create goes on.
static bool is_refusal(int r) {
    return r == -ENOSPC || r == -EDQUOT || r == -EACCES || r == -EPERM || r == -EROFS || r == -ENOMEM;
}

// The directory first, the record after it: once the record is there, the volume is.
static int make(struct share *share, const struct plan *plan, int64_t deadline_ns, struct err *err) {
    struct nfs_fh dir, again;
    bool fresh = false;
    int r = volume_dir_make(share, plan->record, deadline_ns, &dir, &fresh, err);
    if (r == 0 && !fresh && plan->record->source != CONTENT_EMPTY)
        r = check_room(share, plan, &dir, deadline_ns, err);
    if (r == 0)
        r = store_create(share, plan->record, deadline_ns, err);
    if (fresh && is_refusal(r))
        volume_dir_unmake(share, plan->record, deadline_ns);
    if (r < 0 || fresh)
        return r;
    // It was there before. If its volume is being deleted just now, it has moved away: see volume_dir_trash.
    return volume_dir_make(share, plan->record, deadline_ns, &again, &fresh, err);
}

// The same name again. A crash in destroy may have left the record without its directory.
static int check_existing(struct share *share, const struct plan *plan, const struct record *have, int64_t deadline_ns,
                          struct err *err) {
    struct nfs_fh dir;
    bool fresh = false;
    if (have->state == RECORD_DELETING)
        return err_set(err, -EAGAIN, "volume '%.80s' is being deleted; try again", have->name);
    int r = plan_compare(plan, have, err);
    if (r < 0 || have->state != RECORD_READY)
        return r;
    r = share_walk(share, have->sub_dir, deadline_ns, &dir, NULL, err);
    return r == -ENOENT ? volume_dir_make(share, have, deadline_ns, &dir, &fresh, err) : r;
}

static int create(struct volumes *volumes, const struct call_context *ctx, const struct volume_create_request *request,
                  struct volume_info *ret, struct err *err) {
    struct plan plan cleanup(plan_done) = {0};
    struct share *share cleanup(share_freep) = NULL;
    struct record *have cleanup(record_freep) = NULL;
    int64_t deadline_ns = share_deadline(ctx);
    int r = plan_make(volumes, request, &plan, err);
    if (r == 0)
        r = set_source(request, &plan, err);
    if (r == 0)
        r = shares_get(volumes->options.shares, &plan.location, true, deadline_ns, &share, err);
    if (r == 0)
        r = store_get(share, SHARED_VOLUME, plan.record->key, deadline_ns, &have, err);
    if (r == -ENOENT && !have && share) {
        r = volume_copy_check(volumes, request, &plan, deadline_ns, err);
        if (r == 0)
            r = make(share, &plan, deadline_ns, err);
        if (r == -EEXIST && (!err || !err->code)) // another controller was first
            r = store_get(share, SHARED_VOLUME, plan.record->key, deadline_ns, &have, err);
    }
    if (r == 0 && have)
        r = check_existing(share, &plan, have, deadline_ns, err);
    const struct record *volume = have ? have : plan.record;
    if (r == 0 && volume->state == RECORD_COPYING)
        r = volume_copy_run(volumes, share, volume, ctx, err);
    return r == 0 ? volume_fill_info(share, volume, ret, err) : r;
}

int volume_create(void *self, const struct call_context *ctx, const struct volume_create_request *request,
                  struct volume_info *ret, struct err *err) {
    struct err local = ERR_NONE; // its code tells a bare -EEXIST of the record from one that was explained
    err = err ? err : &local;
    err->code = 0;
    return volume_answer(create(self, ctx, request, ret, err), request->name, err);
}
