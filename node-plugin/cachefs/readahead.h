// SPDX-License-Identifier: Apache-2.0
// What one open file will be asked for next.
//
// Why:     a reader that goes forward is served from what was fetched before it asked; one that jumps about must not make the
//          node fetch what nobody reads.
// Threads: the caller serialises.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define READAHEAD_FIRST (1u << 20)
#define READAHEAD_MOST (16u << 20) // 16 MiB: 100 Gbit/s at 1 ms

struct readahead {    // zero: nothing was read yet
    uint64_t reached; // the end of what was read
    uint64_t fetched; // the end of what was asked for ahead
    uint32_t window;  // bytes; 0: not going forward
    unsigned steps;   // reads in order so far
};

// A read of [offset, offset+len) of a file of `size` bytes. True: *ret_from..*ret_to is worth fetching now.
// The kernel sends several reads at once and not always in order: a little back or forth is still going forward.
bool readahead_next(struct readahead *r, uint64_t offset, uint64_t len, uint64_t size, uint64_t *ret_from,
                    uint64_t *ret_to);
bool readahead_is_forward(const struct readahead *r);
