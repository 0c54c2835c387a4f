// SPDX-License-Identifier: Apache-2.0
// A table of equal records in shared memory that another process can take over, whenever this one died.
//
// Why:     a daemon may be killed between any two instructions. A record counts from slots_publish on, which is one
//          store; everything else (which slots are free) is found out anew by whoever opens the table next.
// Owns:    nothing of the memory; it belongs to the caller (state.h).
// Threads: any; one lock inside, a leaf. A record belongs to whoever took it.
//
// Every record begins with a `struct slot`. Slots are numbered from 1; 0 is none.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

struct slot {
    atomic_uint live;    // 0: what follows means nothing
    uint32_t generation; // grows each time the slot is taken, also across processes
    uint32_t next_free;
    uint32_t spare;
};

struct slots_area; // at the start of the memory
struct slots {
    pthread_mutex_t lock;
    struct slots_area *area;
    size_t size; // of a record
    uint32_t max, free_head, count;
};

// Opens the table in `bytes` of zeroed or inherited memory.
void slots_open(struct slots *slots, void *memory, size_t bytes, size_t record_size);
void slots_done(struct slots *slots);
uint32_t slots_take(struct slots *slots) must_check; // a zeroed record, not published; 0: all are taken
void *slots_at(const struct slots *slots, uint32_t index);
void slots_publish(struct slots *slots, uint32_t index);
void slots_give(struct slots *slots, uint32_t index);           // taken, published or not
uint32_t slots_next(const struct slots *slots, uint32_t after); // the next published one; 0: no more
bool slots_is_live(const struct slots *slots, uint32_t index);  // also for a number from elsewhere
uint32_t slots_count(struct slots *slots);                      // taken ones
