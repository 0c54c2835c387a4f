// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/mount_mode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/mount/child.h"

#define MODPROBE_LIMIT_NS (5 * NS_PER_S)

const char *mount_mode_name(enum mount_mode mode) {
    static const char *const names[] = {"auto", "kernel", "fuse"};
    return names[mode];
}

// Lines are "nodev\tnfs4" (proc(5)); "nfsd", the server, does not count.
bool mount_mode_kernel_has_nfs(const char *filesystems) {
    for (const char *line = filesystems; *line;) {
        size_t len = strcspn(line, "\n");
        const char *tab = memchr(line, '\t', len);
        size_t name_len = tab ? len - (size_t)(tab + 1 - line) : 0;
        if (tab &&
            ((name_len == 3 && strncmp(tab + 1, "nfs", 3) == 0) || (name_len == 4 && strncmp(tab + 1, "nfs4", 4) == 0)))
            return true;
        line += len + (line[len] == '\n');
    }
    return false;
}

static bool read_kernel(void) {
    char text[16384];
    int fd cleanup_close = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n < 0)
        return false;
    text[n] = '\0';
    return mount_mode_kernel_has_nfs(text);
}

static bool load_modules(void) {
    static const char *const args[] = {"-q", "-a", "nfs", "nfsv4", "nfsv3", NULL};
    struct child_request request = {.program = "/sbin/modprobe",
                                    .args = args,
                                    .what = "modprobe nfs",
                                    .deadline_ns = clock_monotonic(&clock_system) + MODPROBE_LIMIT_NS};
    return access(request.program, X_OK) == 0 && child_run(&request, NULL, NULL) == 0;
}

void mount_mode_probe(const struct launcher *launcher, struct mount_mode_probe *ret) {
    *ret = (struct mount_mode_probe){0};
    struct err err = ERR_NONE;
    bool loaded = load_modules(); // versions are modules of their own, so also where "nfs" is there already
    ret->kernel = read_kernel();
    ret->fuse = launcher_probe(launcher, &err) == 0;
    if (!ret->fuse)
        (void)snprintf(ret->no_fuse, sizeof ret->no_fuse, "%s", err_text(&err));
    if (ret->kernel)
        (void)snprintf(ret->why, sizeof ret->why, "the kernel has an NFS client%s", loaded ? "" : " built in");
    else if (ret->fuse)
        (void)snprintf(ret->why, sizeof ret->why, "the kernel has no NFS client; FUSE mounts are possible");
    else
        (void)snprintf(ret->why, sizeof ret->why, "the kernel has no NFS client, and %s", ret->no_fuse);
}

enum mount_mode mount_mode_automatic(const struct mount_mode_probe *probe) {
    return probe->kernel ? MOUNT_MODE_KERNEL : MOUNT_MODE_FUSE;
}

int mount_mode_choose(enum mount_mode volume, enum mount_mode node, const struct mount_mode_probe *probe,
                      enum mount_mode *ret, struct err *err) {
    enum mount_mode wish = volume != MOUNT_MODE_AUTO ? volume : node;
    enum mount_mode mode = wish != MOUNT_MODE_AUTO ? wish : mount_mode_automatic(probe);
    if (mode == MOUNT_MODE_KERNEL && !probe->kernel)
        return err_set(err, -EBUSY,
                       "mountMode kernel is asked for, but this node's kernel has no NFS client; "
                       "load its nfs modules or use mountMode fuse");
    if (mode == MOUNT_MODE_FUSE && !probe->fuse)
        return err_set(err, -EBUSY, "this node cannot mount by FUSE: %s; cure that or use mountMode kernel",
                       probe->no_fuse);
    *ret = mode;
    return 0;
}
