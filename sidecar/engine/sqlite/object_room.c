// SPDX-License-Identifier: Apache-2.0
// Room for uploads under way. The quota is kept when an object is committed; until then its bytes are on the disk and in no
// count. So a workspace's uploads together may hold as much as its quota once more, and no upload begins beyond that.
#include <errno.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/object.h"

// Under the lock. What the uploads of a workspace hold; NULL: out of memory.
static int64_t *held_by(struct uploads *uploads, const char *workspace) {
    int64_t *held = strmap_get(&uploads->held, workspace);
    if (held)
        return held;
    held = mem_zalloc(sizeof *held);
    if (held && strmap_put(&uploads->held, workspace, held) < 0) {
        free(held);
        return NULL;
    }
    return held;
}

int object_room_take(struct object_upload *u, int64_t bytes, struct err *err) {
    int64_t quota = catalog_quota(&u->store->catalog, u->workspace);
    struct uploads *uploads = &u->store->uploads;
    LOCK_SCOPE(&uploads->lock);
    int64_t *held = held_by(uploads, u->workspace);
    if (!held)
        return err_set(err, -ENOMEM, "no memory for an upload");
    if (quota > 0 && bytes > quota - *held)
        return err_set(err, -EDQUOT,
                       "workspace '%s' may have %lld bytes, its uploads under way have %lld; %lld more do not fit",
                       u->workspace, (long long)quota, (long long)*held, (long long)bytes);
    *held += bytes;
    u->room += bytes;
    return 0;
}

void object_room_give_back(struct object_upload *u) {
    struct uploads *uploads = &u->store->uploads;
    if (u->room == 0)
        return;
    LOCK_SCOPE(&uploads->lock);
    int64_t *held = strmap_get(&uploads->held, u->workspace);
    *held -= u->room;
    u->room = 0;
    if (*held == 0)
        free(strmap_remove(&uploads->held, u->workspace));
}

void object_room_done(struct uploads *uploads) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&uploads->held, &i));)
        free(slot->value);
    strmap_done(&uploads->held);
    (void)pthread_mutex_destroy(&uploads->lock);
}
