// SPDX-License-Identifier: Apache-2.0
// The sidecar of an object that is not complete: which blocks are there, one bit a block, mapped by every process.
//
// Why:     a bit set by one process is seen by all at once; and after a crash it must be known which bits to believe.
// Owns:    the mapping. The file stays until the object is durable.
// Threads: any; bits are atomic and only ever set, but by map_revive.
// Fails:   -ENOENT no sidecar of this object and boot, -errno of the disk. The disk space is taken when the sidecar is
//          made, so that setting a bit cannot fail.
//
// Two bitmaps: `present` is true in the boot that the header names; `durable` always. A bit goes into `durable` only after
// fdatasync of the data that it tells of.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/cache/record.h"

struct map; // opaque

// All four are of the object with `record` (its size and nonce). With map_make and map_revive the caller has the name's lock.
int map_attach(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
               uint64_t boot, struct map **ret) must_check;
int map_make(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
             uint64_t boot, struct map **ret) must_check; // or attaches to the one that is there
// What an earlier boot left: from now on present is what was durable.
int map_revive(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
               uint64_t boot, struct map **ret) must_check;
struct map *map_free(struct map *map);
DEFINE_CLEANUP(map)

uint64_t map_blocks_of(uint64_t size);
bool map_has(const struct map *map, uint64_t first, uint64_t count);
uint64_t map_next_missing(const struct map *map, uint64_t from);   // the number of blocks when there is none
uint64_t map_set(struct map *map, uint64_t first, uint64_t count); // returns how many were new
uint64_t map_count(const struct map *map);                         // blocks that are there

// The two halves of making durable: what is present now; and, after fdatasync of the data, that it is durable.
int map_snapshot(const struct map *map, uint64_t **ret_bits) must_check; // to be freed
void map_set_durable(struct map *map, const uint64_t *bits);
