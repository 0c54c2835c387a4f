// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "lib/base/str.h"

// Where loop devices are; /sys/block has links to it, and many threads look here at once when many volumes come and go.
#define SYS_BLOCK "/sys/devices/virtual/block"
#define ATTACH_TRIES 64 // others may take the free device that the kernel named

void loop_path(unsigned number, char ret[static LOOP_PATH_SIZE]) {
    (void)snprintf(ret, LOOP_PATH_SIZE, "/dev/loop%u", number);
}

static int open_device(unsigned number, int flags) {
    char path[LOOP_PATH_SIZE];
    loop_path(number, path);
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

// One line of a file in sysfs, without its end. False: there is none. `at`: an open SYS_BLOCK.
static bool read_attribute(int at, const char *device, const char *name, char *ret, size_t size) {
    char path[512];
    (void)snprintf(path, sizeof path, "%.255s/loop/%s", device, name);
    int fd cleanup_close = openat(at, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);
    if (n < 0)
        return false;
    ret[n] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    return true;
}

// Every attached loop device. `fn` stops the walk by a result that is not 0.
static int walk(int (*fn)(unsigned number, const char *image, void *arg), void *arg) {
    DIR *dir = opendir(SYS_BLOCK);
    if (!dir)
        return -errno;
    int r = 0;
    const struct dirent *entry = NULL;
    while (r == 0 && (entry = readdir(dir))) {
        uint64_t number = 0;
        char image[4096];
        if (str_starts(entry->d_name, "loop") && str_to_u64(entry->d_name + 4, 0, UINT32_MAX, &number) == 0 &&
            read_attribute(dirfd(dir), entry->d_name, "backing_file", image, sizeof image))
            r = fn((unsigned)number, image, arg);
    }
    (void)closedir(dir);
    return r;
}

struct search {
    struct stat image;
    const char *path; // used when the image cannot be asked
    unsigned number;
};

static int compare_path(unsigned number, const char *image, void *arg) {
    struct search *search = arg;
    if (!str_eq(image, search->path))
        return 0;
    search->number = number;
    return 1;
}

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// By inode: the same file may have another path where it was attached. Its own name in its directory is the same there, and
// spares all others from being opened.
static int compare(unsigned number, const char *image, void *arg) {
    struct search *search = arg;
    struct loop_info64 info;
    if (!str_eq(base_of(image), base_of(search->path)))
        return 0;
    int fd cleanup_close = open_device(number, O_RDONLY);
    if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
        return 0; // it went meanwhile
    if (info.lo_inode != search->image.st_ino || info.lo_device != search->image.st_dev)
        return 0;
    search->number = number;
    return 1;
}

int loop_find(const char *image, unsigned *ret_number, struct err *err) {
    struct search search = {.path = image};
    int code = stat(image, &search.image) < 0 ? -errno : 0;
    int r = walk(code < 0 ? compare_path : compare, &search);
    if (r == 0 && code < 0)
        return err_set(err, code, "image %s: %s", image, err_name(code));
    if (r < 0)
        return err_set(err, r, SYS_BLOCK " cannot be read: %s", err_name(r));
    *ret_number = search.number;
    return r > 0 ? 0 : err_set(err, -ENOENT, "image %s is on no loop device", image);
}

// Takes the device that the kernel calls free, unless somebody else was faster (-EBUSY).
static int configure(int control, const struct loop_config *config, unsigned *ret_number, int *ret_fd) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0)
        return -errno;
    int fd cleanup_close = open_device((unsigned)number, O_RDWR);
    if (fd < 0)
        return fd;
    if (ioctl(fd, LOOP_CONFIGURE, config) < 0)
        return -errno;
    *ret_number = (unsigned)number;
    *ret_fd = take_fd(&fd);
    return 0;
}

int loop_attach(const char *image, const struct loop_options *options, unsigned *ret_number, int *ret_fd,
                struct err *err) {
    int control cleanup_close = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return err_set(err, errno == ENOENT ? -ENXIO : -errno,
                       "/dev/loop-control: %s; load the kernel module 'loop', and give the container the host's /dev",
                       err_name(errno));
    int backing cleanup_close = open(image, (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (backing < 0)
        return err_set(err, -errno, "image %s: %s", image, err_name(errno));
    struct loop_config config = {.fd = (unsigned)backing, .block_size = LOOP_BLOCK_SIZE};
    config.info.lo_flags = LO_FLAGS_DIRECT_IO | (options->read_only ? LO_FLAGS_READ_ONLY : 0) |
                           (options->autoclear ? LO_FLAGS_AUTOCLEAR : 0);
    (void)snprintf((char *)config.info.lo_file_name, sizeof config.info.lo_file_name, "%s", image);
    int r = -EBUSY;
    for (int i = 0; i < ATTACH_TRIES && r == -EBUSY; i++)
        r = configure(control, &config, ret_number, ret_fd);
    return r < 0 ? err_set(err, r, "no loop device for %s: %s", image, err_name(r)) : 0;
}

int loop_detach(unsigned number, struct err *err) {
    int fd cleanup_close = open_device(number, O_RDONLY);
    if (fd == -ENOENT || fd == -ENXIO)
        return 0;
    if (fd < 0)
        return err_set(err, fd, "/dev/loop%u: %s", number, err_name(fd));
    if (ioctl(fd, LOOP_CLR_FD, 0) < 0 && errno != ENXIO)
        return err_set(err, -errno, "/dev/loop%u does not let go of its image: %s", number, err_name(errno));
    return 0;
}

int loop_grow(unsigned number, struct err *err) {
    int fd cleanup_close = open_device(number, O_RDONLY);
    if (fd < 0)
        return err_set(err, fd, "/dev/loop%u: %s", number, err_name(fd));
    if (ioctl(fd, LOOP_SET_CAPACITY, 0) < 0)
        return err_set(err, -errno, "/dev/loop%u does not take its new size: %s", number, err_name(errno));
    return 0;
}

bool loop_uses_direct_io(unsigned number) {
    char device[LOOP_PATH_SIZE], value[8];
    int at cleanup_close = open(SYS_BLOCK, O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(device, sizeof device, "loop%u", number);
    return at >= 0 && read_attribute(at, device, "dio", value, sizeof value) && str_eq(value, "1");
}

struct within {
    const char *directory;
    dev_t device;
    int (*fn)(unsigned number, const char *image, void *arg);
    void *arg;
};

static bool holds_inode(const char *directory, uint64_t inode) {
    DIR *dir = opendir(directory);
    const struct dirent *entry = NULL;
    while (dir && (entry = readdir(dir)) && entry->d_ino != inode) {
    }
    if (dir)
        (void)closedir(dir);
    return entry != NULL;
}

static int filter(unsigned number, const char *image, void *arg) {
    const struct within *within = arg;
    struct loop_info64 info;
    int fd cleanup_close = open_device(number, O_RDONLY);
    if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0 || info.lo_device != within->device)
        return 0;
    // Which directory held an image that is removed already, only its path can tell.
    size_t len = strlen(within->directory);
    bool removed = strstr(image, " (deleted)") && str_starts(image, within->directory) && image[len] == '/';
    return removed || holds_inode(within->directory, info.lo_inode) ? within->fn(number, image, within->arg) : 0;
}

int loop_each(const char *directory, int (*fn)(unsigned number, const char *image, void *arg), void *arg) {
    struct stat st;
    if (stat(directory, &st) < 0)
        return -errno;
    struct within within = {.directory = directory, .device = st.st_dev, .fn = fn, .arg = arg};
    return walk(filter, &within);
}
