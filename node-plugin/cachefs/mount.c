// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

int mount_fuse(const struct mount_options *o, int fd, struct err *err) {
    char data[160];
    (void)snprintf(data, sizeof data,
                   "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other,max_read=%u", fd,
                   o->max_read);
    unsigned long flags = MS_NOSUID | MS_NODEV | (o->read_only ? MS_RDONLY : 0);
    if (mount(o->name, o->mount_point, "fuse.stowage", flags, data) < 0)
        return err_set(err, -errno, "cannot mount at '%s': %s; it must be a directory, and CAP_SYS_ADMIN is needed",
                       o->mount_point, err_name(errno));
    return 0;
}

void mount_detach(const char *mount_point) {
    if (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        log_warning("cannot unmount", LOG_S("mount_point", mount_point), LOG_S("error", err_name(errno)));
}

// mountinfo writes blanks and backslashes as \ooo.
static void unescape(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (at[0] == '\\' && at[1] && at[2] && at[3]) {
            *to++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 3;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

// Hands every mount to `look`.
static void each_mount(void (*look)(const char *device, const char *path, void *arg), void *arg) {
    FILE *info = fopen("/proc/self/mountinfo", "re");
    if (!info)
        return;
    char line[8192], device[32], path[4097];
    while (fgets(line, sizeof line, info)) {
        if (sscanf(line, "%*d %*d %31s %*s %4096s", device, path) != 2)
            continue;
        unescape(path);
        look(device, path, arg);
    }
    (void)fclose(info);
}

struct place {
    const char *mount_point;
    char device[32]; // of what is mounted there; "": nothing
    unsigned mounts; // of that device
};

static void find_place(const char *device, const char *path, void *arg) {
    struct place *place = arg;
    if (strcmp(path, place->mount_point) == 0) // the last one is on top
        (void)snprintf(place->device, sizeof place->device, "%s", device);
}

static void count_place(const char *device, const char *path, void *arg) {
    struct place *place = arg;
    (void)path;
    place->mounts += strcmp(device, place->device) == 0;
}

static bool find_device(const char *mount_point, char ret[static 32]) {
    struct place place = {.mount_point = mount_point};
    each_mount(find_place, &place);
    (void)snprintf(ret, 32, "%s", place.device);
    return place.device[0];
}

bool mount_in_use(const char *mount_point) {
    struct place place = {.mount_point = mount_point};
    each_mount(find_place, &place);
    if (place.device[0])
        each_mount(count_place, &place);
    return place.mounts > 1;
}

void mount_tune(const char *mount_point, unsigned readahead_kib) {
    char device[32], path[96], text[16];
    if (!find_device(mount_point, device))
        return;
    (void)snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", device);
    int n = snprintf(text, sizeof text, "%u", readahead_kib);
    int fd cleanup_close = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        log_debug("readahead stays small", LOG_S("path", path), LOG_S("error", err_name(errno)));
}
