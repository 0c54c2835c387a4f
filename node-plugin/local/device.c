// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/disk.h"
#include "node-plugin/local/attachment.h"

#define CLAIM_MAX 1024          // bytes of a claim: identity, line feed, bytes that are erased already
#define SWEEP_NS (5 * NS_PER_S) // for one disk at the start

struct claim {
    char identity[DISK_IDENTITY_SIZE];
    int64_t erased;
};
struct names {
    char key[HASH_ID_LEN + 1], unfinished[HASH_ID_LEN + sizeof "..new"], gone[HASH_ID_LEN + sizeof "..gone"];
};

static struct names names_of_key(const char *key) {
    struct names names;
    (void)snprintf(names.key, sizeof names.key, "%.*s", HASH_ID_LEN, key);
    (void)snprintf(names.unfinished, sizeof names.unfinished, ".%s.new", names.key);
    (void)snprintf(names.gone, sizeof names.gone, ".%s.gone", names.key);
    return names;
}

static struct names names_of(const char *id) {
    char key[HASH_ID_LEN + 1] = "";
    (void)local_key(id, key);
    return names_of_key(key);
}

// ---- claims ----

static int read_claim(int folder, const char *name, struct claim *ret) {
    char *text cleanup_free = NULL;
    size_t len = 0;
    *ret = (struct claim){0};
    int r = file_read(folder, name, CLAIM_MAX, &text, &len);
    if (r < 0)
        return r;
    size_t end = strcspn(text, "\n");
    if (end == 0 || end >= sizeof ret->identity || text[end] != '\n')
        return -EBADMSG;
    memcpy(ret->identity, text, end);
    return str_to_i64(text + end + 1, 0, INT64_MAX, &ret->erased) < 0 ? -EBADMSG : 0;
}

static int write_claim(const struct local_pool *pool, const char *name, const struct claim *claim, struct err *err) {
    char text[CLAIM_MAX];
    int n = snprintf(text, sizeof text, "%s\n%" PRId64, claim->identity, claim->erased);
    int r = file_replace(pool->data_fd, name, text, (size_t)n);
    return r < 0 ? allocation_complain(pool, r, "writing which disk a volume has", err) : 0;
}

struct search {
    int folder;
    const char *identity;
    bool found;
};

static int compare(struct local_pool *pool, const char *name, void *arg) {
    struct search *search = arg;
    struct claim claim;
    (void)pool;
    bool none = str_eq(name, ".") || str_starts(name, ".."); // directories, and what was never written whole
    int r = none ? -EINVAL : read_claim(search->folder, name, &claim);
    search->found = search->found || (r == 0 && str_eq(claim.identity, search->identity));
    return 0;
}

static bool is_claimed(const struct local_pool *pool, const char *identity) {
    int retained cleanup_close = open(pool->retained, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int folders[] = {pool->data_fd, retained};
    struct search search = {.identity = identity};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        search.folder = folders[i];
        if (search.folder < 0 || local_pool_each(search.folder, compare, NULL, &search) < 0)
            return true; // nobody can tell: not ours to take
    }
    return search.found;
}

// ---- disks ----

