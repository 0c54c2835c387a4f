// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/mounter.h"

#include <errno.h>

#include "node-plugin/daemon.h"

static int table(void *self, struct mount_table **ret, struct err *err) {
    (void)self;
    return mount_table_load(NULL, ret, err);
}

static int mount_volume(void *self, const struct mount_request *request, int64_t deadline_ns,
                        struct process_id *ret_daemon, struct err *err) {
    *ret_daemon = (struct process_id){0};
    if (request->mode == MOUNT_MODE_FUSE)
        return daemon_start(self, request, deadline_ns, ret_daemon, err);
    struct mount_nfs nfs = {
        .server = request->source->server,
        .path = request->source->directory,
        .target = request->target,
        .options = request->options->kernel,
        .version = request->source->nfs_version,
        .port = request->source->nfs_port,
        .mount_port = request->source->mount_port,
    };
    return mount_nfs(&nfs, deadline_ns, err);
}

static int mount_of_origin(void *self, const struct mount_origin *origin, int64_t deadline_ns, struct err *err) {
    (void)self;
    return mount_origin(origin, deadline_ns, err);
}

static int bind(void *self, const char *source, const char *target, bool read_only, int64_t deadline_ns,
                struct err *err) {
    (void)self;
    return mount_bind(source, target, read_only, deadline_ns, err);
}

static int unmount(void *self, const char *target, bool detach, int64_t deadline_ns, struct err *err) {
    (void)self;
    return mount_unmount(target, detach, deadline_ns, err);
}

static int space(void *self, const char *path, int64_t deadline_ns, struct mount_space *ret, struct err *err) {
    (void)self;
    return mount_statfs(path, deadline_ns, ret, err);
}

static int open_daemon(void *self, const struct process_id *daemon) {
    const struct mounter_options *options = self;
    int pidfd = -1;
    if (daemon->pid <= 0)
        return -ESRCH;
    int r = launcher_open(&options->launcher, daemon, &pidfd, NULL);
    return r < 0 ? r : pidfd;
}

static int stop_daemon(void *self, const struct process_id *daemon, int64_t deadline_ns, struct err *err) {
    const struct mounter_options *options = self;
    return daemon_stop(&options->launcher, daemon, deadline_ns, err);
}

static const struct mounter_ops system_ops = {
    .table = table,
    .mount = mount_volume,
    .mount_origin = mount_of_origin,
    .bind = bind,
    .unmount = unmount,
    .space = space,
    .daemon_open = open_daemon,
    .daemon_stop = stop_daemon,
};

struct mounter mounter_system(const struct mounter_options *options) {
    return (struct mounter){&system_ops, (void *)(uintptr_t)options};
}
