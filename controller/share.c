// SPDX-License-Identifier: Apache-2.0
#include "controller/share.h"

#include <errno.h>
#include <string.h>

#include "controller/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct share *share_ref(struct share *share) {
    atomic_fetch_add(&share->references, 1);
    return share;
}

struct share *share_free(struct share *share) {
    if (!share || atomic_fetch_sub(&share->references, 1) > 1)
        return NULL;
    share->nfs = nfs_share_free(share->nfs);
    share->store = store_free(share->store);
    share_location_done(&share->location);
    free(share);
    return NULL;
}

static const struct {
    int code;
    const char *remedy;
} remedies[] = {
    {-EACCES, "permission denied; let the export allow this host and root (no_root_squash), or set --uid and --gid"},
    {-EPERM, "not permitted; let the export allow this host and root (no_root_squash), or set --uid and --gid"},
    {-ENOSPC, "the file system is full; free space, or extend it"},
    {-EDQUOT, "the quota is used up; free space, or raise it"},
    {-EROFS, "the share is read-only; export it for writing"},
    {-ENAMETOOLONG, "the name is longer than the server takes; choose a shorter one"},
    {-ESTALE, "the file or directory was removed by somebody else; try again"},
};

static int describe(const struct share *share, int code, const char *what, struct err *err) {
    if (code == -ETIMEDOUT)
        return err_set(err, -EHOSTUNREACH, "cannot %s: %s %s does not answer; check it and the network", what,
                       share->location.origin ? "the file system of" : "NFS server", share->text);
    for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
        if (remedies[i].code == code)
            return err_set(err, code, "cannot %s on %s: %s", what, share->text, remedies[i].remedy);
    return err_set(err, code, "cannot %s on %s: %s", what, share->text, err_name(code));
}

static bool is_layout(const struct share *share, const struct nfs_fh *fh) {
    bool found = nfs_fh_eq(fh, &share->root) || nfs_fh_eq(fh, &share->layout);
    for (int i = 0; !found && i < SHARE_DIR_COUNT; i++)
        found = nfs_fh_eq(fh, &share->dirs[i]);
    return found;
}

int share_call(struct share *share, struct nfs_call *call, const char *what, struct err *err) {
    if (!call->deadline_ns)
        call->deadline_ns = clock_monotonic(&clock_system) + 10 * NS_PER_S;
    int r = nfs_run(share->nfs, call);
    if (r >= 0 || r == -ENOENT || r == -EEXIST)
        return r;
    if (r == -ESTALE && (is_layout(share, &call->fh) || is_layout(share, &call->fh2)))
        atomic_store(&share->stale, true);
    return describe(share, r, what, err);
}

int64_t share_deadline(const struct call_context *ctx) {
    int64_t left = ctx->deadline_ns - clock_monotonic(&clock_system);
    int64_t kept = left / 10 < NS_PER_S ? left / 10 : NS_PER_S;
    return ctx->deadline_ns - (kept > 0 ? kept : 0);
}

static int walk(struct share *share, const char *path, size_t path_len, int64_t deadline_ns, struct nfs_fh *ret,
                struct nfs_attr *ret_attr, struct err *err) {
    *ret = share->root;
    for (size_t at = 0; at < path_len;) {
        size_t len = strcspn(path + at, "/");
        char name[NFS_NAME_MAX + 1] = {0};
        if (len > NFS_NAME_MAX)
            return err_set(err, -ENAMETOOLONG, "a component of '%.80s' has more than %d bytes", path, NFS_NAME_MAX);
        memcpy(name, path + at, len);
        struct nfs_call look = {.op = NFS_LOOKUP, .fh = *ret, .name = name, .deadline_ns = deadline_ns};
        int r = share_call(share, &look, "find a volume's directory", err);
        if (r < 0)
            return r;
        if (!S_ISDIR(look.attr.mode))
            return err_set(err, -ENOTDIR, "'%.*s' on %s is no directory; move it away or choose another subDir",
                           (int)(at + len < 100 ? at + len : 100), path, share->text);
        *ret = look.out_fh;
        if (ret_attr)
            *ret_attr = look.attr;
        at += len + 1;
    }
    return 0;
}

int share_walk(struct share *share, const char *sub_dir, int64_t deadline_ns, struct nfs_fh *ret,
               struct nfs_attr *ret_attr, struct err *err) {
    return walk(share, sub_dir, strlen(sub_dir), deadline_ns, ret, ret_attr, err);
}

int share_walk_parent(struct share *share, const char *sub_dir, int64_t deadline_ns, struct nfs_fh *ret,
                      const char **ret_name, struct err *err) {
    const char *slash = strrchr(sub_dir, '/');
    *ret_name = slash ? slash + 1 : sub_dir;
    return walk(share, sub_dir, slash ? (size_t)(slash - sub_dir) : 0, deadline_ns, ret, NULL, err);
}

int share_server_now(struct share *share, int64_t deadline_ns, int64_t *ret_s, struct err *err) {
    unsigned char bytes[16];
    char name[HASH_ID_LEN + 1];
    clock_random(share->clock, bytes, sizeof bytes);
    hash_encode(bytes, name);
    struct nfs_call make = {.op = NFS_CREATE,
                            .fh = share->dirs[SHARE_DIR_TMP],
                            .name = name,
                            .exclusive = true,
                            .set = {.mask = NFS_SET_MODE, .mode = 0600},
                            .deadline_ns = deadline_ns};
    int r = share_call(share, &make, "ask for the server's time", err);
    if (r < 0)
        return r;
    *ret_s = make.attr.mtime.tv_sec;
    struct nfs_call drop = {
        .op = NFS_REMOVE, .fh = share->dirs[SHARE_DIR_TMP], .name = name, .deadline_ns = deadline_ns};
    if (share_call(share, &drop, "remove a temporary file", NULL) < 0)
        log_debug("temporary file left", LOG_S("share", share->text));
    return 0;
}
