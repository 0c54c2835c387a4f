// SPDX-License-Identifier: Apache-2.0
#include "controller/directory.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

void directory_init(struct directory *ret, struct share *share, const struct nfs_fh *fh, const char *what,
                    int64_t deadline_ns) {
    *ret = (struct directory){.share = share, .what = what};
    ret->page = (struct nfs_call){.op = NFS_READDIR, .fh = *fh, .deadline_ns = deadline_ns};
}

void directory_done(struct directory *directory) {
    free(take_ptr(directory->page.entries));
    directory->page.entry_count = 0;
}

int directory_next(struct directory *directory, struct err *err) {
    struct nfs_call *page = &directory->page;
    if (directory->begun && page->eof)
        return 0;
    for (;;) {
        struct err why = ERR_NONE;
        directory_done(directory);
        int r = share_call(directory->share, page, directory->what, &why);
        directory->begun = r == 0;
        if (r == 0)
            return 1;
        if (r != -ENOENT && (r != -EBADE || page->cookie == 0))
            return why.code ? err_set(err, r, "%s", err_text(&why)) : r;
        if (directory->restarts++ == DIRECTORY_RESTARTS)
            return err_set(err, -EAGAIN,
                           "cannot %s on %s: the directory changes faster than the server can list it; try again",
                           directory->what, directory->share->text);
        page->cookie = 0;
        memset(page->verifier, 0, sizeof page->verifier);
    }
}
