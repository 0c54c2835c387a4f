// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/fake_mounter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/base/cleanup.h"

static struct fake_mount *find(struct fake_mounter *fake, const char *target) {
    for (size_t i = fake->count; i-- > 0;)
        if (str_eq(fake->mounts[i].target, target))
            return &fake->mounts[i];
    return NULL;
}

static struct fake_mount *push(struct fake_mounter *fake, const char *source, const char *fs_type, const char *target) {
    const struct fake_mount *below = find(fake, target);
    struct fake_mount *mount = &fake->mounts[fake->count++];
    *mount = (struct fake_mount){
        .id = 100 + ++fake->next_id, .parent = below ? below->id : 1, .device = 50 + ++fake->next_device};
    (void)snprintf(mount->target, sizeof mount->target, "%s", target);
    (void)snprintf(mount->source, sizeof mount->source, "%s", source);
    (void)snprintf(mount->fs_type, sizeof mount->fs_type, "%s", fs_type);
    return mount;
}

void fake_mounter_add(struct fake_mounter *fake, const char *source, const char *fs_type, const char *target) {
    (void)push(fake, source, fs_type, target);
}

static int table(void *self, struct mount_table **ret, struct err *err) {
    struct fake_mounter *fake = self;
    int fd cleanup_close = memfd_create("mountinfo", MFD_CLOEXEC);
    (void)dprintf(fd, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    for (size_t i = 0; i < fake->count; i++) {
        const struct fake_mount *m = &fake->mounts[i];
        (void)dprintf(fd, "%d %d 0:%d / %s %s,relatime - %s %s rw\n", m->id, m->parent, m->device, m->target,
                      m->read_only ? "ro" : "rw", m->fs_type, m->source);
    }
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return mount_table_load(path, ret, err);
}

static void step(const struct fake_mounter *fake) {
    if (fake->step)
        fake->step();
}

static int mount_volume(void *self, const struct mount_request *request, int64_t deadline_ns,
                        struct process_id *ret_daemon, struct err *err) {
    struct fake_mounter *fake = self;
    (void)deadline_ns;
    bool fuse = request->mode == MOUNT_MODE_FUSE;
    (void)str_printf(&fake->calls, "mount %s %s %s; ", fuse ? "fuse" : "nfs", request->source->name, request->target);
    step(fake);
    *ret_daemon = (struct process_id){0};
    if (fake->mount_result == 0 || fake->mounts_anyway) {
        const struct fake_mount *mount =
            push(fake, request->source->name, fuse ? "fuse.stowage" : "nfs4", request->target);
        if (fuse) {
            int pid = ++fake->daemon_count;
            fake->daemons[pid].alive = true;
            fake->daemons[pid].device = mount->device;
            fake->daemons[pid].event = eventfd(0, EFD_CLOEXEC);
            *ret_daemon = (struct process_id){.pid = pid, .start = 1000 + (uint64_t)pid, .domain = "boot"};
        }
    }
    step(fake);
    return fake->mount_result < 0 ? err_set(err, fake->mount_result, "the fake does not mount") : 0;
}

static int mount_origin_at(void *self, const struct mount_origin *origin, int64_t deadline_ns, struct err *err) {
    struct fake_mounter *fake = self;
    (void)deadline_ns;
    (void)str_printf(&fake->calls, "origin %s %s; ", origin->type, origin->source);
    if (fake->origin_result < 0)
        return err_set(err, fake->origin_result, "the fake does not mount the origin");
    (void)push(fake, origin->source, origin->type, origin->target);
    return 0;
}

static int bind(void *self, const char *source, const char *target, bool read_only, int64_t deadline_ns,
                struct err *err) {
    struct fake_mounter *fake = self;
    (void)deadline_ns;
    (void)str_printf(&fake->calls, "bind %s %s %s; ", source, target, read_only ? "ro" : "rw");
    step(fake);
    const struct fake_mount *from = find(fake, source);
    if (from && (fake->bind_result == 0 || fake->mounts_anyway)) {
        int device = from->device;
        struct fake_mount *mount = push(fake, from->source, from->fs_type, target);
        mount->device = device;
        mount->read_only = read_only;
    }
    step(fake);
    return fake->bind_result < 0 ? err_set(err, fake->bind_result, "the fake does not bind") : 0;
}

static void end_unused_daemons(struct fake_mounter *fake) {
    for (int pid = 1; pid <= fake->daemon_count; pid++) {
        bool used = false;
        for (size_t i = 0; i < fake->count; i++)
            used = used || fake->mounts[i].device == fake->daemons[pid].device;
        if (!used)
            fake_mounter_kill(fake, pid);
    }
}

static int unmount(void *self, const char *target, bool detach, int64_t deadline_ns, struct err *err) {
    struct fake_mounter *fake = self;
    (void)deadline_ns;
    (void)str_printf(&fake->calls, "%s %s; ", detach ? "detach" : "umount", target);
    step(fake);
    if (!detach && fake->plain_result < 0)
        return err_set(err, fake->plain_result, "the fake says %s", err_name(fake->plain_result));
    struct fake_mount *mount = find(fake, target);
    if (!mount)
        return err_set(err, -EINVAL, "not mounted");
    size_t at = (size_t)(mount - fake->mounts);
    memmove(mount, mount + 1, (--fake->count - at) * sizeof *mount);
    end_unused_daemons(fake);
    step(fake);
    return 0;
}

static int space(void *self, const char *path, int64_t deadline_ns, struct mount_space *ret, struct err *err) {
    struct fake_mounter *fake = self;
    (void)deadline_ns;
    if (fake->space_result < 0)
        return err_set(err, fake->space_result, "statfs of %s did not end in time", path);
    *ret = (struct mount_space){1000, 400, 300, 50, 20, 10};
    return 0;
}

static int daemon_open(void *self, const struct process_id *daemon) {
    const struct fake_mounter *fake = self;
    bool alive = daemon->pid > 0 && daemon->pid < FAKE_DAEMONS_MAX && fake->daemons[daemon->pid].alive;
    return alive ? dup(fake->daemons[daemon->pid].event) : -ESRCH;
}

static int daemon_stop(void *self, const struct process_id *daemon, int64_t deadline_ns, struct err *err) {
    struct fake_mounter *fake = self;
    (void)deadline_ns;
    (void)err;
    (void)str_printf(&fake->calls, "stop %d; ", (int)daemon->pid);
    step(fake);
    if (daemon->pid > 0)
        fake_mounter_kill(fake, (int)daemon->pid);
    step(fake);
    return 0;
}

void fake_mounter_kill(struct fake_mounter *fake, int pid) {
    uint64_t one = 1;
    if (fake->daemons[pid].alive)
        (void)!write(fake->daemons[pid].event, &one, sizeof one);
    fake->daemons[pid].alive = false;
}

void fake_mounter_inherit(struct fake_mounter *fake) {
    fake->calls = (struct str){0};
    for (int pid = 1; pid <= fake->daemon_count; pid++)
        fake->daemons[pid].event = eventfd(!fake->daemons[pid].alive, EFD_CLOEXEC);
}

struct mounter fake_mounter(struct fake_mounter *fake) {
    static const struct mounter_ops ops = {table,   mount_volume, mount_origin_at, bind,
                                           unmount, space,        daemon_open,     daemon_stop};
    return (struct mounter){&ops, fake};
}

void fake_mounter_done(struct fake_mounter *fake) {
    for (int pid = 1; pid <= fake->daemon_count; pid++)
        (void)close(fake->daemons[pid].event);
    str_done(&fake->calls);
}
