// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/cache/object.h"

#define KEEP_FREE_PERCENT 10u
#define MEMORY_LIMIT (UINT64_C(256) << 20)
#define PROBE_NAME ".probe"
#define PROBE_SIZE (UINT64_C(1) << 40)

static int check_options(const struct cache_options *options, struct err *err) {
    if (str_empty(options->dir) || str_empty(options->origin) || str_empty(options->volume))
        return err_set(err, -EINVAL, "a cache needs a directory, an origin and a volume");
    if (strlen(options->volume) > 128)
        return err_set(err, -EINVAL, "the volume's name '%.40s…' is longer than 128 bytes", options->volume);
    if (options->keep_free_percent > 90)
        return err_set(err, -EINVAL, "%u percent of the cache's disk are to stay free: take at most 90",
                       options->keep_free_percent);
    return 0;
}

// Can the file system do what the cache is built on?
static int probe_file(const struct cache_io *io, int fd, const char *dir, struct err *err) {
    int r = io_set_size(io, fd, PROBE_SIZE);
    struct stat st;
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r < 0 || st.st_blocks > 2048)
        return err_set(err, -EINVAL,
                       "the file system of cache directory '%s' cannot hold sparse files: take ext4 or XFS", dir);
    static const char probe[48] = "probe";
    r = io_set_record(io, fd, probe, sizeof probe);
    if (r < 0)
        return err_set(err, r == -ENOTSUP || r == -EPERM ? -EINVAL : r,
                       "the file system of cache directory '%s' takes no extended attributes (%s): take ext4 or XFS",
                       dir, err_name(r));
    return 0;
}

static int probe(const struct cache_io *io, int dir_fd, const char *dir, struct err *err) {
    char name[48];
    (void)snprintf(name, sizeof name, PROBE_NAME ".%ld", (long)gettid());
    (void)io_unlink(io, dir_fd, name);
    int fd cleanup_close = io_open(io, dir_fd, name, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return err_set(err, fd, "cannot write to cache directory '%s': %s", dir, err_name(fd));
    int r = probe_file(io, fd, dir, err);
    (void)io_unlink(io, dir_fd, name);
    return r;
}

static int open_directories(struct cache *cache, const char *dir, struct err *err) {
    cache->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache->dir_fd < 0)
        return err_set(err, -EINVAL, "cannot open cache directory '%s': %s", dir, err_name(errno));
    int r = probe(cache->io, cache->dir_fd, dir, err);
    if (r < 0)
        return r;
    r = io_make_dir(cache->io, cache->dir_fd, "objects");
    if (r < 0 && r != -EEXIST)
        return err_set(err, r, "cannot make a directory in cache directory '%s': %s", dir, err_name(r));
    cache->objects_fd = openat(cache->dir_fd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return cache->objects_fd < 0 ? err_set(err, -errno, "cannot open '%s/objects': %s", dir, err_name(errno)) : 0;
}

static void init_locks(struct cache *cache) {
    for (unsigned i = 0; i < CACHE_SHARDS; i++)
        (void)pthread_mutex_init(&cache->names[i], NULL);
    (void)pthread_mutex_init(&cache->table_lock, NULL);
    (void)pthread_mutex_init(&cache->space_lock, NULL);
}

int cache_join(const struct cache_options *options, struct cache **ret, struct err *err) {
    struct cache *cache cleanup(cache_freep) = mem_zalloc(sizeof *cache);
    if (!cache)
        return err_set(err, -ENOMEM, "out of memory");
    cache->io = options->io ? options->io : &cache_io_system;
    cache->clock = options->clock ? options->clock : &clock_system;
    cache->keep_free = options->keep_free_percent ? options->keep_free_percent : KEEP_FREE_PERCENT;
    cache->dir_fd = cache->objects_fd = -1;
    cache->disk_ns = INT64_MIN / 2;
    cache->boot = cache_io_boot(cache->io);
    init_locks(cache);
    int r = durable_init(cache);
    if (r < 0 || !cache->boot)
        return err_set(err, r < 0 ? r : -EINVAL, "the kernel does not tell which boot this is: mount /proc");
    r = open_directories(cache, options->dir, err);
    if (r == 0)
        r = index_open(cache->io, cache->dir_fd, cache->boot, true, &cache->index, err);
    if (r == 0)
        *ret = take_ptr(cache);
    return r;
}

int cache_open(const struct cache_options *options, struct cache **ret, struct err *err) {
    int r = check_options(options, err);
    if (r < 0)
        return r;
    struct cache *cache cleanup(cache_freep) = NULL;
    r = cache_join(options, &cache, err);
    if (r < 0)
        return r;
    cache->volume_hash = volume_hash(options->volume);
    hash_sha256(options->origin, strlen(options->origin), cache->origin);
    r = index_volume_take(cache->index, options->volume, options->volume_limit, &cache->volume, err);
    if (r < 0)
        return r;
    r = options->manual ? 0 : durable_start(cache);
    if (r < 0)
        return err_set(err, r, "cannot start a thread: %s", err_name(r));
    *ret = take_ptr(cache);
    return 0;
}

struct cache *cache_free(struct cache *cache) {
    if (!cache)
        return NULL;
    durable_stop(cache);
    if (cache->index)
        durable_abandon(cache);
    (void)index_free(cache->index);
    if (cache->objects_fd >= 0)
        (void)close(cache->objects_fd);
    if (cache->dir_fd >= 0)
        (void)close(cache->dir_fd);
    free(cache);
    return NULL;
}

int cache_sync(struct cache *cache, struct err *err) {
    int result = 0;
    for (bool more = true; more;) {
        int r = durable_run(cache);
        result = result ? result : r;
        LOCK_SCOPE(&cache->queue_lock);
        more = cache->queue != NULL;
    }
    if (result == 0 && cache->io == &cache_io_system && syncfs(cache->dir_fd) < 0) // the records themselves
        result = space_error(cache, -errno, "sync");
    return result < 0 ? err_set(err, result, "cannot sync the cache: %s", err_name(result)) : 0;
}

void cache_count_open(struct cache *cache, struct cached *object, bool hit) {
    index_count_open(cache->index, cache->volume, object ? &object->key : NULL, hit);
}

void cache_count_bytes(struct cache *cache, uint64_t from_cache, uint64_t from_origin) {
    index_count_bytes(cache->index, cache->volume, from_cache, from_origin);
}

bool cache_memory_take(struct cache *cache, uint64_t bytes, uint64_t limit) {
    return index_memory_take(cache->index, bytes, limit ? limit : MEMORY_LIMIT);
}

void cache_memory_give(struct cache *cache, uint64_t bytes) {
    index_memory_give(cache->index, bytes);
}
