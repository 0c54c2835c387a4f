// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

struct arena_block {
    struct arena_block *next;
    size_t size, taken;
    alignas(max_align_t) char data[];
};

#define BLOCK_MIN ((size_t)4096 - sizeof(struct arena_block))
#define BLOCK_MAX ((size_t)256 * 1024)

// With AddressSanitizer every piece is a block of its own, so that running past its end is seen.
#if defined(__SANITIZE_ADDRESS__)
static const bool share_blocks = false;
#else
static const bool share_blocks = true;
#endif

void arena_init(struct arena *arena, size_t limit) {
    *arena = (struct arena){.limit = limit};
}

void arena_done(struct arena *arena) {
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t size) {
    size_t wanted = size;
    if (share_blocks) {
        size_t grown = arena->blocks ? 2 * arena->blocks->size : BLOCK_MIN;
        grown = grown > BLOCK_MAX ? BLOCK_MAX : grown;
        wanted = size > grown ? size : grown;
    }
    struct arena_block *block = mem_zalloc(sizeof *block + wanted);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    block->size = wanted;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size) {
    size_t align = alignof(max_align_t);
    if (size > arena->limit || arena->limit - size < arena->used + align) {
        arena->exhausted = true;
        return NULL;
    }
    size_t rounded = (size + align - 1) / align * align;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->taken < rounded) {
        block = add_block(arena, share_blocks ? rounded : size);
        if (!block)
            return NULL;
    }
    void *piece = block->data + block->taken;
    block->taken = share_blocks ? block->taken + rounded : block->size;
    arena->used += rounded;
    return piece;
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total)) {
        arena->exhausted = true;
        return NULL;
    }
    return arena_alloc(arena, total);
}

char *arena_strdup(struct arena *arena, const char *text) {
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static void *allocate(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

static void release(void *arena, void *piece) {
    (void)arena;
    (void)piece; // with the arena
}

ProtobufCAllocator arena_allocator(struct arena *arena) {
    return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = arena};
}
