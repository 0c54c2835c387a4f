// SPDX-License-Identifier: Apache-2.0
// The memory of one call: taken piece by piece, released at once, never above a limit.
//
// Why:     a decoded message is a tree of many small pieces whose number the sender chooses; one limit for all of it
//          stops a small message from becoming a large tree, and replies need no destructor.
// Owns:    every piece, until arena_done.
// Threads: one at a time.
// Fails:   NULL when out of memory or beyond the limit; `failed` and `exhausted` tell which.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; // the newest first
    size_t used, limit;         // bytes handed out, and how many may be
    bool exhausted;             // the limit was met
    bool failed;                // the system had no memory
};

void arena_init(struct arena *arena, size_t limit);
void arena_done(struct arena *arena);
#define cleanup_arena cleanup(arena_done)

void *arena_alloc(struct arena *arena, size_t size) must_check; // zeroed, aligned for any type
void *arena_array(struct arena *arena, size_t count, size_t size) must_check;
char *arena_strdup(struct arena *arena, const char *text) must_check; // NULL in: NULL out
// For protobuf-c: pieces come from the arena, its frees do nothing. Valid as long as `arena`.
ProtobufCAllocator arena_allocator(struct arena *arena);
