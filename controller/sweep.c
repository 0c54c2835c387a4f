// SPDX-License-Identifier: Apache-2.0
#include "controller/sweep.h"

#include <errno.h>

#include "controller/directory.h"
#include "controller/lock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

typedef int (*drop_fn)(struct share *share, const struct nfs_dirent *entry, int64_t deadline_ns, struct err *err);

static int drop_file(struct share *share, const struct nfs_dirent *entry, int64_t deadline_ns, struct err *err) {
    struct nfs_call drop = {
        .op = NFS_REMOVE, .fh = share->dirs[SHARE_DIR_TMP], .name = entry->name, .deadline_ns = deadline_ns};
    return share_call(share, &drop, "remove a temporary file", err);
}

static int drop_lock(struct share *share, const struct nfs_dirent *entry, int64_t deadline_ns, struct err *err) {
    int r = lock_break(share, entry->name, entry->attr.fileid, deadline_ns, err);
    return r == -EAGAIN ? 0 : r; // taken meanwhile
}

static int sweep_page(struct share *share, const struct nfs_call *page, drop_fn drop, int64_t now_s,
                      int64_t deadline_ns, struct err *err) {
    for (size_t i = 0; i < page->entry_count; i++) {
        const struct nfs_dirent *entry = &page->entries[i];
        if (!entry->has_attr || !S_ISREG(entry->attr.mode) || now_s - entry->attr.mtime.tv_sec < SWEEP_AGE_S)
            continue;
        int r = drop(share, entry, deadline_ns, err);
        if (r < 0 && r != -ENOENT)
            return r;
        log_info("leftover removed", LOG_S("share", share->text), LOG_S("file", entry->name));
    }
    return 0;
}

static int sweep(struct share *share, enum share_dir dir, drop_fn drop, int64_t deadline_ns, struct err *err) {
    struct directory files cleanup(directory_done) = {0};
    int64_t now_s = 0;
    int r = share_server_now(share, deadline_ns, &now_s, err);
    if (r < 0)
        return r;
    directory_init(&files, share, &share->dirs[dir], "list what dead controllers left", deadline_ns);
    files.page.want_attr = true;
    while ((r = directory_next(&files, err)) == 1) {
        r = sweep_page(share, &files.page, drop, now_s, deadline_ns, err);
        if (r < 0)
            break;
    }
    return r;
}

int sweep_tmp(struct share *share, int64_t deadline_ns, struct err *err) {
    return sweep(share, SHARE_DIR_TMP, drop_file, deadline_ns, err);
}

int sweep_locks(struct share *share, int64_t deadline_ns, struct err *err) {
    return sweep(share, SHARE_DIR_LOCKS, drop_lock, deadline_ns, err);
}
