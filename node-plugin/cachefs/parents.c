// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/parents.h"

static struct parent *slot_of(struct parents *p, uint64_t id) {
    return &p->slots[(uint32_t)id % PARENTS_MAX];
}

void parents_put(struct parents *p, uint64_t id, uint64_t change, int64_t asked_ns, const struct nfs_attr *attr) {
    LOCK_SCOPE(&p->lock);
    struct parent *slot = slot_of(p, id);
    if (slot->id != id || slot->change < change)
        *slot = (struct parent){.id = id, .change = change, .told_ns = asked_ns, .attr = *attr};
}

bool parents_take(struct parents *p, uint64_t id, struct parent *ret) {
    LOCK_SCOPE(&p->lock);
    struct parent *slot = slot_of(p, id);
    if (slot->id != id)
        return false;
    *ret = *slot;
    slot->id = 0;
    return true;
}
