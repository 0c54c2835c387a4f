// SPDX-License-Identifier: Apache-2.0
// The fake class's snapshots and groups of them.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/fakes/fake_class_private.h"

static void describe_snapshot(const struct fake_object *snapshot, struct snapshot_info *ret) {
    *ret = (struct snapshot_info){.id = mem_strdup(snapshot->id),
                                  .source_volume_id = mem_strdup(snapshot->source),
                                  .group_id = snapshot->group[0] ? mem_strdup(snapshot->group) : NULL,
                                  .size_bytes = 1,
                                  .created_ns = INT64_C(1700000000123456789),
                                  .ready = true};
}

static int snapshot_create(void *self, const struct call_context *ctx, const char *name, const char *source_volume_id,
                           const struct string_map *parameters, struct snapshot_info *ret, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)parameters;
    int r = fake_enter(fake, ctx, err);
    struct fake_object *snapshot = fake_object_by_name(fake->snapshots, name);
    if (r == 0 && snapshot && !str_eq(snapshot->source, source_volume_id))
        r = err_set(err, -EEXIST, "snapshot '%s' is of another volume", name);
    if (r == 0 && !fake_object_by_id(fake->volumes, source_volume_id))
        r = err_set(err, -ENOENT, "no '%s'", source_volume_id);
    if (r < 0)
        return r;
    if (!snapshot) {
        snapshot = fake_object_add(fake, fake->snapshots, "snap", name);
        if (!snapshot)
            return fake_full(err);
        (void)snprintf(snapshot->source, sizeof snapshot->source, "%s", source_volume_id);
    }
    describe_snapshot(snapshot, ret);
    return 0;
}

static int snapshot_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    fake_object_drop(fake_object_by_id(fake->snapshots, id));
    return fake_enter(fake, ctx, err);
}

static int snapshot_get(void *self, const struct call_context *ctx, const char *id, struct snapshot_info *ret,
                        struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    const struct fake_object *snapshot = fake_object_by_id(fake->snapshots, id);
    if (r == 0 && !snapshot)
        r = fake_missing("snap-", id, err);
    if (r == 0)
        describe_snapshot(snapshot, ret);
    return r;
}

static int emit_snapshot(const struct fake_object *snapshot, snapshot_emit_fn emit, void *arg) {
    struct snapshot_info info cleanup(snapshot_info_done) = {0};
    describe_snapshot(snapshot, &info);
    return emit(&info, arg);
}

static int snapshot_list(void *self, const struct call_context *ctx, const char *after, const char *source_volume_id,
                         snapshot_emit_fn emit, void *arg, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    if (r == 0 && source_volume_id && !fake_object_by_id(fake->volumes, source_volume_id))
        r = fake_missing("vol-", source_volume_id, err);
    for (const char *last = after; r == 0;) {
        const struct fake_object *next = NULL;
        for (size_t i = 0; i < FAKE_CLASS_MAX; i++) {
            const struct fake_object *s = &fake->snapshots[i];
            if (s->used && (!last || strcmp(s->id, last) > 0) && (!next || strcmp(s->id, next->id) < 0))
                next = s;
        }
        if (!next)
            break;
        last = next->id;
        if (!source_volume_id || str_eq(next->source, source_volume_id))
            r = emit_snapshot(next, emit, arg);
    }
    return r;
}

static int emit_group(const struct fake_class *fake, const char *id, snapshot_emit_fn emit, void *arg) {
    int r = 0;
    for (size_t i = 0; i < FAKE_CLASS_MAX && r == 0; i++)
        if (fake->snapshots[i].used && str_eq(fake->snapshots[i].group, id))
            r = emit_snapshot(&fake->snapshots[i], emit, arg);
    return r;
}

static int group_create(void *self, const struct call_context *ctx, const char *name, const char *const *volume_ids,
                        size_t count, const struct string_map *parameters, char **ret_id, int64_t *ret_created_ns,
                        snapshot_emit_fn emit, void *arg, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)parameters;
    int r = fake_enter(fake, ctx, err);
    for (size_t i = 0; i < count && r == 0; i++)
        if (!fake_object_by_id(fake->volumes, volume_ids[i]))
            r = err_set(err, -ENOENT, "no '%s'", volume_ids[i]);
    if (r < 0)
        return r;
    struct fake_object *group = fake_object_by_name(fake->groups, name);
    for (size_t i = 0; !group && i <= count; i++) {
        if (i == count) {
            group = fake_object_add(fake, fake->groups, "group", name);
            if (!group)
                return fake_full(err);
            break;
        }
        struct fake_object *member = fake_object_add(fake, fake->snapshots, "snap", name);
        if (!member)
            return fake_full(err);
        (void)snprintf(member->source, sizeof member->source, "%s", volume_ids[i]);
        (void)snprintf(member->group, sizeof member->group, "group-%06u", fake->next + (unsigned)(count - 1 - i));
    }
    *ret_id = mem_strdup(group->id);
    *ret_created_ns = INT64_C(1700000000123456789);
    return emit_group(fake, group->id, emit, arg);
}

static int group_get(void *self, const struct call_context *ctx, const char *id, int64_t *ret_created_ns,
                     snapshot_emit_fn emit, void *arg, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    *ret_created_ns = INT64_C(1700000000123456789);
    return r < 0                                 ? r
           : fake_object_by_id(fake->groups, id) ? emit_group(fake, id, emit, arg)
                                                 : fake_missing("group-", id, err);
}

static int group_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    for (size_t i = 0; i < FAKE_CLASS_MAX && r == 0; i++)
        if (fake->snapshots[i].used && str_eq(fake->snapshots[i].group, id))
            fake_object_drop(&fake->snapshots[i]);
    fake_object_drop(fake_object_by_id(fake->groups, id));
    return r;
}

const struct snapshot_ops fake_snapshot_ops = {snapshot_create, snapshot_destroy, snapshot_get, snapshot_list,
                                               group_create,    group_get,        group_destroy};
