// SPDX-License-Identifier: Apache-2.0
// Open files and directories as integers: number → object, numbers never reused while the kernel may know them.
//
// Owns:    the slots, not the objects.
// Threads: any; one lock inside, a leaf.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

struct handle_slot {
    void *object; // NULL: free
    uint32_t generation, next_free;
};
struct handles {
    pthread_mutex_t lock;
    struct handle_slot *slots;
    uint32_t cap, free_head; // free_head: slot + 1, 0: none
};
#define HANDLES_INIT                                                                                                   \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

int handles_add(struct handles *h, void *object, uint64_t *ret) must_check; // -ENOMEM
void *handles_get(struct handles *h, uint64_t handle);                      // NULL when unknown
void *handles_remove(struct handles *h, uint64_t handle);                   // the object, NULL when unknown
void *handles_any(struct handles *h, uint64_t *ret);                        // some object, for tearing down
void handles_done(struct handles *h);
