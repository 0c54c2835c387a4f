// SPDX-License-Identifier: Apache-2.0
// The slow walk that fills an index that started empty: 65,536 directories, some at a time, by one process of the node.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/cache/object.h"

static int take_up(struct cache *cache, const struct cache_key *key) {
    struct index_object object;
    if (index_find(cache->index, key, &object))
        return 0;
    char name[OBJECT_NAME_MAX];
    key_name(key, name);
    int fd cleanup_close = io_open(cache->io, cache->objects_fd, name, O_RDONLY);
    struct record record;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return 0; // gone meanwhile
    object = (struct index_object){.volume = cache->volume, .bytes = (uint64_t)st.st_blocks * 512};
    if (record_read(cache->io, fd, &record) == 0) { // without one it only takes room; eviction knows it all the same
        object.pinned = record.pinned;
        int r = index_volume_by_hash(cache->index, record.volume, &object.volume);
        if (r < 0)
            return r;
    }
    return index_put(cache->index, key, &object);
}

static int walk_directory(struct cache *cache, unsigned number) {
    char name[8];
    (void)snprintf(name, sizeof name, "%02x/%02x", number >> 8, number & 255);
    int fd = openat(cache->objects_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return -ENOMEM;
    }
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        struct cache_key key;
        if (key_parse(entry->d_name, &key))
            r = take_up(cache, &key);
    }
    (void)closedir(dir);
    return r;
}

static bool has_upper(struct cache *cache, unsigned upper) {
    char name[8];
    (void)snprintf(name, sizeof name, "%02x", upper);
    return faccessat(cache->objects_fd, name, F_OK, 0) == 0;
}

bool walk_step(struct cache *cache, unsigned directories) {
    uint32_t next = index_walk_next(cache->index);
    if (next >= WALK_END)
        return false;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < directories && next < WALK_END; i++) {
        if (next % 256 == 0 && !has_upper(cache, next >> 8))
            next += 256;
        else if ((r = walk_directory(cache, next)) == 0)
            next++;
    }
    index_walk_done(cache->index, next);
    return r == 0;
}
