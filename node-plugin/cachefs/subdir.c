// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/subdir.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

static int enter(struct nfs_share *share, struct nfs_fh *at, const char *name, int64_t deadline_ns) {
    struct nfs_call call = {.op = NFS_LOOKUP, .fh = *at, .name = name, .deadline_ns = deadline_ns};
    int r = nfs_run(share, &call);
    if (r < 0)
        return r;
    *at = call.out_fh;
    struct nfs_call attr = {.op = NFS_GETATTR, .fh = *at, .deadline_ns = deadline_ns};
    if (!call.has_attr) {
        r = nfs_run(share, &attr);
        call.attr = attr.attr;
    }
    return r < 0 ? r : S_ISDIR(call.attr.mode) ? 0 : -ENOTDIR;
}

int subdir_find(struct nfs_share *share, const char *path, int64_t deadline_ns, struct nfs_fh *ret, struct err *err) {
    char name[NFS_NAME_MAX + 1];
    *ret = nfs_share_info(share)->root;
    for (const char *at = path ? path : ""; *at;) {
        size_t len = strcspn(at, "/");
        if (len > 0 && !str_is_path_component(at, len))
            return err_set(err, -EINVAL, "'%.200s' is no directory inside the share; use names without '..'", path);
        memcpy(name, at, len);
        name[len] = '\0';
        at += len + (at[len] == '/');
        int r = len ? enter(share, ret, name, deadline_ns) : 0;
        if (r < 0)
            return err_set(err, r, "directory '%.150s' of the share: '%.60s': %s", path, name, err_name(r));
    }
    return 0;
}
