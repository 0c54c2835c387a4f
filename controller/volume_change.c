// SPDX-License-Identifier: Apache-2.0
// Expand, modify, capacity and the question what is supported.
#include <errno.h>
#include <inttypes.h>

#include "controller/volume_dir.h"
#include "controller/volume_private.h"

// ---- expand: a volume's size is what its record says; it grows, and never shrinks -----------------------------

struct resize {
    int64_t required, limit, result;
};

static int resize_record(struct record *record, void *arg, struct err *err) {
    struct resize *resize = arg;
    if (record->state != RECORD_READY)
        return err_set(err, -EAGAIN, "volume '%.80s' is not ready; try again", record->name);
    if (resize->limit && record->bytes > resize->limit)
        return err_set(err, -ERANGE, "volume '%.80s' has %" PRId64 " bytes already, more than the limit of %" PRId64,
                       record->name, record->bytes, resize->limit);
    resize->result = record->bytes;
    if (resize->required <= record->bytes)
        return 1;
    record->bytes = resize->result = resize->required;
    return 0;
}

int volume_expand(void *self, const struct call_context *ctx, const char *id, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err) {
    struct found found cleanup(found_done) = {0};
    struct resize resize = {.required = required_bytes, .limit = limit_bytes};
    if (required_bytes < 0 || limit_bytes < 0 || (limit_bytes && limit_bytes < required_bytes))
        return err_set(err, -ERANGE, "the limit of %" PRId64 " bytes is below the %" PRId64 " required", limit_bytes,
                       required_bytes);
    int r = volume_locate(self, ctx, id, &found, err);
    if (r == 0)
        r = store_update(found.share, SHARED_VOLUME, found.id.key, found.deadline_ns, resize_record, &resize, err);
    if (r == 0)
        *ret_bytes = resize.result;
    return volume_answer(r, id, err);
}

// ---- modify -------------------------------------------------------------------------------------------------

static int modify_record(struct record *record, void *arg, struct err *err) {
    struct record before = *record;
    if (record->state != RECORD_READY)
        return err_set(err, -EAGAIN, "volume '%.80s' is not ready; try again", record->name);
    int r = plan_apply_mutable(record, arg, err);
    if (r < 0)
        return r;
    return before.on_delete == record->on_delete && before.mount_permissions == record->mount_permissions &&
           before.uid == record->uid && before.gid == record->gid;
}

// The record first: what it says is applied again by a repeated call, if this one dies in between.
static int modify(struct found *found, const struct string_map *parameters, struct err *err) {
    struct nfs_fh dir;
    struct nfs_attr attr = {0};
    int r = store_update(found->share, SHARED_VOLUME, found->id.key, found->deadline_ns, modify_record,
                         (void *)(uintptr_t)parameters, err);
    if (r == 0)
        r = store_get(found->share, SHARED_VOLUME, found->id.key, found->deadline_ns, &found->record, err);
    if (r < 0)
        return r;
    r = share_walk(found->share, found->record->sub_dir, found->deadline_ns, &dir, &attr, err);
    if (r == -ENOENT)
        return err_set(err, -EBUSY, "the directory '%.100s' of volume '%.80s' is missing; restore it",
                       found->record->sub_dir, found->record->name);
    return r < 0 ? r : volume_dir_set(found->share, found->record, &dir, &attr, found->deadline_ns, err);
}

int volume_modify(void *self, const struct call_context *ctx, const char *id, const struct string_map *parameters,
                  struct err *err) {
    struct found found cleanup(found_done) = {0};
    struct record scratch = {0};
    int r = plan_apply_mutable(&scratch, parameters, err); // wrong names and values are told before anything else
    if (r == 0)
        r = volume_locate(self, ctx, id, &found, err);
    if (r == 0)
        r = modify(&found, parameters, err);
    return volume_answer(r, id, err);
}

// ---- capacity -----------------------------------------------------------------------------------------------

static int ask_capacity(struct volumes *volumes, const struct share_location *location, int64_t deadline_ns,
                        int64_t *ret, struct err *err) {
    struct share *share cleanup(share_freep) = NULL;
    int r = shares_get(volumes->options.shares, location, true, deadline_ns, &share, err);
    if (r < 0)
        return r;
    struct nfs_call stat = {.op = NFS_FSSTAT, .fh = share->root, .deadline_ns = deadline_ns};
    r = share_call(share, &stat, "ask for the free space", err);
    uint64_t bytes = stat.fsstat.avail_bytes;
    *ret = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    return r;
}

// Without parameters: the most that one known share offers, since a volume lies on one share and several shares may
// lie on one file system.
static int any_capacity(struct volumes *volumes, int64_t deadline_ns, int64_t *ret, struct err *err) {
    struct share_location *locations = NULL;
    size_t count = 0;
    int r = shares_locations(volumes->options.shares, &locations, &count);
    if (r < 0)
        (void)err_set(err, r, "out of memory");
    *ret = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        int64_t bytes = 0;
        r = ask_capacity(volumes, &locations[i], deadline_ns, &bytes, err);
        *ret = bytes > *ret ? bytes : *ret;
    }
    shares_locations_done(locations, count);
    return r;
}

int volume_capacity(void *self, const struct call_context *ctx, const struct string_map *parameters,
                    const char *topology, struct capacity_info *ret, struct err *err) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    struct share_location location cleanup(share_location_done) = {0};
    int64_t deadline_ns = share_deadline(ctx);
    int64_t bytes = 0;
    int r;
    if (parameters->count == 0) {
        r = any_capacity(self, deadline_ns, &bytes, err);
    } else {
        r = shared_parameters_parse(parameters, &p, err);
        if (r == 0)
            r = shared_parameters_location(&p, &location, err);
        bool elsewhere = r == 0 && p.group.name && topology && !str_eq(topology, p.group.name);
        if (r == 0 && !elsewhere) // shares are reached from everywhere, volumes of a group from its nodes
            r = ask_capacity(self, &location, deadline_ns, &bytes, err);
    }
    if (r == 0)
        *ret = (struct capacity_info){.available_bytes = bytes};
    return volume_answer(r, "of a share", err);
}

int volume_supports(void *self, const struct volume_capability *capability, const struct string_map *parameters,
                    struct err *err) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    (void)self;
    int r = volume_check_capability(capability, err);
    return r < 0 || parameters->count == 0 ? r : shared_parameters_parse(parameters, &p, err);
}
