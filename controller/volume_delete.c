// SPDX-License-Identifier: Apache-2.0
// DeleteVolume: under the record's lock; the data is out of sight before the record goes.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/volume_dir.h"
#include "controller/volume_private.h"

static int check_unused(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    if (record->node_count)
        return err_set(err, -EBUSY, "volume '%.80s' is published to node '%.60s'; unpublish it first", record->name,
                       record->nodes[0].node);
    for (size_t i = 0; i < record->pin_count; i++)
        if (volume_pin_counts(share, record->pins[i], deadline_ns))
            return err_set(err, -EBUSY, "volume '%.80s' is being copied (to %s); try again when the copy is done",
                           record->name, record->pins[i]);
    return 0;
}

static int drop_data(struct volumes *volumes, struct share *share, const struct record *record, int64_t deadline_ns,
                     char ret_trash[static NFS_NAME_MAX + 1], struct err *err) {
    char name[HASH_ID_LEN + 3];
    ret_trash[0] = '\0';
    if (record->state == RECORD_COPYING) {
        (void)snprintf(name, sizeof name, "v-%s", record->key);
        const struct tree_work *work = &volumes->options.work;
        int r = work->ops->copy_cancel(work->self, share, name, deadline_ns, err);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    switch ((enum on_delete)record->on_delete) {
    case ON_DELETE_RETAIN:
        return 0;
    case ON_DELETE_ARCHIVE:
        return volume_dir_archive(share, record, deadline_ns, err);
    case ON_DELETE_DELETE:
        break;
    }
    return volume_dir_trash(share, record, deadline_ns, ret_trash, err);
}

static int destroy(struct volumes *volumes, struct found *found, struct err *err) {
    struct lock *lock cleanup(lock_freep) = NULL;
    char name[HASH_ID_LEN + 3], trash[NFS_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "v-%s", found->id.key);
    int r = lock_wait(found->share, name, found->deadline_ns, &lock, err);
    if (r == 0)
        r = store_get(found->share, SHARED_VOLUME, found->id.key, found->deadline_ns, &found->record, err);
    if (r == 0)
        r = check_unused(found->share, found->record, found->deadline_ns, err);
    if (r == 0)
        r = drop_data(volumes, found->share, found->record, found->deadline_ns, trash, err);
    if (r < 0)
        return r;
    if (trash[0])
        volumes->options.work.ops->trash_added(volumes->options.work.self, found->share, trash);
    if (!lock_held(lock))
        return err_set(err, -EAGAIN, "the server of %s answers too slowly to delete a volume; try again",
                       found->share->text);
    return store_remove(found->share, SHARED_VOLUME, found->id.key, found->deadline_ns, err);
}

int volume_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct found found cleanup(found_done) = {0};
    int r = volume_locate(self, ctx, id, &found, err);
    if (r == 0)
        r = destroy(self, &found, err);
    return r == -ENOENT ? 0 : volume_answer(r, id, err); // what is not there is deleted
}
