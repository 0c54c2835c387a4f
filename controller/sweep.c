// SPDX-License-Identifier: Apache-2.0
#include "controller/sweep.h"

#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"

static int sweep_page(struct share *share, const struct nfs_call *page, int64_t now_s, int64_t deadline_ns,
                      struct err *err) {
    for (size_t i = 0; i < page->entry_count; i++) {
        const struct nfs_dirent *entry = &page->entries[i];
        if (!entry->has_attr || !S_ISREG(entry->attr.mode) || now_s - entry->attr.mtime.tv_sec < SWEEP_AGE_S)
            continue;
        struct nfs_call drop = {.op = NFS_REMOVE, .fh = page->fh, .name = entry->name, .deadline_ns = deadline_ns};
        int r = share_call(share, &drop, "remove a temporary file", err);
        if (r < 0 && r != -ENOENT)
            return r;
        log_info("temporary file removed", LOG_S("share", share->text), LOG_S("file", entry->name));
    }
    return 0;
}

int sweep_tmp(struct share *share, int64_t deadline_ns, struct err *err) {
    struct nfs_call page = {
        .op = NFS_READDIR, .fh = share->dirs[SHARE_DIR_TMP], .want_attr = true, .deadline_ns = deadline_ns};
    int64_t now_s = 0;
    int r = share_server_now(share, deadline_ns, &now_s, err);
    while (r == 0 && !page.eof) {
        r = share_call(share, &page, "list temporary files", err);
        if (r == 0)
            r = sweep_page(share, &page, now_s, deadline_ns, err);
        free(take_ptr(page.entries));
        page.entry_count = 0;
    }
    return r;
}
