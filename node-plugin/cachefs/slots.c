// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/slots.h"

#include <string.h>

struct slots_area {
    atomic_uint used; // slots 1..used were taken at least once
    uint32_t spare[15];
};

static struct slot *slot_at(const struct slots *s, uint32_t index) {
    return (struct slot *)(void *)((char *)(s->area + 1) + s->size * (index - 1));
}

void slots_open(struct slots *s, void *memory, size_t bytes, size_t record_size) {
    *s = (struct slots){.area = memory, .size = record_size};
    (void)pthread_mutex_init(&s->lock, NULL);
    size_t max = (bytes - sizeof *s->area) / record_size;
    s->max = max < UINT32_MAX ? (uint32_t)max : UINT32_MAX - 1;
    uint32_t used = atomic_load(&s->area->used);
    for (uint32_t i = used < s->max ? used : s->max; i > 0; i--) {
        if (atomic_load(&slot_at(s, i)->live)) {
            s->count++;
            continue;
        }
        slot_at(s, i)->next_free = s->free_head;
        s->free_head = i;
    }
}

void slots_done(struct slots *s) {
    if (s->area)
        (void)pthread_mutex_destroy(&s->lock);
    s->area = NULL;
}

uint32_t slots_take(struct slots *s) {
    LOCK_SCOPE(&s->lock);
    uint32_t index = s->free_head;
    if (index)
        s->free_head = slot_at(s, index)->next_free;
    else if (atomic_load(&s->area->used) < s->max)
        index = atomic_fetch_add(&s->area->used, 1) + 1;
    else
        return 0;
    struct slot *slot = slot_at(s, index);
    slot->generation++;
    memset((char *)slot + sizeof *slot, 0, s->size - sizeof *slot);
    s->count++;
    return index;
}

void *slots_at(const struct slots *s, uint32_t index) {
    return slot_at(s, index);
}

void slots_publish(struct slots *s, uint32_t index) {
    atomic_store(&slot_at(s, index)->live, 1); // everything that was written to the record comes before it
}

void slots_give(struct slots *s, uint32_t index) {
    LOCK_SCOPE(&s->lock);
    struct slot *slot = slot_at(s, index);
    atomic_store(&slot->live, 0);
    slot->next_free = s->free_head;
    s->free_head = index;
    s->count--;
}

bool slots_is_live(const struct slots *s, uint32_t index) {
    return index && index <= atomic_load(&s->area->used) && atomic_load(&slot_at(s, index)->live);
}

uint32_t slots_next(const struct slots *s, uint32_t after) {
    uint32_t used = atomic_load(&s->area->used);
    for (uint32_t i = after + 1; i <= used && i <= s->max; i++)
        if (atomic_load(&slot_at(s, i)->live))
            return i;
    return 0;
}

uint32_t slots_count(struct slots *s) {
    LOCK_SCOPE(&s->lock);
    return s->count;
}
