// SPDX-License-Identifier: Apache-2.0
// A map from strings to pointers: open addressing, insertion order not kept.
//
// Owns:    copies of its keys; never its values.
// Threads: none of its own; the owner locks.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

struct strmap_slot {
    char *key; // NULL: free
    void *value;
};
struct strmap {
    struct strmap_slot *slots;
    size_t cap, len;
};

void *strmap_get(const struct strmap *map, const char *key);                 // NULL when absent
int strmap_put(struct strmap *map, const char *key, void *value) must_check; // replaces; -ENOMEM; value not NULL
void *strmap_remove(struct strmap *map, const char *key);                    // the value that was there, or NULL
void strmap_done(struct strmap *map);                                        // frees the keys and the table
// for (size_t i = 0; (slot = strmap_next(map, &i));) — no changes while walking
const struct strmap_slot *strmap_next(const struct strmap *map, size_t *cursor);
