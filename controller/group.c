// SPDX-License-Identifier: Apache-2.0
// Volume group snapshots: the group's record names the members before they are made, so that a create that died is
// completed by the next one, and a delete finds them all.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/snapshot_private.h"
#include "lib/base/mem.h"

#define GROUP_MAX 256 // volumes of one group

struct group { // a create call
    struct snapshots *snapshots;
    struct share *share; // of all members
    size_t count;
    struct snapshot_place *sources;
    char **names; // of the members
    struct record **records;
    char key[HASH_ID_LEN + 1], id[CSI_ID_MAX + 1];
    int64_t deadline_ns;
};

static void group_done(struct group *group) {
    for (size_t i = 0; i < group->count; i++) {
        if (group->sources)
            snapshot_place_done(&group->sources[i]);
        if (group->names)
            free(group->names[i]);
        if (group->records)
            (void)record_free(group->records[i]);
    }
    free(group->sources);
    free(group->names);
    free(group->records);
}

static int check_member(struct group *group, size_t i, const char *volume_id, struct err *err) {
    struct record *volume cleanup(record_freep) = NULL;
    struct snapshot_place *source = &group->sources[i];
    int r = store_get(source->share, SHARED_VOLUME, source->id.key, source->deadline_ns, &volume, err);
    if (r < 0)
        return r == -ENOENT ? err_set(err, r, "source volume '%.128s' does not exist", volume_id) : r;
    if (!str_eq(source->share->text, group->sources[0].share->text))
        return err_set(err, -EINVAL, "volume '%.100s' is on another share than the first one (%s); a group has one",
                       volume_id, group->sources[0].share->text);
    for (size_t k = 0; k < i; k++)
        if (str_eq(group->sources[k].id.key, source->id.key))
            return err_set(err, -EINVAL, "volume '%.128s' is named twice", volume_id);
    group->names[i] = mem_printf("group %s of volume %s", group->key, source->id.key);
    return group->names[i] ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int plan(struct group *group, const struct call_context *ctx, const char *name, const char *const *volume_ids,
                const struct string_map *parameters, struct err *err) {
    hash_id(name, strlen(name), group->key);
    group->sources = mem_array(group->count, sizeof *group->sources);
    group->names = mem_array(group->count, sizeof *group->names);
    group->records = mem_array(group->count, sizeof *group->records);
    if (!group->sources || !group->names || !group->records)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < group->count; i++) {
        int r = snapshot_locate(group->snapshots, ctx, SHARED_VOLUME, volume_ids[i], &group->sources[i], err);
        if (r == -ENOENT)
            return err_set(err, r, "source volume '%.128s' does not exist", volume_ids[i]);
        if (r == 0)
            r = check_member(group, i, volume_ids[i], err);
        if (r < 0)
            return r;
    }
    group->share = group->sources[0].share;
    group->deadline_ns = group->sources[0].deadline_ns;
    int r = snapshot_check_parameters(parameters, group->share, err);
    return r < 0 ? r : shared_id_format(SHARED_GROUP, group->key, &group->share->location, group->id, err);
}

static int member_id(const struct group *group, size_t i, char ret[CSI_ID_MAX + 1], struct err *err) {
    char key[HASH_ID_LEN + 1];
    hash_id(group->names[i], strlen(group->names[i]), key);
    return shared_id_format(SHARED_SNAPSHOT, key, &group->share->location, ret, err);
}

static int compare(const struct group *group, const struct record *have, const char *name, struct err *err) {
    bool same = have->member_count == group->count;
    for (size_t i = 0; same && i < group->count; i++) {
        char id[CSI_ID_MAX + 1];
        int r = member_id(group, i, id, err);
        if (r < 0)
            return r;
        same = false;
        for (size_t k = 0; !same && k < have->member_count; k++)
            same = str_eq(have->members[k], id);
    }
    return same ? 0 : err_set(err, -EEXIST, "snapshot group '%.80s' exists already, of other volumes", name);
}

