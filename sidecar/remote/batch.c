// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/batch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

static void drop(struct batch *batch, const char *key) {
    struct change *old = strmap_remove(&batch->changes, key);
    if (!old)
        return;
    batch->bytes -= (int64_t)(strlen(key) + old->len);
    free(old->value);
    free(old);
}

static int put(struct batch *batch, const char *key, struct change *change) {
    drop(batch, key);
    int r = change ? strmap_put(&batch->changes, key, change) : -ENOMEM;
    if (r < 0) {
        free(change ? change->value : NULL);
        free(change);
        return r;
    }
    batch->bytes += (int64_t)(strlen(key) + change->len);
    return 0;
}

int batch_put(struct batch *batch, const char *key, char *value, size_t len) {
    struct change *change = mem_zalloc(sizeof *change);
    if (!change) {
        free(value);
        return -ENOMEM;
    }
    *change = (struct change){value, len};
    return put(batch, key, change);
}

int batch_move(struct batch *into, struct batch *from) {
    const struct strmap_slot *slot;
    int r = 0;
    if (from->whole || !into->changes.len) {
        bool whole = into->whole || from->whole;
        batch_done(into);
        *into = *from;
        into->whole = whole;
        *from = (struct batch){0};
        return 0;
    }
    for (size_t i = 0; (slot = strmap_next(&from->changes, &i));) { // all of them, so that each has one owner
        int put_r = put(into, slot->key, slot->value);
        r = r < 0 ? r : put_r;
    }
    strmap_done(&from->changes);
    memcpy(into->id, from->id, sizeof into->id);
    *from = (struct batch){0};
    return r;
}

void batch_done(struct batch *batch) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&batch->changes, &i));) {
        free(((struct change *)slot->value)->value);
        free(slot->value);
    }
    strmap_done(&batch->changes);
    *batch = (struct batch){0};
}