// -ENODEV: it is not in this machine now.
static int find_disk(const struct local_pool *pool, const char *identity, struct disk *ret, struct err *err) {
    struct disk *disks cleanup_free = NULL;
    size_t count = 0;
    int r = disk_list(pool->pattern, &disks, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (str_eq(disks[i].identity, identity)) {
            *ret = disks[i];
            return 0;
        }
    return r < 0
               ? r
               : err_set(err, -ENODEV, "pool '%s': disk '%.100s' is not there; plug it in again", pool->name, identity);
}

static int disk_of(const struct local_pool *pool, const char *name, struct disk *ret, struct err *err) {
    struct claim claim;
    int r = read_claim(pool->data_fd, name, &claim);
    return r < 0 ? err_set(err, r == -ENOENT ? r : -EIO, "pool '%s': which disk a volume has: %s", pool->name,
                           err_name(r))
                 : find_disk(pool, claim.identity, ret, err);
}

// Whether a disk without a claim may be taken; *ret_dirty: after it was erased.
static bool is_free(const struct local_pool *pool, const struct disk *disk, bool *ret_dirty, struct err *err) {
    int r = disk_check_blank(disk, err);
    *ret_dirty = r == -ENOTEMPTY;
    return r == 0 || (r == -ENOTEMPTY && pool->wipe);
}

struct wanted {
    int64_t bytes, limit_bytes; // limit 0: none
};

static bool fits(const struct disk *disk, const struct wanted *wanted) {
    return disk->bytes >= wanted->bytes && (wanted->limit_bytes == 0 || disk->bytes <= wanted->limit_bytes);
}

// The smallest one; with the pool's lock held, which the claim ends.
static int choose(const struct local_pool *pool, const struct wanted *wanted, struct disk *ret, bool *ret_dirty,
                  struct err *err) {
    struct disk *disks cleanup_free = NULL;
    struct err reason = ERR_NONE, other = ERR_NONE; // of a disk that could be freed; of any other
    size_t count = 0;
    bool above = false;
    ret->bytes = 0;
    int r = disk_list(pool->pattern, &disks, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool dirty = false;
        above = above || (wanted->limit_bytes > 0 && disks[i].bytes > wanted->limit_bytes);
        if (!fits(&disks[i], wanted) || (ret->bytes > 0 && disks[i].bytes >= ret->bytes) ||
            is_claimed(pool, disks[i].identity))
            continue;
        if (!is_free(pool, &disks[i], &dirty, &other)) {
            reason = dirty ? other : reason;
            continue;
        }
        *ret = disks[i];
        *ret_dirty = dirty;
    }
    if (r < 0 || ret->bytes > 0)
        return r;
    if (above)
        return err_set(err, -ERANGE,
                       "pool '%s' gives whole disks, and has no free one between %" PRId64 " and %" PRId64 " bytes",
                       pool->name, wanted->bytes, wanted->limit_bytes);
    return err_set(err, -ENOSPC, "pool '%s' has no free disk of %" PRId64 " MiB%s%.120s", pool->name,
                   wanted->bytes >> 20, reason.msg[0] ? ": " : "", reason.msg);
}

// Erases the disk of a claim from where it stands, then lets the claim go.
static int erase(const struct local_pool *pool, const char *name, int64_t deadline_ns, struct err *err) {
    struct claim claim;
    struct disk disk;
    int r = read_claim(pool->data_fd, name, &claim);
    if (r == -ENOENT)
        return 0;
    r = r < 0 ? err_set(err, -EIO, "pool '%s': %s: %s", pool->name, name, err_name(r))
              : find_disk(pool, claim.identity, &disk, err);
    if (r < 0)
        return r;
    r = disk_erase(&disk, &claim.erased, deadline_ns, err);
    if (r == 0)
        r = file_remove(pool->data_fd, name);
    else if (write_claim(pool, name, &claim, NULL) < 0)
        log_warning("a disk is erased from its beginning again", LOG_S("disk", disk.path));
    return r;
}

// Claims a free disk under `name`. One that must be wiped first is claimed under its own name meanwhile.
static int claim_disk(const struct local_pool *pool, const struct wanted *wanted, const char *name, int64_t deadline_ns,
                      struct disk *ret, struct err *err) {
    struct claim claim = {0};
    char key[HASH_ID_LEN + 1];
    bool dirty = false;
    (void)pthread_mutex_lock(pool->lock);
    int r = choose(pool, wanted, ret, &dirty, err);
    if (r == 0) {
        memcpy(claim.identity, ret->identity, sizeof claim.identity);
        hash_id(ret->identity, strlen(ret->identity), key);
        r = write_claim(pool, dirty ? names_of_key(key).gone : name, &claim, err);
    }
    (void)pthread_mutex_unlock(pool->lock);
    if (r < 0 || !dirty)
        return r;
    log_warning("disk is wiped, as its pool says", LOG_S("pool", pool->name), LOG_S("disk", ret->path));
    r = erase(pool, names_of_key(key).gone, deadline_ns, err);
    return r < 0 ? r : claim_disk(pool, wanted, name, deadline_ns, ret, err);
}

static int finish(const struct local_pool *pool, const struct names *names, struct err *err) {
    if (renameat(pool->data_fd, names->unfinished, pool->data_fd, names->key) < 0 || fsync(pool->data_fd) < 0)
        return allocation_complain(pool, -errno, "claiming a disk", err);
    return 0;
}

// ---- the table ----

static int device_open(struct local_pool *pool, struct err *err) {
    struct disk *disks cleanup_free = NULL;
    size_t count = 0;
    int r = disk_list(pool->pattern, &disks, &count, err);
    if (r == 0 && count == 0)
        log_warning("no disk matches the pattern of a pool; one that is plugged in counts at once",
                    LOG_S("pool", pool->name), LOG_S("pattern", pool->pattern));
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct err reason = ERR_NONE;
        bool dirty = false;
        const char *state = is_claimed(pool, disks[i].identity)         ? "a volume's"
                            : is_free(pool, &disks[i], &dirty, &reason) ? "free"
                                                                        : reason.msg;
        log_info("disk of a pool", LOG_S("pool", pool->name), LOG_S("disk", disks[i].path),
                 LOG_S("identity", disks[i].identity), LOG_I("bytes", disks[i].bytes), LOG_S("state", state));
    }
    return r < 0 ? err_set(err, -ENODEV, "%s cannot be looked through", pool->pattern) : 0;
}

