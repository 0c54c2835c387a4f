// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fuse_kit.h"

#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "tests/support/fuse_kit_server.h"

enum { WAIT_MS = 10000 };

const struct fuse_kit_options fuse_kit_passthrough = {
    .init_flags = FUSE_ABI_PASSTHROUGH | FUSE_ASYNC_READ,
    .max_stack_depth = 1,
    .max_background = 12,
};

bool fuse_kit_prepare(const char **ret_why) {
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0) {
        *ret_why = "needs root and /dev/fuse";
        return false;
    }
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", FUSE_KIT_DIR, "tmpfs", 0, "mode=700") < 0 || mkdir(FUSE_KIT_MOUNT, 0700) < 0) {
        *ret_why = "needs mounts of its own (CAP_SYS_ADMIN)";
        return false;
    }
    struct fuse_kit kit;
    fuse_kit_mount(&kit, &fuse_kit_passthrough);
    bool offered = kit.shared->offered & FUSE_ABI_PASSTHROUGH;
    fuse_kit_unmount(&kit);
    *ret_why = "this kernel offers no FUSE_PASSTHROUGH (Linux 6.9 with CONFIG_FUSE_PASSTHROUGH has it)";
    return offered;
}

static void reset(struct fuse_kit_shared *shared) {
    *shared = (struct fuse_kit_shared){0};
    for (unsigned i = 0; i < FUSE_KIT_FILES; i++)
        shared->node_of[i] = i + 2;
    for (unsigned i = 0; i < FUSE_KIT_NODES; i++)
        shared->nodes[i].size = FUSE_KIT_SIZE;
}

void fuse_kit_mount(struct fuse_kit *kit, const struct fuse_kit_options *options) {
    char text[128];
    *kit = (struct fuse_kit){.options = *options};
    kit->device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    kit->wake = eventfd(0, EFD_CLOEXEC);
    kit->shared = mmap(NULL, sizeof *kit->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(kit->device >= 0 && kit->wake >= 0);
    assert_ptr_not_equal(kit->shared, MAP_FAILED);
    reset(kit->shared);
    (void)snprintf(text, sizeof text, "fd=%d,rootmode=40000,user_id=0,group_id=0", kit->device);
    assert_int_equal(mount("modes", FUSE_KIT_MOUNT, "fuse.modes", options->mount_flags, text), 0);
    fuse_kit_serve(kit, NULL);
    assert_int_equal(access(FUSE_KIT_MOUNT "/none", F_OK), -1);
    assert_int_equal(errno, ENOENT); // so INIT is answered
    fuse_kit_forget(kit);
}

void fuse_kit_unmount(struct fuse_kit *kit) {
    assert_int_equal(umount2(FUSE_KIT_MOUNT, MNT_DETACH), 0);
    fuse_kit_kill(kit);
    assert_int_equal(close(kit->device), 0);
    assert_int_equal(close(kit->wake), 0);
    assert_int_equal(munmap(kit->shared, sizeof *kit->shared), 0);
}

void fuse_kit_serve(struct fuse_kit *kit, void (*start)(struct fuse_kit *kit)) {
    kit->server = fork();
    assert_true(kit->server >= 0);
    if (kit->server > 0)
        return;
    (void)signal(SIGALRM, SIG_IGN);
    if (start)
        start(kit);
    fuse_kit_server(kit);
}

void fuse_kit_kill(struct fuse_kit *kit) {
    assert_int_equal(kill(kit->server, SIGKILL), 0);
    assert_int_equal(waitpid(kit->server, NULL, 0), kit->server);
}

struct fuse_kit_node *fuse_kit_node(struct fuse_kit *kit, const char *name) {
    return &kit->shared->nodes[kit->shared->node_of[name[0] - 'a']];
}

int fuse_kit_open(struct fuse_kit *kit, const char *name, int flags, uint32_t reply_flags, int32_t backing_id) {
    char path[sizeof FUSE_KIT_MOUNT + 8];
    fuse_kit_node(kit, name)->flags = reply_flags;
    fuse_kit_node(kit, name)->backing_id = backing_id;
    (void)snprintf(path, sizeof path, FUSE_KIT_MOUNT "/%s", name);
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int fuse_kit_register(const struct fuse_kit *kit, int fd) {
    struct fuse_abi_backing_map map = {.fd = fd};
    int id = ioctl(kit->device, FUSE_ABI_BACKING_OPEN, &map);
    return id < 0 ? -errno : id;
}

int fuse_kit_unregister(const struct fuse_kit *kit, int32_t id) {
    return ioctl(kit->device, FUSE_ABI_BACKING_CLOSE, &id) < 0 ? -errno : 0;
}

void fuse_kit_make_file(const char *path, char fill, size_t size) {
    static char bytes[FUSE_KIT_SIZE];
    assert_true(size <= sizeof bytes);
    memset(bytes, fill, size);
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, size), size);
}

int32_t fuse_kit_backing(const struct fuse_kit *kit, const char *path, char fill, size_t size) {
    fuse_kit_make_file(path, fill, size);
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    int32_t id = fuse_kit_register(kit, fd);
    assert_true(id > 0);
    return id;
}

unsigned fuse_kit_count(const struct fuse_kit *kit, uint32_t opcode) {
    unsigned found = 0, logged = kit->shared->logged;
    for (unsigned i = 0; i < logged; i++)
        found += kit->shared->log[i].opcode == opcode;
    return found;
}

void fuse_kit_forget(struct fuse_kit *kit) {
    kit->shared->logged = 0;
}

void fuse_kit_wait(const struct fuse_kit *kit, uint32_t opcode, unsigned count) {
    for (int ms = 0; ms < WAIT_MS && fuse_kit_count(kit, opcode) < count; ms++)
        (void)usleep(1000);
    assert_int_equal(fuse_kit_count(kit, opcode), count);
}

void fuse_kit_let_go(struct fuse_kit *kit) {
    uint64_t one = 1;
    kit->shared->held = 0;
    assert_int_equal(write(kit->wake, &one, sizeof one), sizeof one);
}
