// SPDX-License-Identifier: Apache-2.0
#include "lib/base/strmap.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

// FNV-1a, 64 bit: keys are our own identifiers, not chosen to collide.
static uint64_t hash_key(const char *key) {
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * UINT64_C(1099511628211);
    return h;
}

// The slot that holds the key, or the free one where it would go. The table is never full.
static struct strmap_slot *find(const struct strmap *map, const char *key) {
    size_t i = hash_key(key) & (map->cap - 1);
    while (map->slots[i].key && strcmp(map->slots[i].key, key) != 0)
        i = (i + 1) & (map->cap - 1);
    return &map->slots[i];
}

static int grow(struct strmap *map) {
    struct strmap bigger = {.cap = map->cap ? map->cap * 2 : 16, .len = map->len};
    bigger.slots = mem_array(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i].key)
            *find(&bigger, map->slots[i].key) = map->slots[i];
    free(map->slots);
    *map = bigger;
    return 0;
}

void *strmap_get(const struct strmap *map, const char *key) {
    return map->cap ? find(map, key)->value : NULL;
}

int strmap_put(struct strmap *map, const char *key, void *value) {
    if (map->cap) {
        struct strmap_slot *there = find(map, key);
        if (there->key) {
            there->value = value;
            return 0;
        }
    }
    if (map->len * 4 >= map->cap * 3) {
        int r = grow(map);
        if (r < 0)
            return r;
    }
    char *copy = mem_strdup(key);
    if (!copy)
        return -ENOMEM;
    *find(map, key) = (struct strmap_slot){copy, value};
    map->len++;
    return 0;
}

void *strmap_remove(struct strmap *map, const char *key) {
    if (!map->cap)
        return NULL;
    struct strmap_slot *slot = find(map, key);
    if (!slot->key)
        return NULL;
    void *value = slot->value;
    free(slot->key);
    *slot = (struct strmap_slot){0};
    map->len--;
    // Entries behind the gap move up, so that no probe stops early at it.
    size_t i = (size_t)(slot - map->slots);
    for (i = (i + 1) & (map->cap - 1); map->slots[i].key; i = (i + 1) & (map->cap - 1)) {
        struct strmap_slot moved = map->slots[i];
        map->slots[i] = (struct strmap_slot){0};
        *find(map, moved.key) = moved;
    }
    return value;
}

void strmap_done(struct strmap *map) {
    for (size_t i = 0; i < map->cap; i++)
        free(map->slots[i].key);
    free(map->slots);
    *map = (struct strmap){0};
}

const struct strmap_slot *strmap_next(const struct strmap *map, size_t *cursor) {
    while (*cursor < map->cap) {
        const struct strmap_slot *slot = &map->slots[(*cursor)++];
        if (slot->key)
            return slot;
    }
    return NULL;
}