static bool exists(const struct local_pool *pool, const char *id) {
    struct disk disk;
    return disk_of(pool, names_of(id).key, &disk, NULL) == 0;
}

static int64_t size(const struct local_pool *pool, const char *id) {
    struct disk disk;
    return disk_of(pool, names_of(id).key, &disk, NULL) == 0 ? disk.bytes : 0;
}

static int room(const struct local_pool *pool, int64_t *ret_bytes, int64_t *ret_largest, struct err *err) {
    struct disk *disks cleanup_free = NULL;
    size_t count = 0;
    *ret_bytes = *ret_largest = 0;
    int r = disk_list(pool->pattern, &disks, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool dirty = false;
        if (is_claimed(pool, disks[i].identity) || !is_free(pool, &disks[i], &dirty, NULL))
            continue;
        *ret_bytes += disks[i].bytes;
        if (disks[i].bytes > *ret_largest)
            *ret_largest = disks[i].bytes;
    }
    return r;
}

static int remove_data(const struct local_pool *pool, const char *id, int64_t deadline_ns, struct err *err) {
    struct names names = names_of(id);
    if (renameat(pool->data_fd, names.key, pool->data_fd, names.gone) < 0 && errno != ENOENT)
        return allocation_complain(pool, -errno, "giving a disk back", err);
    return erase(pool, names.gone, deadline_ns, err);
}

static int create(const struct local_pool *pool, const struct data_request *request, struct err *err) {
    struct names names = names_of(request->id);
    const struct wanted wanted = {request->bytes, request->limit_bytes};
    struct disk disk;
    int r = remove_data(pool, request->id, request->deadline_ns, err);
    if (r == 0)
        r = erase(pool, names.unfinished, request->deadline_ns, err);
    if (r == 0)
        r = claim_disk(pool, &wanted, names.unfinished, request->deadline_ns, &disk, err);
    return r < 0 ? r : finish(pool, &names, err);
}

