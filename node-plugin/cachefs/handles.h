// SPDX-License-Identifier: Apache-2.0
// Open files and directories as integers: number → object, numbers never reused while the kernel may know them. Beside
// each object stands a record in shared memory, from which a later daemon makes the object again under the same number.
//
// Owns:    the slots and the records, not the objects.
// Threads: any; one lock inside, a leaf.
#pragma once

#include "node-plugin/cachefs/slots.h"

struct handles {
    pthread_mutex_t lock;
    struct slots slots;
    void **objects; // by slot; NULL: free
    uint32_t cap;
};

// In `bytes` of zeroed or inherited memory; a record begins with a `struct slot`.
void handles_open(struct handles *h, void *memory, size_t bytes, size_t record_size);
// `record` without its slot is copied before the handle is known. -ENOMEM, -ENFILE.
int handles_add(struct handles *h, void *object, const void *record, uint64_t *ret) must_check;
void *handles_get(struct handles *h, uint64_t handle);    // NULL when unknown
void *handles_record(struct handles *h, uint64_t handle); // NULL when unknown
void *handles_remove(struct handles *h, uint64_t handle); // the object, NULL when unknown
void *handles_any(struct handles *h, uint64_t *ret);      // some object, for tearing down
void handles_done(struct handles *h);

// Of a former daemon: the handles after `after` (0: the first) that have a record; 0: no more.
uint64_t handles_next(struct handles *h, uint64_t after);
int handles_restore(struct handles *h, uint64_t handle, void *object) must_check; // -ENOMEM
void handles_drop(struct handles *h, uint64_t handle);                            // the record of one not restored