static int make_record(struct group *group, const char *name, struct record **ret, struct err *err) {
    struct record *record cleanup(record_freep) = record_new(SHARED_GROUP, name);
    if (!record)
        return err_set(err, -ENOMEM, "out of memory");
    record->created_ns = clock_wall(group->snapshots->options.clock);
    for (size_t i = 0; i < group->count; i++) {
        char id[CSI_ID_MAX + 1];
        int r = member_id(group, i, id, err);
        if (r < 0)
            return r;
        if (record_list_add(&record->members, &record->member_count, id) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    int r = store_create(group->share, record, group->deadline_ns, err);
    if (r == 0)
        *ret = take_ptr(record);
    return r;
}

static int find_or_make(struct group *group, const char *name, struct record **ret, struct err *err) {
    int r = store_get(group->share, SHARED_GROUP, group->key, group->deadline_ns, ret, err);
    if (r == -ENOENT)
        r = make_record(group, name, ret, err);
    if (r == -EEXIST)
        r = store_get(group->share, SHARED_GROUP, group->key, group->deadline_ns, ret, err);
    return r == 0 ? compare(group, *ret, name, err) : r;
}

static int make_members(struct group *group, snapshot_emit_fn emit, void *arg, struct err *err) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < group->count; i++)
        r = snapshot_begin(group->snapshots, &group->sources[i], group->names[i], group->id, &group->records[i], err);
    int64_t until_ns = snapshot_until(group->snapshots, group->deadline_ns);
    for (size_t i = 0; r == 0 && i < group->count; i++) {
        struct snapshot_info info cleanup(snapshot_info_done) = {0};
        r = snapshot_settle(group->snapshots, group->share, group->records[i], until_ns, group->deadline_ns, &info,
                            err);
        if (r == 0)
            r = emit(&info, arg);
    }
    return r;
}

int group_create(void *self, const struct call_context *ctx, const char *name, const char *const *volume_ids,
                 size_t count, const struct string_map *parameters, char **ret_id, int64_t *ret_created_ns,
                 snapshot_emit_fn emit, void *arg, struct err *err) {
    if (count == 0 || count > GROUP_MAX)
        return err_set(err, -EINVAL, "a snapshot group takes 1 to %d volumes, not %zu", GROUP_MAX, count);
    struct group group cleanup(group_done) = {.snapshots = self, .count = count};
    struct record *record cleanup(record_freep) = NULL;
    char *id cleanup_free = NULL;
    int r = snapshot_check_parameters(parameters, NULL, err);
    if (r == 0)
        r = plan(&group, ctx, name, volume_ids, parameters, err);
    if (r == 0)
        r = find_or_make(&group, name, &record, err);
    if (r == 0)
        r = make_members(&group, emit, arg, err);
    if (r < 0)
        return snapshot_answer(r, err);
    id = mem_strdup(group.id);
    if (!id)
        return err_set(err, -ENOMEM, "out of memory");
    *ret_created_ns = record->created_ns;
    *ret_id = take_ptr(id);
    return 0;
}

static int find(struct snapshots *snapshots, const struct call_context *ctx, const char *id,
                struct snapshot_place *place, struct record **ret, struct err *err) {
    int r = snapshot_locate(snapshots, ctx, SHARED_GROUP, id, place, err);
    return r < 0 ? r : store_get(place->share, SHARED_GROUP, place->id.key, place->deadline_ns, ret, err);
}

int group_get(void *self, const struct call_context *ctx, const char *id, int64_t *ret_created_ns,
              snapshot_emit_fn emit, void *arg, struct err *err) {
    struct snapshot_place place cleanup(snapshot_place_done) = {0};
    struct record *record cleanup(record_freep) = NULL;
    int r = find(self, ctx, id, &place, &record, err);
    if (r == -ENOENT)
        return err_set(err, r, "snapshot group '%.128s' does not exist", id);
    for (size_t i = 0; r == 0 && i < record->member_count; i++) {
        struct snapshot_info info cleanup(snapshot_info_done) = {0};
        r = snapshot_get(self, ctx, record->members[i], &info, err);
        if (r == 0)
            r = emit(&info, arg);
        else if (r == -ENOENT) // not made yet, or deleted by itself
            r = 0;
    }
    if (r == 0) {
        *ret_created_ns = record->created_ns;
        if (err)
            *err = ERR_NONE;
    }
    return snapshot_answer(r, err);
}

int group_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct snapshot_place place cleanup(snapshot_place_done) = {0};
    struct record *record cleanup(record_freep) = NULL;
    int r = find(self, ctx, id, &place, &record, err);
    for (size_t i = 0; r == 0 && i < record->member_count; i++)
        r = snapshot_destroy(self, ctx, record->members[i], err);
    if (r == 0) {
        struct lock *lock cleanup(lock_freep) = NULL;
        char name[HASH_ID_LEN + 3];
        (void)snprintf(name, sizeof name, "g-%s", place.id.key);
        r = lock_wait(place.share, name, place.deadline_ns, &lock, err);
        if (r == 0)
            r = store_remove(place.share, SHARED_GROUP, place.id.key, place.deadline_ns, err);
    }
    return r == -ENOENT ? 0 : snapshot_answer(r, err); // what is not there is deleted
}