static int copy(const struct data_copy *copy, struct err *err) {
    const struct local_pool *pool = copy->pool;
    struct names source = names_of(copy->from), names = names_of(copy->to);
    struct disk from, to;
    int r = disk_of(pool, source.key, &from, err);
    if (r == 0)
        r = remove_data(pool, copy->to, copy->deadline_ns, err);
    if (r == 0)
        r = erase(pool, names.unfinished, copy->deadline_ns, err);
    if (r < 0)
        return r;
    const struct wanted wanted = {copy->bytes > from.bytes ? copy->bytes : from.bytes, copy->limit_bytes};
    r = claim_disk(pool, &wanted, names.unfinished, copy->deadline_ns, &to, err);
    if (r < 0)
        return r;
    r = disk_copy(&from, &to, copy->deadline_ns, copy->cancel, err);
    if (r == 0)
        return finish(pool, &names, err);
    struct err undo = ERR_NONE;
    if (erase(pool, names.unfinished, clock_monotonic(&clock_system) + SWEEP_NS, &undo) < 0)
        log_warning("a disk is erased at the next start", LOG_S("pool", pool->name), LOG_S("reason", undo.msg));
    return r;
}

static int grow(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) {
    (void)full;
    return err_set(err, -ERANGE,
                   "volume '%.60s' is a whole disk of pool '%s' and cannot have %" PRId64
                   " bytes; make a larger one and copy",
                   id, pool->name, bytes);
}

static void sweep(const struct local_pool *pool, const char *name) {
    struct names names = names_of_key(name[0] == '.' ? name + 1 : name);
    struct err err = ERR_NONE;
    if (name[0] != '.') // out of sight first: what is erased in part must not be taken for a volume
        name = renameat(pool->data_fd, names.key, pool->data_fd, names.gone) == 0 ? names.gone : name;
    if (erase(pool, name, clock_monotonic(&clock_system) + SWEEP_NS, &err) < 0)
        log_warning("disk that nobody was promised is not erased yet; the next start goes on with it",
                    LOG_S("pool", pool->name), LOG_S("reason", err.msg));
}

static int find(const struct local_pool *pool, const char *id, struct attachment *ret, struct err *err) {
    struct disk disk;
    *ret = (struct attachment){0};
    int r = disk_of(pool, names_of(id).key, &disk, err);
    ret->lost = r == -ENODEV;
    if (r == -ENODEV || r == -ENOENT)
        return 0;
    if (r == 0) {
        ret->attached = true;
        (void)snprintf(ret->path, sizeof ret->path, "%s", disk.path);
    }
    return r;
}

static int recover_one(struct local_pool *pool, const char *name, void *arg) {
    struct attachment device = {.attached = true};
    struct disk disk;
    if (name[0] == '.' || disk_of(pool, name, &disk, NULL) < 0)
        return 0;
    (void)snprintf(device.path, sizeof device.path, "%s", disk.path);
    (void)attachment_thaw(arg, &device);
    return 0;
}

static void recover(struct local_pool *pool) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct err err = ERR_NONE;
    int r = mount_table_load(NULL, &table, &err);
    if (r == 0)
        r = local_pool_each(pool->data_fd, recover_one, pool, table);
    if (r < 0)
        log_warning("disks were not looked through", LOG_S("pool", pool->name), LOG_S("reason", err_name(r)));
}

static int attach(const struct local_pool *pool, const struct local_record *record, bool autoclear,
                  struct attachment *ret, int *ret_fd, struct err *err) {
    struct disk disk;
    (void)autoclear, (void)ret_fd;
    int r = disk_of(pool, names_of(record->id).key, &disk, err);
    return r < 0 ? r : find(pool, record->id, ret, err);
}

static int detach(const struct attachment *attachment, struct err *err) {
    (void)attachment, (void)err; // a disk stays where it is
    return 0;
}

const struct allocation allocation_device = {
    .name = "device",
    .whole_disks = true,
    .can_be_full = true, // it always is
    .slow_removal = true,
    .open = device_open,
    .recover = recover,
    .sweep = sweep,
    .room = room,
    .exists = exists,
    .size = size,
    .allocated = size,
    .create = create,
    .copy = copy,
    .grow = grow,
    .remove = remove_data,
    .find = find,
    .attach = attach,
    .detach = detach,
};
