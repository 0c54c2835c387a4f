// SPDX-License-Identifier: Apache-2.0
#include "tests/support/posix_kit.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/cm.h"

void posix_kit_need_root(void) {
    if (geteuid() == 0)
        return;
    (void)printf("skipped: needs root, to act for others\n");
    exit(77);
}

int posix_kit_reopen(struct posix_kit *kit, struct posix_options options) {
    struct err err = ERR_NONE;
    kit->share = nfs_share_free(kit->share);
    options.path = kit->path;
    int r = posix_share_open(&options, &kit->share, &err);
    if (r < 0)
        (void)printf("%s: %s\n", kit->path, err_text(&err));
    return r;
}

int posix_kit_start(struct posix_kit *kit, struct posix_options options) {
    *kit = (struct posix_kit){.path = "/tmp/stowage-posix.XXXXXX"};
    if (!mkdtemp(kit->path))
        return -errno;
    int r = chmod(kit->path, 0755) < 0 ? -errno : posix_kit_reopen(kit, options);
    if (r < 0)
        posix_kit_stop(kit);
    return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void posix_kit_stop(struct posix_kit *kit) {
    kit->share = nfs_share_free(kit->share);
    (void)nftw(kit->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int posix_kit_run(struct posix_kit *kit, struct nfs_call *call) {
    call->deadline_ns = clock_monotonic(&clock_system) + 60 * NS_PER_S;
    return nfs_run(kit->share, call);
}

int posix_kit_result(struct posix_kit *kit, struct nfs_call call) {
    int r = posix_kit_run(kit, &call);
    free(call.text);
    free(call.entries);
    return r;
}

struct nfs_fh posix_kit_root(const struct posix_kit *kit) {
    return nfs_share_info(kit->share)->root;
}

struct nfs_fh posix_kit_find(struct posix_kit *kit, const struct nfs_fh *dir, const char *name) {
    struct nfs_call call = {.op = NFS_LOOKUP, .fh = *dir, .name = name};
    assert_int_equal(posix_kit_run(kit, &call), 0);
    return call.out_fh;
}

struct nfs_fh posix_kit_make(struct posix_kit *kit, enum nfs_op op, const struct nfs_fh *dir, const char *name,
                             uint32_t mode, const struct nfs_cred *cred) {
    struct nfs_call call = {.op = op,
                            .fh = *dir,
                            .name = name,
                            .exclusive = true,
                            .cred = cred,
                            .set = {.mask = NFS_SET_MODE, .mode = mode}};
    assert_int_equal(posix_kit_run(kit, &call), 0);
    return call.out_fh;
}
