// SPDX-License-Identifier: Apache-2.0
// The layout of the index file, for the files index*.c and policy.c alone.
//
//     0                area: mutex, counters, volumes, processes, ghosts
//     BUCKETS_OFFSET   u32 a bucket: a slot number, 0 ends. Linear hashing: one bucket is split at a time
//     SLOTS_OFFSET     the objects, slots 1..used without a gap (the last one moves into a hole)
//
// Everything beyond the area is sparse, and given blocks before it is touched.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/cache/guard.h"
#include "lib/cache/index.h"

#define INDEX_MAGIC UINT64_C(0x78646e6977617431) // layout 1
#define INDEX_PAGE 4096u                         // the unit in which held bytes are counted
#define BUCKETS_START 1024u
#define GHOSTS 65536u
#define BUCKETS_OFFSET (UINT64_C(2) << 20)
#define SLOTS_OFFSET (BUCKETS_OFFSET + sizeof(uint32_t) * (uint64_t)INDEX_SLOTS_MAX)
#define INDEX_SIZE (SLOTS_OFFSET + sizeof(struct index_slot) * ((uint64_t)INDEX_SLOTS_MAX + 1))
#define GROW_BYTES (UINT64_C(256) << 10) // blocks are taken in such pieces

// Byte ranges of the file that are locked (open file description locks): nothing is stored there.
#define LOCK_PROCESSES (INT64_C(1) << 40)
#define LOCK_VOLUMES (INT64_C(2) << 40)
#define LOCK_WALK (INT64_C(3) << 40)
#define LOCK_NAMES (INT64_C(4) << 40)

struct index_slot { // 40 bytes
    struct cache_key key;
    uint32_t next;  // in the bucket
    uint32_t pages; // held
    uint32_t last;  // the volume's tick when it was last opened
    uint32_t opens;
    uint16_t volume;
    uint16_t flags;
    uint32_t spare;
};
#define SLOT_PINNED 1u
#define SLOT_SPOILT 2u

struct index_volume {
    char tag[136]; // "" when only the hash is known
    uint32_t hash;
    uint32_t used;
    uint64_t limit, bytes, objects, pinned_bytes, reserved;
    _Atomic uint64_t cache_bytes, origin_bytes, errors;
    uint64_t opens, open_hits, evicted_bytes, evicted_objects;
    // The policy's; see policy.h.
    uint64_t awake; // the tick of all volumes at its last open
    uint32_t tick;  // one an open
    uint32_t reuse; // opens between two of one object, the most seen of late
    uint32_t barren, barren_limit;
    uint32_t window_opens, window_hits, window_sampled, window_seen, window_reuse;
    uint32_t spare;
};

struct index_process {
    uint64_t memory, reserved;
    uint16_t volume; // that the reservation is of
    uint16_t used;
    uint32_t pid; // for people
};

struct index_ghost { // an object that was asked for and is not here, or was evicted
    uint32_t print;  // of key and volume
    uint32_t tick;   // the volume's
};

struct index_area {
    uint64_t magic;
    uint32_t slot_size, lock_size; // of another build: not ours to touch
    uint64_t boot;
    uint64_t clean; // nobody had it open: the pages on the disk are of one moment
    pthread_mutex_t lock;
    uint64_t tick; // one an open of any volume
    uint32_t used, bucket_count;
    uint64_t buckets_ready, slots_ready; // how many have blocks on the disk
    uint64_t bytes, reserved, written, freed, memory;
    uint32_t walk_next;
    _Atomic int64_t sick_until;
    char reason[160];
    struct index_volume volumes[INDEX_VOLUMES];
    struct index_process processes[INDEX_PROCESSES];
    struct index_ghost ghosts[GHOSTS];
};
_Static_assert(sizeof(struct index_area) <= BUCKETS_OFFSET, "the area overlaps the buckets");
_Static_assert(sizeof(struct index_slot) == 40, "memory an object");

struct index {
    const struct cache_io *io;
    int fd;
    struct index_area *area;
    struct guard guard;
    pthread_mutex_t own_lock; // instead of the area's, of those who waited for that when the index was lost
    bool user;                // has a slot of the process table
    uint32_t process;         // which
    uint64_t random;          // state of a generator, under the area's lock
    int64_t looked_ns;        // when `mounted` was looked up; under the area's lock
    bool mounted[INDEX_VOLUMES];
    bool own_volume[INDEX_VOLUMES]; // our own lock does not show to us
};

// Takes the area's lock, repairing what a dead process left; released at the end of the scope.
void index_lock(struct index *index);
void index_unlock(struct index *index);
static inline void index_unlockp(struct index *const *index) {
    index_unlock(*index);
}
// Nothing is asked of an index that lost pages, and nothing told: `value` is returned.
#define INDEX_SCOPE(index) INDEX_SCOPE_OR(index, )
#define INDEX_SCOPE_OR(index, value)                                                                                   \
    if (index_lost(index))                                                                                             \
        return value;                                                                                                  \
    struct index *const scoped_index_ cleanup(index_unlockp) __attribute__((unused)) = (index);                        \
    index_lock(index)

static inline uint32_t *index_bucket(const struct index *index, uint32_t i) {
    return (uint32_t *)(void *)((char *)index->area + BUCKETS_OFFSET) + i;
}
static inline struct index_slot *index_slot(const struct index *index, uint32_t slot) {
    return (struct index_slot *)(void *)((char *)index->area + SLOTS_OFFSET) + slot;
}

// With the lock held.
uint32_t index_slot_of(const struct index *index, const struct cache_key *key); // 0: none
void index_rebuild(struct index *index);                                        // buckets and sums, from the slots
int index_grow(struct index *index, uint64_t offset, uint64_t *ready, uint64_t wanted, size_t size) must_check;
void index_look_mounted(struct index *index);
uint64_t index_random(struct index *index);
void index_note_ghost(struct index *index, uint16_t volume, uint32_t print, uint32_t tick);

// OFD lock on one byte: F_RDLCK, F_WRLCK or F_UNLCK. False: somebody else has it.
bool index_byte_lock(int fd, short type, int64_t offset);
bool index_byte_held(int fd, int64_t offset, int64_t len); // by somebody else
