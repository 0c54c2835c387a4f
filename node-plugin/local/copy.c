// SPDX-License-Identifier: Apache-2.0
// A copy of a volume's or snapshot's data as one moment had it.
//
//     nobody uses it            copied; in the background where blocks cannot be shared
//     mounted                   its file system is frozen, so that the image is whole, while it is copied; where blocks
//                               cannot be shared for COPY_FROZEN_NS at most: pods wait so long with their writes
//     a directory               copied file by file, each as it is when its turn comes: its file system is others' as well
//     a block device in use     what was written is synced first; the application answers for what is between two writes
#include <errno.h>
#include <fcntl.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mount/filesystem.h"
#include "node-plugin/local/local.h"

#define COPY_FROZEN_NS (10 * NS_PER_S)

static int copy_frozen(const struct data_copy *copy, const char *target, struct err *err) {
    struct err thaw = ERR_NONE;
    int r = filesystem_freeze(target, err);
    if (r < 0)
        return r;
    r = copy->pool->allocation->copy(copy, err);
    if (filesystem_thaw(target, &thaw) < 0)
        log_error("file system of a volume stays frozen; run 'fsfreeze --unfreeze' on it", LOG_S("path", target),
                  LOG_S("reason", thaw.msg));
    return r == -ETIMEDOUT
               ? err_set(err, -EBUSY,
                         "volume '%.60s' is mounted, and its pool cannot share blocks: copying it would hold "
                         "writes too long; stop its pod, or use a pool on XFS with reflink",
                         copy->from)
               : r;
}

static int sync_device(const struct attachment *device, struct err *err) {
    int fd cleanup_close = open(device->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_set(err, -errno, "%s: %s", device->path, err_name(errno));
    return 0;
}

static const struct mount_entry *find_writable(const struct mount_table *table, const struct attachment *device) {
    const struct mount_entry *entry = NULL;
    for (size_t i = 0; (entry = attachment_next_mount(table, device, &i));)
        if (!str_eq(entry->fs_type, "devtmpfs"))
            return entry;
    return NULL;
}

int local_copy(struct local *local, const struct call_context *ctx, const struct local_record *from,
               const struct data_request *to, struct err *err) {
    struct attachment device = {0};
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct data_copy copy = {.bytes = to->bytes, .limit_bytes = to->limit_bytes};
    struct local_pool *pool = NULL;
    int r = local_pool_for(local, from->id, &pool, err);
    if (r == 0 && (LOCAL_SET(copy.from, from->id) < 0 || LOCAL_SET(copy.to, to->id) < 0))
        r = err_set(err, -EINVAL, "an id is too long");
    if (r == 0)
        r = pool->allocation->find(pool, from->id, &device, err);
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r < 0)
        return r;
    copy.pool = pool;
    const struct mount_entry *mounted = device.attached && !device.directory ? find_writable(table, &device) : NULL;
    if (mounted) {
        int64_t limit = clock_monotonic(&clock_system) + COPY_FROZEN_NS;
        copy.deadline_ns = ctx->deadline_ns < limit ? ctx->deadline_ns : limit;
        return copy_frozen(&copy, mounted->target, err);
    }
    if (device.attached && !device.directory)
        r = sync_device(&device, err);
    return r < 0 ? r : copies_run(local->copies, &copy, ctx->deadline_ns, err);
}
