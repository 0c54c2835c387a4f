// SPDX-License-Identifier: Apache-2.0
// Marks `.stowage/shared/<hash of a path>`: this directory was there when a volume was made in it or below it, so
// whoever wants to remove it must first look whether another volume still uses it.
//
// Why:     a volume with a directory of its own (nearly all) is deleted without looking at every other record.
#include <errno.h>
#include <string.h>

#include "controller/store_private.h"

static void mark_name(const char *sub_dir, char ret[static HASH_ID_LEN + 1]) {
    hash_id(sub_dir, strlen(sub_dir), ret);
}

static bool is_known(struct share *share, const char *name) {
    LOCK_SCOPE(&share->store->lock);
    return strmap_get(&share->store->marks, name) != NULL;
}

static void remember(struct share *share, const char *name) {
    LOCK_SCOPE(&share->store->lock);
    if (strmap_put(&share->store->marks, name, share) < 0)
        return; // the next one asks the server again
}

int store_mark_shared(struct share *share, const char *sub_dir, int64_t deadline_ns, struct err *err) {
    char name[HASH_ID_LEN + 1];
    mark_name(sub_dir, name);
    if (is_known(share, name))
        return 0;
    struct nfs_call make = {.op = NFS_CREATE,
                            .fh = share->dirs[SHARE_DIR_SHARED],
                            .name = name,
                            .set = {.mask = NFS_SET_MODE, .mode = 0600},
                            .deadline_ns = deadline_ns};
    int r = share_call(share, &make, "mark a shared directory in .stowage/shared", err);
    if (r == 0 || r == -EEXIST)
        remember(share, name);
    return r == -EEXIST ? 0 : r;
}

int store_is_marked(struct share *share, const char *sub_dir, int64_t deadline_ns, struct err *err) {
    char name[HASH_ID_LEN + 1];
    mark_name(sub_dir, name);
    if (is_known(share, name))
        return 1;
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_SHARED], .name = name, .deadline_ns = deadline_ns};
    int r = share_call(share, &look, "look for a mark in .stowage/shared", err);
    if (r == 0)
        remember(share, name);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}
