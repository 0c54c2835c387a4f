// SPDX-License-Identifier: Apache-2.0
// Room: the limit of the volume, and what must stay free on the disk, in bytes and in inodes.
//
// The disk is asked ten times a second; in between, what was stored, reserved and given up since is counted with. We stop a
// little before the share that must stay free, so that the cache alone never brings the node to its limit. When others fill the
// disk beyond it, room is given back, at last even of objects that are in use by a job.
#include <errno.h>
#include <stdio.h>

#include "lib/cache/object.h"

#define DISK_FRESH_NS (100 * NS_PER_MS)
#define EVICTIONS_MOST 64 // for one reservation
#define RELIEF_MOST 4096  // at a time
#define RELIEF_PERCENT 3  // what nobody needs is given up until so much more is free

struct room { // of the disk; bytes may be short of nothing, so they are signed
    int64_t total, free;
    int64_t inodes, free_inodes; // 0: the file system does not count them
};

static int look(struct cache *cache, bool fresh, struct room *ret) {
    LOCK_SCOPE(&cache->space_lock);
    int64_t now = clock_monotonic(cache->clock);
    struct index_room room = index_room(cache->index, cache->volume);
    if (fresh || now - cache->disk_ns >= DISK_FRESH_NS) {
        int r = io_stat_fs(cache->io, cache->dir_fd, &cache->disk);
        if (r < 0)
            return r;
        cache->disk_ns = now;
        cache->disk_room = room;
    }
    const struct statvfs *disk = &cache->disk;
    ret->total = (int64_t)(disk->f_blocks * disk->f_frsize);
    ret->free = (int64_t)(disk->f_bavail * disk->f_frsize) - (int64_t)room.all_reserved -
                (int64_t)(room.all_written - cache->disk_room.all_written) +
                (int64_t)(room.all_freed - cache->disk_room.all_freed);
    ret->inodes = (int64_t)disk->f_files;
    ret->free_inodes = (int64_t)disk->f_favail;
    return 0;
}

// Is the disk fuller than `percent` (in tenths) must stay free, once `bytes` more are stored?
static bool beyond(const struct room *room, unsigned tenths, uint64_t bytes) {
    if (room->free - (int64_t)bytes < room->total / 1000 * tenths)
        return true;
    return room->inodes > 0 && room->free_inodes < room->inodes / 1000 * tenths;
}

static bool evict_one(struct cache *cache, int volume, enum index_victims victims) {
    for (int i = 0; i < 16; i++) { // some may be in use
        struct cache_key key;
        uint64_t bytes;
        if (!index_pick(cache->index, volume, victims, &key))
            return false;
        int r = evict_object(cache, &key, &bytes);
        if (r == 0 || r == -ENOENT)
            return true;
        if (r == -EBUSY)
            atomic_store(&cache->wants_room, true);
        else
            (void)space_error(cache, r, "evict");
    }
    return false;
}

// What is in the way of `bytes` more: nothing (0), the volume's limit (1), the disk (2), -errno.
static int obstacle(struct cache *cache, uint64_t bytes, bool fresh) {
    struct index_room room = index_room(cache->index, cache->volume);
    if (room.limit && room.held + room.reserved + bytes > room.limit)
        return 1;
    struct room disk;
    int r = look(cache, fresh, &disk);
    if (r < 0)
        return r;
    if (beyond(&disk, cache->keep_free * 5, 0))
        return -ENOSPC; // others need it more
    return beyond(&disk, cache->keep_free * 10 + cache->keep_free / 2 + 1, bytes) ? 2 : 0;
}

int space_take(struct cache *cache, uint64_t bytes, bool reserve) {
    if (index_sick(cache->index, clock_monotonic(cache->clock)))
        return -EIO;
    struct index_room room = index_room(cache->index, cache->volume);
    if (room.limit && bytes > room.limit)
        return -ENOSPC;
    for (int i = 0; i < EVICTIONS_MOST; i++) {
        int what = obstacle(cache, bytes, i == EVICTIONS_MOST / 2);
        if (what < 0)
            return what == -ENOSPC ? what : space_error(cache, what, "ask for free space");
        if (what == 0) {
            if (reserve)
                index_reserve(cache->index, bytes);
            return 0;
        }
        if (!evict_one(cache, what == 1 ? cache->volume : -1, INDEX_VICTIMS_DUE))
            return -ENOSPC;
    }
    return -ENOSPC;
}

bool cache_wants_room(struct cache *cache) {
    return atomic_exchange(&cache->wants_room, false);
}

void space_relieve(struct cache *cache) {
    struct room disk;
    unsigned keep = cache->keep_free * 10;
    if (look(cache, true, &disk) < 0 || !beyond(&disk, keep, 0))
        return;
    index_reap(cache->index);
    for (int i = 0; i < RELIEF_MOST; i++) {
        if (look(cache, i % 64 == 63, &disk) < 0 || !beyond(&disk, keep + RELIEF_PERCENT * 10, 0))
            return;
        if (evict_one(cache, -1, INDEX_VICTIMS_DUE))
            continue;
        if (!beyond(&disk, keep, 0) || !evict_one(cache, -1, INDEX_VICTIMS_ANY))
            break;
    }
    while (beyond(&disk, keep, 0) && walk_step(cache, 256) && evict_one(cache, -1, INDEX_VICTIMS_ANY))
        if (look(cache, true, &disk) < 0)
            return;
}

int space_error(struct cache *cache, int code, const char *what) {
    switch (code) {
    case -ENOSPC:
    case -EDQUOT:
    case -EIO:
    case -EROFS:
    case -ENOENT: // the directory is gone
    case -ENOTDIR:
    case -ESTALE:
    case -EFBIG:
    case -ENODEV:
    case -ENXIO: {
        char reason[160];
        (void)snprintf(reason, sizeof reason, "cannot %s: %s", what, err_name(code));
        index_count_error(cache->index, cache->volume);
        index_set_sick(cache->index, clock_monotonic(cache->clock) + CACHE_SICK_NS, reason);
        return code;
    }
    default:
        return code;
    }
}
