// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/handles.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

void handles_open(struct handles *h, void *memory, size_t bytes, size_t record_size) {
    *h = (struct handles){.lock = PTHREAD_MUTEX_INITIALIZER};
    slots_open(&h->slots, memory, bytes, record_size);
}

static int grow(struct handles *h, uint32_t slot) {
    uint32_t cap = h->cap ? h->cap : 64;
    while (cap <= slot)
        cap *= 2;
    if (cap == h->cap)
        return 0;
    void **objects = mem_realloc(h->objects, cap, sizeof *objects);
    if (!objects)
        return -ENOMEM;
    memset(objects + h->cap, 0, (cap - h->cap) * sizeof *objects);
    h->objects = objects;
    h->cap = cap;
    return 0;
}

static uint64_t number_of(const struct handles *h, uint32_t slot) {
    return (uint64_t)((struct slot *)slots_at(&h->slots, slot))->generation << 32 | slot;
}

int handles_add(struct handles *h, void *object, const void *record, uint64_t *ret) {
    LOCK_SCOPE(&h->lock);
    uint32_t slot = slots_take(&h->slots);
    if (!slot)
        return -ENFILE;
    int r = grow(h, slot);
    if (r < 0) {
        slots_give(&h->slots, slot);
        return r;
    }
    memcpy((char *)slots_at(&h->slots, slot) + sizeof(struct slot), (const char *)record + sizeof(struct slot),
           h->slots.size - sizeof(struct slot));
    h->objects[slot] = object;
    *ret = number_of(h, slot);
    slots_publish(&h->slots, slot);
    return 0;
}

static uint32_t find(struct handles *h, uint64_t handle) {
    uint32_t slot = (uint32_t)handle;
    bool known = slot && slot < h->cap && h->objects[slot] && number_of(h, slot) == handle;
    return known ? slot : 0;
}

void *handles_get(struct handles *h, uint64_t handle) {
    LOCK_SCOPE(&h->lock);
    uint32_t slot = find(h, handle);
    return slot ? h->objects[slot] : NULL;
}

void *handles_record(struct handles *h, uint64_t handle) {
    LOCK_SCOPE(&h->lock);
    uint32_t slot = (uint32_t)handle;
    return slots_is_live(&h->slots, slot) && number_of(h, slot) == handle ? slots_at(&h->slots, slot) : NULL;
}

void *handles_remove(struct handles *h, uint64_t handle) {
    LOCK_SCOPE(&h->lock);
    uint32_t slot = find(h, handle);
    if (!slot)
        return NULL;
    slots_give(&h->slots, slot);
    return take_ptr(h->objects[slot]);
}

void *handles_any(struct handles *h, uint64_t *ret) {
    LOCK_SCOPE(&h->lock);
    for (uint32_t i = 0; i < h->cap; i++) {
        if (h->objects[i]) {
            *ret = number_of(h, i);
            return h->objects[i];
        }
    }
    return NULL;
}

void handles_done(struct handles *h) {
    free(h->objects);
    h->objects = NULL;
    h->cap = 0;
    slots_done(&h->slots);
}

uint64_t handles_next(struct handles *h, uint64_t after) {
    uint32_t slot = slots_next(&h->slots, (uint32_t)after);
    return slot ? number_of(h, slot) : 0;
}

int handles_restore(struct handles *h, uint64_t handle, void *object) {
    LOCK_SCOPE(&h->lock);
    int r = grow(h, (uint32_t)handle);
    if (r == 0)
        h->objects[(uint32_t)handle] = object;
    return r;
}

void handles_drop(struct handles *h, uint64_t handle) {
    LOCK_SCOPE(&h->lock);
    slots_give(&h->slots, (uint32_t)handle);
}
