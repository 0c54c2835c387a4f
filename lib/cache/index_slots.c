// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/cache/index_area.h"

static uint32_t hash_of(const struct cache_key *key) { // the key is a digest already
    uint32_t hash;
    memcpy(&hash, key->bytes, sizeof hash);
    return hash;
}

static uint32_t power_below(uint32_t n) { // the largest power of two that is not above n
    return 1u << (31 - __builtin_clz(n | 1));
}

// Linear hashing: buckets [0, count); those that are not split yet hold what would go to their upper half.
static uint32_t bucket_number(uint32_t hash, uint32_t count) {
    uint32_t low = power_below(count);
    uint32_t i = hash & (2 * low - 1);
    return i < count ? i : i & (low - 1);
}

static uint32_t *bucket_of(const struct index *index, const struct cache_key *key) {
    return index_bucket(index, bucket_number(hash_of(key), index->area->bucket_count));
}

uint32_t index_slot_of(const struct index *index, const struct cache_key *key) {
    uint32_t slot = *bucket_of(index, key);
    while (slot && !key_eq(&index_slot(index, slot)->key, key))
        slot = index_slot(index, slot)->next;
    return slot;
}

static void link_slot(struct index *index, uint32_t slot) {
    uint32_t *bucket = bucket_of(index, &index_slot(index, slot)->key);
    index_slot(index, slot)->next = *bucket;
    *bucket = slot;
}

// Where the number of the slot stands: in its bucket, or in the slot before it.
static uint32_t *link_to(struct index *index, uint32_t slot) {
    uint32_t *at = bucket_of(index, &index_slot(index, slot)->key);
    while (*at && *at != slot) // 0: the mapping was lost just now
        at = &index_slot(index, *at)->next;
    return at;
}

static int split_bucket(struct index *index) {
    struct index_area *area = index->area;
    if (area->used <= area->bucket_count || area->bucket_count >= INDEX_SLOTS_MAX)
        return 0;
    uint32_t added = area->bucket_count;
    int r = index_grow(index, BUCKETS_OFFSET, &area->buckets_ready, (uint64_t)added + 1, sizeof(uint32_t));
    if (r < 0)
        return r;
    uint32_t from = added - power_below(added);
    uint32_t slot = *index_bucket(index, from);
    *index_bucket(index, from) = 0;
    *index_bucket(index, added) = 0;
    area->bucket_count++;
    while (slot) {
        uint32_t next = index_slot(index, slot)->next;
        link_slot(index, slot);
        slot = next;
    }
    return 0;
}

static uint32_t pages_of(uint64_t bytes) {
    uint64_t pages = bytes / INDEX_PAGE + (bytes % INDEX_PAGE != 0);
    return pages > UINT32_MAX ? UINT32_MAX : (uint32_t)pages;
}

// Adds (sign 1) or takes away what a slot holds from the sums.
static void account(struct index_area *area, const struct index_slot *slot, uint32_t pages, int sign) {
    struct index_volume *volume = &area->volumes[slot->volume];
    uint64_t bytes = (uint64_t)pages * INDEX_PAGE;
    uint64_t change = sign > 0 ? bytes : -bytes;
    area->bytes += change;
    volume->bytes += change;
    if (slot->flags & SLOT_PINNED)
        volume->pinned_bytes += change;
}

static void count_in(struct index_area *area, const struct index_slot *slot) {
    account(area, slot, slot->pages, 1);
    area->volumes[slot->volume].objects++;
}

static void count_out(struct index_area *area, const struct index_slot *slot) {
    account(area, slot, slot->pages, -1);
    area->volumes[slot->volume].objects--;
}

void index_rebuild(struct index *index) {
    struct index_area *area = index->area;
    for (unsigned i = 0; i < INDEX_VOLUMES; i++) {
        struct index_volume *v = &area->volumes[i];
        v->bytes = v->objects = v->pinned_bytes = v->reserved = 0;
    }
    area->bytes = area->reserved = area->memory = 0;
    for (unsigned i = 0; i < INDEX_PROCESSES; i++) {
        const struct index_process *p = &area->processes[i];
        area->memory += p->memory;
        area->reserved += p->reserved;
        area->volumes[p->volume].reserved += p->reserved;
    }
    memset(index_bucket(index, 0), 0, sizeof(uint32_t) * area->bucket_count);
    uint32_t kept = 0;
    for (uint32_t i = 1; i <= area->used; i++) {
        struct index_slot slot = *index_slot(index, i);
        if (slot.volume >= INDEX_VOLUMES || index_slot_of(index, &slot.key)) // torn, or on its way into a hole
            continue;
        *index_slot(index, ++kept) = slot;
        link_slot(index, kept);
        count_in(area, &slot);
    }
    area->used = kept;
}

