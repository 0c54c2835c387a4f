// SPDX-License-Identifier: Apache-2.0
// What processes that mount nothing ask: figures of the directory, and that room be made.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/cache/object.h"

static int read_disk(int dir_fd, struct cache_disk *ret) {
    struct statvfs disk;
    int r = io_stat_fs(&cache_io_system, dir_fd, &disk);
    if (r < 0)
        return r;
    ret->total_bytes = disk.f_blocks * disk.f_frsize;
    ret->free_bytes = disk.f_bavail * disk.f_frsize;
    ret->total_inodes = disk.f_files;
    ret->free_inodes = disk.f_favail;
    return 0;
}

int cache_read_figures(const char *dir, struct cache_disk *ret_disk, struct cache_figures **ret, size_t *ret_count,
                       struct err *err) {
    *ret_disk = (struct cache_disk){0};
    int dir_fd cleanup_close = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir_fd < 0 ? -errno : read_disk(dir_fd, ret_disk);
    if (r < 0)
        return err_set(err, r, "cannot read cache directory '%s': %s", dir, err_name(r));
    struct index *index cleanup(index_freep) = NULL;
    r = index_open(&cache_io_system, dir_fd, cache_io_boot(&cache_io_system), false, &index, err);
    if (r < 0)
        return r;
    struct cache_figures *all cleanup_free = mem_array(INDEX_VOLUMES, sizeof *all);
    if (!all)
        return err_set(err, -ENOMEM, "out of memory");
    index_read_figures(index, ret_disk, all, ret_count);
    r = io_ask_disk(index_fd(index));
    if (r < 0 || index_lost(index)) {
        ret_disk->sick = true;
        (void)snprintf(ret_disk->reason, sizeof ret_disk->reason, "cannot read the disk: %s",
                       err_name(r < 0 ? r : -EIO));
    }
    *ret = take_ptr(all);
    return 0;
}

static int find_volume(struct cache *cache, const char *tag, int *ret, struct err *err) {
    *ret = -1;
    if (!tag)
        return 0;
    uint16_t volume = 0;
    int r = index_volume_by_hash(cache->index, volume_hash(tag), &volume);
    *ret = volume;
    return r < 0 ? err_set(err, r, "the cache's table of volumes is full") : 0;
}

int cache_evict(const char *dir, const char *volume, uint64_t *ret, struct err *err) {
    *ret = 0;
    struct cache *cache cleanup(cache_freep) = NULL;
    int wanted = -1;
    int r = cache_join(&(struct cache_options){.dir = dir}, &cache, err);
    if (r == 0)
        r = find_volume(cache, volume, &wanted, err);
    if (r < 0)
        return r;
    while (walk_step(cache, WALK_END)) // what a lost index does not know is to go, too
        continue;
    // From the end: what moves into the hole of a removed one has been looked at.
    for (uint32_t i = index_count(cache->index); i-- > 0;) {
        struct cache_key key;
        uint16_t of;
        uint64_t bytes;
        if (index_at(cache->index, i, &key, &of) && (wanted < 0 || of == wanted) &&
            evict_object(cache, &key, &bytes) == 0)
            *ret += bytes;
    }
    return 0;
}
