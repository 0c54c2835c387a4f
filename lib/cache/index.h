// SPDX-License-Identifier: Apache-2.0
// What all processes of a cache directory know together: which objects there are and when they were used, the volumes and
// their figures, who reserved what, and whether the disk is sick. One file, mapped by all.
//
// Why:     eviction, limits and figures need an overview, but a start must not scan ten million files.
// Owns:    the mapping, one slot of the process table, and (index_volume_take) the lock that tells that a volume is mounted.
// Threads: any. One robust mutex in the mapping guards it; a process that dies inside leaves it to the next one, which
//          rebuilds what hangs together (EOWNERDEAD).
// Fails:   -ENOSPC when the file cannot grow. The index is a hint: an object that it does not know is taken up when met,
//          one that it knows but the disk does not have is forgotten when met. After a crash of the machine it starts
//          empty, and a slow walk in the background fills it again (walk.h).
// Order:   its mutex is a leaf.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/cache/record.h"

#define INDEX_VOLUMES 1024u
#define INDEX_PROCESSES 2048u
#define INDEX_SLOTS_MAX (1u << 25) // objects
#define INDEX_NAME "index"

struct index; // opaque; index_area.h

// `dir_fd`: the cache directory. With `make` it is made when missing, and this process becomes one of its users.
// Without: read only, -ENOENT when there is none.
int index_open(const struct cache_io *io, int dir_fd, uint64_t boot, bool make, struct index **ret,
               struct err *err) must_check;
struct index *index_free(struct index *index); // the last user marks it clean
DEFINE_CLEANUP(index)

// ---- volumes. The hash is that of the tag.
int index_volume_take(struct index *index, const char *tag, uint64_t limit, uint16_t *ret, struct err *err) must_check;
int index_volume_by_hash(struct index *index, uint32_t hash, uint16_t *ret) must_check; // made nameless when not known
bool index_volume_mounted(struct index *index, uint16_t volume); // looked up at most once a second
void index_count_open(struct index *index, uint16_t volume, const struct cache_key *key, bool hit);
void index_count_bytes(struct index *index, uint16_t volume, uint64_t from_cache, uint64_t from_origin);
void index_count_error(struct index *index, uint16_t volume);

// ---- objects. Bytes are counted in units of 4 KiB, rounded up.
struct index_object {
    uint16_t volume;
    bool pinned;
    bool spoilt;    // its file must not be believed, and could not be taken away
    uint64_t bytes; // held
};
bool index_find(struct index *index, const struct cache_key *key, struct index_object *ret);
// Makes or corrects it. -ENOSPC
int index_put(struct index *index, const struct cache_key *key, const struct index_object *object) must_check;
void index_charge(struct index *index, const struct cache_key *key, uint64_t bytes); // more is held now
void index_pin(struct index *index, const struct cache_key *key, bool pinned);
void index_spoil(struct index *index, const struct cache_key *key);
// `evicted`: counted as such. Bytes it held.
uint64_t index_remove(struct index *index, const struct cache_key *key, bool evicted);
uint32_t index_count(struct index *index);
bool index_at(struct index *index, uint32_t position, struct cache_key *ret_key, uint16_t *ret_volume); // 0-based
int index_check(struct index *index); // tests: 0 when every slot is found by its key and all sums agree, else -EIO

// ---- eviction
enum index_victims {
    INDEX_VICTIMS_DUE, // what may be given up for others' need: see policy.h
    INDEX_VICTIMS_ANY, // whatever is not pinned
};
// `volume` < 0: of any. False: none was found.
bool index_pick(struct index *index, int volume, enum index_victims victims, struct cache_key *ret);
void index_spare(struct index *index, const struct cache_key *key); // it is in use: not the next victim again
void index_missed(struct index *index, uint16_t volume, const struct cache_key *key); // asked for and not here

// ---- room
struct index_room {
    uint64_t limit, held, reserved;                // of the volume
    uint64_t all_reserved, all_written, all_freed; // of all; the latter two only ever grow
};
struct index_room index_room(struct index *index, uint16_t volume);
// For the volume that this process took.
void index_reserve(struct index *index, uint64_t bytes);
void index_unreserve(struct index *index, uint64_t bytes, bool written);
bool index_memory_take(struct index *index, uint64_t bytes, uint64_t limit);
void index_memory_give(struct index *index, uint64_t bytes);
void index_reap(struct index *index); // takes back what processes had that died

// ---- the disk's state
void index_set_sick(struct index *index, int64_t until_ns, const char *reason);
bool index_sick(struct index *index, int64_t now_ns); // cheap; also when it is lost
// The disk lost pages of it, or takes no stores to it any more: this process uses it no longer.
bool index_lost(const struct index *index);
// Where the walk that fills an empty index stands: the next of the 65,536 directories; 65,536: nothing to do.
uint32_t index_walk_next(struct index *index);
void index_walk_done(struct index *index, uint32_t next);
bool index_walk_lock(struct index *index); // false: another process walks. Held until index_walk_unlock or death
void index_walk_unlock(struct index *index);

// ---- the lock on a name: who makes, replaces, revives or removes an object has it. -EBUSY when it cannot be had in time.
int index_name_lock(struct index *index, const struct cache_key *key, bool wait) must_check;
void index_name_unlock(struct index *index, const struct cache_key *key);

// ---- figures
void index_read_figures(struct index *index, struct cache_disk *ret_disk, struct cache_figures *ret, size_t *ret_count);
int index_fd(const struct index *index);