bool index_find(struct index *index, const struct cache_key *key, struct index_object *ret) {
    INDEX_SCOPE_OR(index, false);
    uint32_t at = index_slot_of(index, key);
    if (!at)
        return false;
    const struct index_slot *slot = index_slot(index, at);
    *ret = (struct index_object){.volume = slot->volume,
                                 .pinned = slot->flags & SLOT_PINNED,
                                 .spoilt = slot->flags & SLOT_SPOILT,
                                 .bytes = (uint64_t)slot->pages * INDEX_PAGE};
    return true;
}

static int add_slot(struct index *index, const struct cache_key *key, uint16_t volume, uint32_t *ret) {
    struct index_area *area = index->area;
    if (area->used >= INDEX_SLOTS_MAX)
        return -ENOSPC;
    int r = index_grow(index, SLOTS_OFFSET, &area->slots_ready, (uint64_t)area->used + 2, sizeof(struct index_slot));
    if (r < 0)
        return r;
    uint32_t at = area->used + 1;
    struct index_slot *slot = index_slot(index, at);
    *slot = (struct index_slot){.key = *key, .volume = volume, .last = area->volumes[volume].tick};
    area->used = at;
    link_slot(index, at);
    count_in(area, slot);
    *ret = at;
    return split_bucket(index);
}

int index_put(struct index *index, const struct cache_key *key, const struct index_object *object) {
    INDEX_SCOPE_OR(index, -EIO);
    uint32_t at = index_slot_of(index, key);
    if (!at) {
        int r = add_slot(index, key, object->volume, &at);
        if (!at)
            return r;
    }
    struct index_slot *slot = index_slot(index, at);
    count_out(index->area, slot);
    slot->volume = object->volume;
    slot->pages = pages_of(object->bytes);
    slot->flags = object->pinned ? SLOT_PINNED : 0;
    count_in(index->area, slot);
    return 0;
}

void index_charge(struct index *index, const struct cache_key *key, uint64_t bytes) {
    INDEX_SCOPE(index);
    uint32_t at = index_slot_of(index, key);
    if (!at)
        return;
    struct index_slot *slot = index_slot(index, at);
    uint32_t pages = pages_of(bytes);
    slot->pages += pages;
    account(index->area, slot, pages, 1);
}

void index_pin(struct index *index, const struct cache_key *key, bool pinned) {
    INDEX_SCOPE(index);
    uint32_t at = index_slot_of(index, key);
    if (!at)
        return;
    struct index_slot *slot = index_slot(index, at);
    count_out(index->area, slot);
    slot->flags = (uint16_t)((slot->flags & ~SLOT_PINNED) | (pinned ? SLOT_PINNED : 0));
    count_in(index->area, slot);
}

void index_spoil(struct index *index, const struct cache_key *key) {
    INDEX_SCOPE(index);
    uint32_t at = index_slot_of(index, key);
    if (at)
        index_slot(index, at)->flags |= SLOT_SPOILT;
}

static uint32_t print_of(const struct index_slot *slot) {
    uint32_t print;
    memcpy(&print, slot->key.bytes + 4, sizeof print);
    return print;
}

uint64_t index_remove(struct index *index, const struct cache_key *key, bool evicted) {
    INDEX_SCOPE_OR(index, 0);
    struct index_area *area = index->area;
    uint32_t at = index_slot_of(index, key);
    if (!at)
        return 0;
    struct index_slot *slot = index_slot(index, at);
    uint64_t bytes = (uint64_t)slot->pages * INDEX_PAGE;
    struct index_volume *volume = &area->volumes[slot->volume];
    count_out(area, slot);
    area->freed += bytes;
    if (evicted) {
        volume->evicted_bytes += bytes;
        volume->evicted_objects++;
        index_note_ghost(index, slot->volume, print_of(slot), slot->last);
    }
    *link_to(index, at) = slot->next;
    if (at != area->used) { // the last one moves into the hole
        *link_to(index, area->used) = at;
        *slot = *index_slot(index, area->used);
    }
    area->used--;
    return bytes;
}

uint32_t index_count(struct index *index) {
    INDEX_SCOPE_OR(index, 0);
    return index->area->used;
}

bool index_at(struct index *index, uint32_t position, struct cache_key *ret_key, uint16_t *ret_volume) {
    INDEX_SCOPE_OR(index, false);
    if (position >= index->area->used)
        return false;
    const struct index_slot *slot = index_slot(index, position + 1);
    *ret_key = slot->key;
    *ret_volume = slot->volume;
    return true;
}

int index_check(struct index *index) {
    INDEX_SCOPE_OR(index, -EIO);
    uint64_t bytes = 0, objects = 0, by_volume = 0;
    for (uint32_t i = 1; i <= index->area->used; i++) {
        bytes += (uint64_t)index_slot(index, i)->pages * INDEX_PAGE;
        if (index_slot_of(index, &index_slot(index, i)->key) != i)
            return -EIO;
    }
    for (unsigned i = 0; i < INDEX_VOLUMES; i++) {
        objects += index->area->volumes[i].objects;
        by_volume += index->area->volumes[i].bytes;
    }
    return bytes == index->area->bytes && bytes == by_volume && objects == index->area->used ? 0 : -EIO;
}
