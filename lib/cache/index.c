// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/cache/index_area.h"

#define NAME_LOCK_TRIES 2000 // of half a millisecond

bool index_byte_lock(int fd, short type, int64_t offset) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool index_byte_held(int fd, int64_t offset, int64_t len) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = len};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool index_lost(const struct index *index) {
    return guard_failed(&index->guard);
}

static _Thread_local bool has_own_lock; // a thread is in one index at a time

// Whoever holds the lock may have lost its page, and then will not wake us: so we look up now and then.
static int lock_area(struct index *index) {
    int r = pthread_mutex_trylock(&index->area->lock);
    while ((r == EBUSY || r == ETIMEDOUT) && !index_lost(index)) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        r = pthread_mutex_timedlock(&index->area->lock, &until);
    }
    return r;
}

void index_lock(struct index *index) {
    int r = lock_area(index);
    has_own_lock = r == EBUSY || r == ETIMEDOUT;
    if (has_own_lock)
        (void)pthread_mutex_lock(&index->own_lock);
    if (r == EOWNERDEAD) {
        index_rebuild(index);
        (void)pthread_mutex_consistent(&index->area->lock);
    }
}

void index_unlock(struct index *index) {
    (void)pthread_mutex_unlock(has_own_lock ? &index->own_lock : &index->area->lock);
}

uint64_t index_random(struct index *index) { // xorshift64*
    uint64_t x = index->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    index->random = x;
    return x * UINT64_C(2685821657736338717);
}

int index_grow(struct index *index, uint64_t offset, uint64_t *ready, uint64_t wanted, size_t size) {
    if (wanted <= *ready)
        return 0;
    uint64_t more = GROW_BYTES / size;
    int r = io_allocate(index->io, index->fd, offset + *ready * size, more * size);
    if (r == 0)
        *ready += more;
    return r;
}

static int init_lock(struct index_area *area) {
    pthread_mutexattr_t attr;
    if (pthread_mutexattr_init(&attr) != 0)
        return -ENOMEM;
    (void)pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    int r = -pthread_mutex_init(&area->lock, &attr);
    (void)pthread_mutexattr_destroy(&attr);
    return r;
}

