// SPDX-License-Identifier: Apache-2.0
// Mapped files on a disk that fails: a page that cannot be read, or stored to, becomes memory of this process instead of SIGBUS.
//
// Why:     the kernel answers a fault with SIGBUS when the disk gives EIO, and a store to a page that was clean when the file
//          system is read-only, full or shut down. That would end a process that holds mounts, for the loss of a hint.
// Owns:    the process's handler of SIGBUS, from the first guard on; what is no guarded page goes to the handler before it.
// Threads: any. The failing page keeps its content where the page cache still has it, and is zero else.
// Order:   its lock is a leaf; nothing guarded is touched with it.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

struct guard { // zero, then embedded in the owner of the mapping
    char *at;
    size_t size;
    _Atomic bool failed;
    unsigned char *replaced; // a bit a page
    struct guard *next, **before;
};

int guard_add(struct guard *guard, void *at, size_t size) must_check; // -ENOMEM
void guard_remove(struct guard *guard);                               // before munmap; also of a guard never added
// Some page is not the file's any more: what is stored there reaches nobody else.
static inline bool guard_failed(const struct guard *guard) {
    return atomic_load_explicit(&guard->failed, memory_order_relaxed);
}
