// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/handles.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

static int grow(struct handles *h) {
    uint32_t cap = h->cap ? h->cap * 2 : 64;
    struct handle_slot *slots = mem_realloc(h->slots, cap, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    memset(slots + h->cap, 0, (cap - h->cap) * sizeof *slots);
    for (uint32_t i = h->cap; i < cap; i++)
        slots[i].next_free = i + 1 < cap ? i + 2 : 0;
    h->free_head = h->cap + 1;
    h->slots = slots;
    h->cap = cap;
    return 0;
}

int handles_add(struct handles *h, void *object, uint64_t *ret) {
    LOCK_SCOPE(&h->lock);
    int r = h->free_head ? 0 : grow(h);
    if (r < 0)
        return r;
    uint32_t slot = h->free_head - 1;
    h->free_head = h->slots[slot].next_free;
    h->slots[slot].object = object;
    *ret = (uint64_t)++h->slots[slot].generation << 32 | slot;
    return 0;
}

static struct handle_slot *find(struct handles *h, uint64_t handle) {
    uint32_t slot = (uint32_t)handle;
    bool known = slot < h->cap && h->slots[slot].object && h->slots[slot].generation == (uint32_t)(handle >> 32);
    return known ? &h->slots[slot] : NULL;
}

void *handles_get(struct handles *h, uint64_t handle) {
    LOCK_SCOPE(&h->lock);
    struct handle_slot *slot = find(h, handle);
    return slot ? slot->object : NULL;
}

void *handles_remove(struct handles *h, uint64_t handle) {
    LOCK_SCOPE(&h->lock);
    struct handle_slot *slot = find(h, handle);
    if (!slot)
        return NULL;
    slot->next_free = h->free_head;
    h->free_head = (uint32_t)handle + 1;
    return take_ptr(slot->object);
}

void *handles_any(struct handles *h, uint64_t *ret) {
    LOCK_SCOPE(&h->lock);
    for (uint32_t i = 0; i < h->cap; i++) {
        if (h->slots[i].object) {
            *ret = (uint64_t)h->slots[i].generation << 32 | i;
            return h->slots[i].object;
        }
    }
    return NULL;
}

void handles_done(struct handles *h) {
    free(h->slots);
    h->slots = NULL;
    h->cap = h->free_head = 0;
}