static int map_index(struct index *index, int prot) {
    void *at = mmap(NULL, INDEX_SIZE, prot, MAP_SHARED | MAP_NORESERVE, index->fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    index->area = at;
    return guard_add(&index->guard, at, INDEX_SIZE);
}

// An empty file becomes an empty index. `walk`: there may be objects that it does not know.
static int make_index(struct index *index, uint64_t boot, bool walk) {
    int r = io_set_size(index->io, index->fd, INDEX_SIZE);
    if (r == 0)
        r = io_allocate(index->io, index->fd, 0, sizeof(struct index_area));
    if (r == 0)
        r = map_index(index, PROT_READ | PROT_WRITE);
    if (r < 0)
        return r;
    struct index_area *area = index->area;
    area->slot_size = sizeof(struct index_slot);
    area->lock_size = sizeof(pthread_mutex_t);
    area->boot = boot;
    area->bucket_count = BUCKETS_START;
    area->walk_next = walk ? 0 : 65536;
    r = index_grow(index, BUCKETS_OFFSET, &area->buckets_ready, BUCKETS_START, sizeof(uint32_t));
    if (r == 0)
        r = index_grow(index, SLOTS_OFFSET, &area->slots_ready, 2, sizeof(struct index_slot));
    if (r == 0)
        r = init_lock(area);
    if (r == 0)
        area->magic = INDEX_MAGIC; // last: a file without it is made anew
    return r;
}

// What is left of an earlier boot, or of users that all left: the lock, and who was there.
static int begin_boot(struct index_area *area, uint64_t boot) {
    area->clean = 0;
    area->boot = boot;
    area->memory = 0;
    area->reserved = 0;
    area->sick_until = 0;
    area->reason[0] = '\0';
    memset(area->processes, 0, sizeof area->processes);
    for (unsigned i = 0; i < INDEX_VOLUMES; i++)
        area->volumes[i].reserved = 0;
    int r = init_lock(area);
    // Before anything else changes: a second crash must not find the mark.
    return r == 0 && msync(area, BUCKETS_OFFSET, MS_SYNC) < 0 ? -errno : r;
}

enum index_state { INDEX_USABLE, INDEX_EMPTY, INDEX_STALE, INDEX_FOREIGN };

static enum index_state look_at(struct index *index, uint64_t boot) {
    struct stat st;
    if (fstat(index->fd, &st) < 0 || st.st_size == 0)
        return INDEX_EMPTY;
    if (st.st_size != (off_t)INDEX_SIZE)
        return INDEX_FOREIGN;
    struct {
        uint64_t magic;
        uint32_t slot_size, lock_size;
        uint64_t boot, clean;
    } head = {0};
    if (pread(index->fd, &head, sizeof head, 0) != sizeof head || head.magic == 0)
        return INDEX_STALE;
    if (head.magic != INDEX_MAGIC || head.slot_size != sizeof(struct index_slot) ||
        head.lock_size != sizeof(pthread_mutex_t))
        return INDEX_FOREIGN;
    return head.boot == boot || head.clean == 1 ? INDEX_USABLE : INDEX_STALE;
}

static int take_process(struct index *index) {
    for (uint32_t i = 0; i < INDEX_PROCESSES; i++) {
        if (!index_byte_lock(index->fd, F_WRLCK, LOCK_PROCESSES + i))
            continue;
        index_reap(index); // also what the last owner of this slot had
        index->user = true;
        index->process = i;
        INDEX_SCOPE_OR(index, -EIO);
        index->area->processes[i] = (struct index_process){.used = 1, .pid = (uint32_t)getpid()};
        return 0;
    }
    return -EUSERS;
}

// Under flock of the file, so that no two processes make it at once. -ESTALE: it was replaced meanwhile.
static int join(struct index *index, int dir_fd, uint64_t boot, struct err *err) {
    struct stat ours, named;
    if (fstat(index->fd, &ours) < 0 || fstatat(dir_fd, INDEX_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        ours.st_ino != named.st_ino)
        return -ESTALE;
    enum index_state state = look_at(index, boot);
    if (state == INDEX_FOREIGN)
        return err_set(err, -EINVAL, "the cache's index is of another version of this program: empty the directory");
    int r;
    if (state == INDEX_STALE) { // a crash: its pages may be of different moments
        (void)io_unlink(index->io, dir_fd, INDEX_NAME);
        return -ESTALE;
    }
    if (state == INDEX_EMPTY)
        r = make_index(index, boot, true);
    else
        r = map_index(index, PROT_READ | PROT_WRITE);
    if (r == 0 && (index->area->boot != boot || index->area->clean))
        r = begin_boot(index->area, boot);
    if (r == 0)
        r = take_process(index);
    if (r == 0 && index_lost(index))
        r = -EIO;
    return r < 0 ? err_set(err, r, "cannot use the cache's index: %s", err_name(r)) : 0;
}

static int open_once(const struct cache_io *io, int dir_fd, uint64_t boot, bool make, struct index **ret,
                     struct err *err) {
    struct index *index cleanup(index_freep) = mem_zalloc(sizeof *index);
    if (!index)
        return err_set(err, -ENOMEM, "out of memory");
    index->io = io;
    index->looked_ns = INT64_MIN / 2;
    (void)pthread_mutex_init(&index->own_lock, NULL);
    clock_random(&clock_system, &index->random, sizeof index->random);
    index->random |= 1;
    index->fd = io_open(io, dir_fd, INDEX_NAME, make ? O_RDWR | O_CREAT : O_RDONLY);
    if (index->fd < 0)
        return err_set(err, index->fd, "cannot open the cache's index: %s", err_name(index->fd));
    if (!make) {
        if (look_at(index, boot) == INDEX_FOREIGN)
            return err_set(err, -EINVAL, "the cache's index is of another version of this program");
        struct stat st;
        if (fstat(index->fd, &st) < 0 || st.st_size != (off_t)INDEX_SIZE)
            return err_set(err, -ENOENT, "the cache has no index yet");
        int r = map_index(index, PROT_READ);
        if (r < 0)
            return err_set(err, r, "cannot map the cache's index: %s", err_name(r));
        *ret = take_ptr(index);
        return 0;
    }
    if (flock(index->fd, LOCK_EX) < 0)
        return err_set(err, -EINVAL, "the cache's file system has no file locks (flock: %s): take ext4 or XFS",
                       err_name(errno));
    int r = join(index, dir_fd, boot, err);
    (void)flock(index->fd, LOCK_UN);
    if (r < 0)
        return r;
    *ret = take_ptr(index);
    return 0;
}

int index_open(const struct cache_io *io, int dir_fd, uint64_t boot, bool make, struct index **ret, struct err *err) {
    int r = -ESTALE;
    for (int i = 0; i < 16 && r == -ESTALE; i++)
        r = open_once(io, dir_fd, boot, make, ret, err);
    return r == -ESTALE ? err_set(err, r, "the cache's index is replaced again and again") : r;
}

// The last one to leave writes it out and says so; then even another boot may believe it.
static void leave(struct index *index) {
    if (index_lost(index) || flock(index->fd, LOCK_EX) < 0)
        return;
    index_memory_give(index, UINT64_MAX);
    {
        INDEX_SCOPE(index); // lost meanwhile: the lock of the file goes with it
        struct index_process *own = &index->area->processes[index->process];
        index->area->volumes[own->volume].reserved -= own->reserved;
        index->area->reserved -= own->reserved;
        *own = (struct index_process){0};
    }
    if (!index_lost(index) && !index_byte_held(index->fd, LOCK_PROCESSES, INDEX_PROCESSES) &&
        msync(index->area, INDEX_SIZE, MS_SYNC) == 0) {
        index->area->clean = 1;
        (void)msync(index->area, INDEX_PAGE, MS_SYNC);
        (void)io_sync(index->io, index->fd);
    }
    (void)flock(index->fd, LOCK_UN);
}

struct index *index_free(struct index *index) {
    if (!index)
        return NULL;
    if (index->user)
        leave(index);
    guard_remove(&index->guard);
    if (index->area)
        (void)munmap(index->area, INDEX_SIZE);
    if (index->fd >= 0)
        (void)close(index->fd);
    (void)pthread_mutex_destroy(&index->own_lock);
    free(index);
    return NULL;
}

int index_fd(const struct index *index) {
    return index->fd;
}

static int64_t name_offset(const struct cache_key *key) {
    uint32_t low;
    memcpy(&low, key->bytes + 8, sizeof low);
    return LOCK_NAMES + low;
}

int index_name_lock(struct index *index, const struct cache_key *key, bool wait) {
    for (int i = 0; !index_byte_lock(index->fd, F_WRLCK, name_offset(key)); i++) {
        if (!wait || i >= NAME_LOCK_TRIES)
            return -EBUSY;
        (void)usleep(500);
    }
    return 0;
}

void index_name_unlock(struct index *index, const struct cache_key *key) {
    (void)index_byte_lock(index->fd, F_UNLCK, name_offset(key));
}

bool index_walk_lock(struct index *index) {
    return index_byte_lock(index->fd, F_WRLCK, LOCK_WALK);
}

void index_walk_unlock(struct index *index) {
    (void)index_byte_lock(index->fd, F_UNLCK, LOCK_WALK);
}
