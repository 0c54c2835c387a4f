// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/origin.h"

#include <errno.h>

#include "lib/base/str.h"
#include "lib/nfs/posix_share.h"

static bool nfs_is_asked(const struct origin *o) {
    return !str_empty(o->server) || !str_empty(o->share);
}

static int nfs_open(const struct origin *o, int64_t deadline_ns, struct nfs_share **ret, struct err *err) {
    const struct nfs_options options = {.server = o->server,
                                        .path = o->share,
                                        .version = o->nfs_version,
                                        .nfs_port = o->nfs_port,
                                        .mount_port = o->mount_port,
                                        .connections = o->connections,
                                        .local_ports = o->local_ports,
                                        .deadline_ns = deadline_ns};
    if (str_empty(o->server) || str_empty(o->share))
        return err_set(err, -EINVAL, "flag '%s' is missing", str_empty(o->server) ? "server" : "share");
    return nfs_share_open(&options, ret, err);
}

static bool path_is_asked(const struct origin *o) {
    return !str_empty(o->path);
}

static int path_open(const struct origin *o, int64_t deadline_ns, struct nfs_share **ret, struct err *err) {
    (void)deadline_ns; // the kernel waits for the file system as long as it takes, and nobody uses the mount yet
    const struct posix_options options = {.path = o->path, .uncached = o->uncached};
    return posix_share_open(&options, ret, err);
}

static const struct kind {
    bool (*is_asked)(const struct origin *o);
    int (*open)(const struct origin *o, int64_t deadline_ns, struct nfs_share **ret, struct err *err);
} kinds[] = {
    {nfs_is_asked, nfs_open},
    {path_is_asked, path_open},
};

int origin_open(const struct origin *origin, int64_t deadline_ns, struct nfs_share **ret, struct err *err) {
    const struct kind *asked = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!kinds[i].is_asked(origin))
            continue;
        if (asked)
            return err_set(err, -EINVAL,
                           "an NFS share and a path are given; give --server and --share, or --origin-path");
        asked = &kinds[i];
    }
    if (!asked)
        return err_set(err, -EINVAL, "nothing to mount is given; give --server and --share, or --origin-path");
    return asked->open(origin, deadline_ns, ret, err);
}
