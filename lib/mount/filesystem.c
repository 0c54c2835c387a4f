// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/filesystem.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/child.h"
#include "lib/mount/tool.h"

#define ARGS_MAX 8
#define FSCK_REPAIRED 1 // bit of fsck(8)'s exit code: errors were found, and repaired

// One row a file system. In the arguments "DEVICE" and "TARGET" stand for the device and the mount point.
static const struct filesystem {
    const char *type;
    const char *make[ARGS_MAX], *check[ARGS_MAX], *grow[ARGS_MAX];
} filesystems[] = {
    {"ext4",
     // Blocks reserved for root would be lost to a volume; its image is a hole already, so there is nothing to discard.
     {"mkfs.ext4", "-q", "-F", "-m0", "-Enodiscard", "DEVICE"},
     {"e2fsck", "-p", "DEVICE"},
     {"resize2fs", "DEVICE"}},
    {"xfs",
     {"mkfs.xfs", "-q", "-f", "-K", "DEVICE"},
     {0}, // mount(2) replays its log, and xfs_repair refuses before that
     {"xfs_growfs", "-d", "TARGET"}},
};

static const struct filesystem *find(const char *type) {
    for (size_t i = 0; i < ARRAY_SIZE(filesystems); i++)
        if (str_eq(filesystems[i].type, type))
            return &filesystems[i];
    return NULL;
}

bool filesystem_is_known(const char *type) {
    return find(type) != NULL;
}

static int no_such(const char *type, struct err *err) {
    return err_set(err, -EINVAL, "file system '%.40s' is not served; use ext4 or xfs", type);
}

// `tolerated`: bits of the exit code that are no failure.
static int run(const char *const *line, const char *device, const char *target, int tolerated, int64_t deadline_ns,
               struct err *err) {
    const char *args[ARGS_MAX] = {0};
    for (size_t i = 1; i < ARGS_MAX && line[i]; i++)
        args[i - 1] = str_eq(line[i], "DEVICE") ? device : str_eq(line[i], "TARGET") ? target : line[i];
    const struct tool tool = {.name = line[0],
                              .package = "e2fsprogs and xfsprogs",
                              .args = args,
                              .subject = device,
                              .deadline_ns = deadline_ns};
    int code = 0;
    int r = tool_run(&tool, &code, err);
    return r == -EIO && (code & ~tolerated) == 0 ? 0 : r;
}

int filesystem_probe(const char *device, char ret[static FILESYSTEM_TYPE_SIZE], struct err *err) {
    ret[0] = '\0';
    blkid_probe probe = blkid_new_probe_from_filename(device);
    if (!probe)
        return err_set(err, -EIO, "%s cannot be read", device);
    (void)blkid_probe_enable_superblocks(probe, 1);
    (void)blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
    (void)blkid_probe_enable_partitions(probe, 1);
    int found = blkid_do_safeprobe(probe);
    const char *type = NULL;
    if (found == 0 && blkid_probe_lookup_value(probe, "TYPE", &type, NULL) < 0 &&
        blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL) < 0)
        type = "unknown";
    int r = found == -2 ? err_set(err, -EBUSY, "%s holds signs of several file systems; wipe it by wipefs", device)
            : found < 0 ? err_set(err, -EIO, "%s cannot be read", device)
                        : 0;
    if (r == 0 && type)
        (void)snprintf(ret, FILESYSTEM_TYPE_SIZE, "%s", type);
    blkid_free_probe(probe);
    return r;
}

int filesystem_make(const char *device, const char *type, int64_t deadline_ns, struct err *err) {
    const struct filesystem *fs = find(type);
    return fs ? run(fs->make, device, NULL, 0, deadline_ns, err) : no_such(type, err);
}

int filesystem_check(const char *device, const char *type, int64_t deadline_ns, struct err *err) {
    const struct filesystem *fs = find(type);
    if (!fs)
        return no_such(type, err);
    int r = fs->check[0] ? run(fs->check, device, NULL, FSCK_REPAIRED, deadline_ns, err) : 0;
    return r == -EIO ? err_set(err, -EUCLEAN, "the %s on %s is damaged; repair it by %s, or restore the volume", type,
                               device, fs->check[0])
                     : r;
}

int filesystem_mount(const char *device, const char *target, const char *type, const char *options, int64_t deadline_ns,
                     struct err *err) {
    char *what cleanup_free = mem_printf("mount of %s on %s", device, target);
    if (!what)
        return err_set(err, -ENOMEM, "out of memory");
    const char *args[] = {"device", device, target, type, options, NULL};
    struct child_request request = {.args = args, .key = what, .what = what, .deadline_ns = deadline_ns};
    return child_run(&request, NULL, err);
}

int filesystem_grow(const char *device, const char *target, const char *type, int64_t deadline_ns, struct err *err) {
    const struct filesystem *fs = find(type);
    return fs ? run(fs->grow, device, target, 0, deadline_ns, err) : no_such(type, err);
}

static int hold(const char *target, unsigned long request, int fine, const char *verb, struct err *err) {
    int fd cleanup_close = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", target, err_name(errno));
    if (ioctl(fd, request, 0) < 0 && errno != fine)
        return err_set(err, -errno, "the file system at %s cannot be %s: %s", target, verb, err_name(errno));
    return 0;
}

int filesystem_freeze(const char *target, struct err *err) {
    return hold(target, FIFREEZE, 0, "frozen", err);
}

int filesystem_thaw(const char *target, struct err *err) {
    return hold(target, FITHAW, EINVAL, "thawed", err);
}
