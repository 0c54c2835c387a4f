// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/cache/index_area.h"

#define WALK_DONE 65536u

// The slot of the volume with this hash, made when there is none; INDEX_VOLUMES when the table is full.
static uint16_t volume_slot(struct index *index, uint32_t hash) {
    struct index_area *area = index->area;
    uint16_t unused = INDEX_VOLUMES;
    for (uint16_t i = 0; i < INDEX_VOLUMES; i++) {
        const struct index_volume *v = &area->volumes[i];
        if (v->used && v->hash == hash)
            return i;
        if (!v->used && unused == INDEX_VOLUMES)
            unused = i;
    }
    // Of volumes that were removed long ago nothing is left but figures.
    for (uint16_t i = 0; i < INDEX_VOLUMES && unused == INDEX_VOLUMES; i++)
        if (!area->volumes[i].objects && !area->volumes[i].reserved &&
            !index_byte_held(index->fd, LOCK_VOLUMES + i, 1) && !index->own_volume[i])
            unused = i;
    if (unused < INDEX_VOLUMES)
        area->volumes[unused] = (struct index_volume){.hash = hash, .used = 1};
    return unused;
}

int index_volume_take(struct index *index, const char *tag, uint64_t limit, uint16_t *ret, struct err *err) {
    INDEX_SCOPE_OR(index, -EIO);
    uint16_t slot = volume_slot(index, volume_hash(tag));
    if (slot == INDEX_VOLUMES)
        return err_set(err, -EUSERS, "%u volumes share this cache directory, more than it can count", INDEX_VOLUMES);
    if (!index_byte_lock(index->fd, F_RDLCK, LOCK_VOLUMES + slot))
        return err_set(err, -EINVAL, "the cache's file system has no byte-range locks: take ext4 or XFS");
    struct index_volume *volume = &index->area->volumes[slot];
    (void)snprintf(volume->tag, sizeof volume->tag, "%s", tag);
    volume->limit = limit;
    volume->awake = index->area->tick;
    index->own_volume[slot] = true;
    index->area->processes[index->process].volume = slot;
    *ret = slot;
    return 0;
}

int index_volume_by_hash(struct index *index, uint32_t hash, uint16_t *ret) {
    INDEX_SCOPE_OR(index, -EIO);
    uint16_t slot = volume_slot(index, hash);
    *ret = slot;
    return slot == INDEX_VOLUMES ? -EUSERS : 0;
}

void index_look_mounted(struct index *index) {
    int64_t now = clock_monotonic(&clock_system);
    if (now - index->looked_ns < NS_PER_S)
        return;
    index->looked_ns = now;
    for (uint16_t i = 0; i < INDEX_VOLUMES; i++)
        index->mounted[i] =
            index->own_volume[i] || (index->area->volumes[i].used && index_byte_held(index->fd, LOCK_VOLUMES + i, 1));
}

bool index_volume_mounted(struct index *index, uint16_t volume) {
    INDEX_SCOPE_OR(index, true);
    index_look_mounted(index);
    return index->mounted[volume];
}

void index_count_bytes(struct index *index, uint16_t volume, uint64_t from_cache, uint64_t from_origin) {
    struct index_volume *v = &index->area->volumes[volume];
    (void)atomic_fetch_add_explicit(&v->cache_bytes, from_cache, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&v->origin_bytes, from_origin, memory_order_relaxed);
}

void index_count_error(struct index *index, uint16_t volume) {
    (void)atomic_fetch_add_explicit(&index->area->volumes[volume].errors, 1, memory_order_relaxed);
}

struct index_room index_room(struct index *index, uint16_t volume) {
    INDEX_SCOPE_OR(index, (struct index_room){0});
    const struct index_area *area = index->area;
    const struct index_volume *v = &area->volumes[volume];
    return (struct index_room){.limit = v->limit,
                               .held = v->bytes,
                               .reserved = v->reserved,
                               .all_reserved = area->reserved,
                               .all_written = area->written,
                               .all_freed = area->freed};
}

void index_reserve(struct index *index, uint64_t bytes) {
    INDEX_SCOPE(index);
    struct index_process *own = &index->area->processes[index->process];
    own->reserved += bytes;
    index->area->reserved += bytes;
    index->area->volumes[own->volume].reserved += bytes;
}

void index_unreserve(struct index *index, uint64_t bytes, bool written) {
    INDEX_SCOPE(index);
    struct index_process *own = &index->area->processes[index->process];
    if (bytes > own->reserved)
        bytes = own->reserved;
    own->reserved -= bytes;
    index->area->reserved -= bytes;
    index->area->volumes[own->volume].reserved -= bytes;
    if (written)
        index->area->written += bytes;
}

// Of processes that died: their locks are gone, what they had is not.
static void reap(struct index *index) {
    struct index_area *area = index->area;
    for (uint32_t i = 0; i < INDEX_PROCESSES; i++) {
        struct index_process *p = &area->processes[i];
        bool own = index->user && i == index->process;
        if (!p->used || own || index_byte_held(index->fd, LOCK_PROCESSES + i, 1))
            continue;
        area->memory -= p->memory;
        area->reserved -= p->reserved;
        area->volumes[p->volume].reserved -= p->reserved;
        *p = (struct index_process){0};
    }
}

void index_reap(struct index *index) {
    INDEX_SCOPE(index);
    reap(index);
}

bool index_memory_take(struct index *index, uint64_t bytes, uint64_t limit) {
    INDEX_SCOPE_OR(index, false);
    struct index_area *area = index->area;
    if (bytes > limit)
        return false;
    if (area->memory > limit - bytes)
        reap(index);
    if (area->memory > limit - bytes)
        return false;
    area->processes[index->process].memory += bytes;
    area->memory += bytes;
    return true;
}

void index_memory_give(struct index *index, uint64_t bytes) {
    INDEX_SCOPE(index);
    struct index_process *own = &index->area->processes[index->process];
    if (bytes > own->memory)
        bytes = own->memory;
    own->memory -= bytes;
    index->area->memory -= bytes;
}

void index_set_sick(struct index *index, int64_t until_ns, const char *reason) {
    INDEX_SCOPE(index);
    atomic_store(&index->area->sick_until, until_ns);
    (void)snprintf(index->area->reason, sizeof index->area->reason, "%s", reason);
}

bool index_sick(struct index *index, int64_t now_ns) {
    return index_lost(index) || now_ns < atomic_load_explicit(&index->area->sick_until, memory_order_relaxed);
}

uint32_t index_walk_next(struct index *index) {
    INDEX_SCOPE_OR(index, WALK_DONE);
    return index->area->walk_next;
}

void index_walk_done(struct index *index, uint32_t next) {
    INDEX_SCOPE(index);
    index->area->walk_next = next;
}
