// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/mount.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/mount/child.h"

// Runs a verb about `path`; the key keeps a second one away while the first is stuck.
static int run(const char *verb, const char *path, const char *const *args, int64_t deadline_ns,
               struct child_reply *reply, struct err *err) {
    char *what cleanup_free = mem_printf("%s of %s", verb, path);
    if (!what)
        return err_set(err, -ENOMEM, "out of memory");
    struct child_request request = {.args = args, .key = what, .what = what, .deadline_ns = deadline_ns};
    return child_run(&request, reply, err);
}

int mount_nfs(const struct mount_nfs *request, int64_t deadline_ns, struct err *err) {
    char version[16], port[16], mount_port[16];
    (void)snprintf(version, sizeof version, "%u", request->version);
    (void)snprintf(port, sizeof port, "%u", request->port);
    (void)snprintf(mount_port, sizeof mount_port, "%u", request->mount_port);
    const char *args[] = {"nfs",         request->server,
                          request->path, request->target,
                          version,       port,
                          mount_port,    request->options ? request->options : "",
                          NULL};
    return run("NFS mount", request->target, args, deadline_ns, NULL, err);
}

int mount_bind(const char *source, const char *target, bool read_only, int64_t deadline_ns, struct err *err) {
    const char *args[] = {"bind", source, target, read_only ? "ro" : "rw", NULL};
    return run("bind mount", target, args, deadline_ns, NULL, err);
}

int mount_unmount(const char *target, bool detach, int64_t deadline_ns, struct err *err) {
    const char *args[] = {"unmount", target, detach ? "detach" : "plain", NULL};
    return run(detach ? "detaching umount" : "umount", target, args, deadline_ns, NULL, err);
}

int mount_statfs(const char *path, int64_t deadline_ns, struct mount_space *ret, struct err *err) {
    const char *args[] = {"statfs", path, NULL};
    struct child_reply reply;
    int r = run("statfs", path, args, deadline_ns, &reply, err);
    if (r < 0)
        return r;
    *ret = (struct mount_space){
        .total_bytes = reply.numbers[0],
        .free_bytes = reply.numbers[1],
        .available_bytes = reply.numbers[2],
        .total_files = reply.numbers[3],
        .free_files = reply.numbers[4],
        .available_files = reply.numbers[5],
    };
    return 0;
}
