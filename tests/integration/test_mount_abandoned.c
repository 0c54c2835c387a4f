// SPDX-License-Identifier: Apache-2.0
// A child that the kernel does not let go of: a FUSE mount whose daemon (this test) takes the request and never answers.
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/mount/child.h"
#include "lib/mount/mount.h"
#include "lib/mount/table.h"

static char directory[] = "/tmp/stowage-abandoned.XXXXXX";
static int device = -1, stop = -1;

static int64_t in_ms(int64_t ms) {
    return clock_monotonic(&clock_system) + ms * NS_PER_MS;
}

// Answers FUSE_INIT, takes every other request and forgets it.
static void *serve(void *arg) {
    (void)arg;
    static char buffer[FUSE_MIN_READ_BUFFER + 65536];
    for (;;) {
        struct pollfd fds[] = {{.fd = device, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
        (void)poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        ssize_t n = read(device, buffer, sizeof buffer);
        const struct fuse_in_header *in = (const void *)buffer;
        if (n < (ssize_t)sizeof *in || in->opcode != FUSE_INIT)
            continue;
        struct {
            struct fuse_out_header head;
            struct fuse_init_out init;
        } out = {.head = {.len = sizeof out, .unique = in->unique},
                 .init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536, .max_readahead = 65536}};
        (void)!write(device, &out, sizeof out);
    }
}

static int mount_silent(void) {
    char options[128];
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    stop = eventfd(0, EFD_CLOEXEC);
    if (device < 0 || mount("silent", directory, "fuse.silent", 0, options) < 0)
        return -errno;
    return 0;
}

static void wait_until_none(void) {
    int64_t limit = in_ms(20000);
    while (child_abandoned() > 0 && clock_monotonic(&clock_system) < limit)
        (void)sched_yield();
    assert_int_equal(child_abandoned(), 0);
}

static void a_stuck_child_is_given_up_once_and_collected_when_it_ends(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(mount_silent(), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    struct mount_space space;
    struct err err = ERR_NONE;
    int64_t deadline_ns = in_ms(300);
    assert_int_equal(mount_statfs(directory, deadline_ns, &space, &err), -ETIMEDOUT);
    assert_true(clock_monotonic(&clock_system) >= deadline_ns);
    assert_int_equal(child_abandoned(), 1);

    // The next try of the same kind starts no second child and does not wait.
    assert_int_equal(mount_statfs(directory, in_ms(3600000), &space, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.msg, "earlier"));
    assert_int_equal(child_abandoned(), 1);

    // Others work: the mount is busy, so that a plain umount fails, and is detached.
    assert_int_equal(mount_unmount(directory, false, in_ms(10000), NULL), -EBUSY);
    assert_int_equal(mount_unmount(directory, true, in_ms(10000), NULL), 0);
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(mount_table_load(NULL, &table, NULL), 0);
    assert_null(mount_table_find(table, directory));
    assert_int_equal(child_abandoned(), 1);

    // Its kernel lets go when the daemon's connection is aborted.
    uint64_t one = 1;
    (void)!write(stop, &one, sizeof one);
    (void)pthread_join(thread, NULL);
    (void)close(device); // the last reference to the connection goes
    (void)close(stop);
    wait_until_none();
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}
static int tear_down(void **state) {
    (void)state;
    (void)umount2(directory, MNT_DETACH);
    return rmdir(directory);
}

int main(int argc, char **argv) {
    if (child_is_wanted(argc, argv))
        return child_main(argc, argv);
    // Mounts of its own, so that none is left behind on the machine.
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)printf("skipped: needs root and /dev/fuse\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stuck_child_is_given_up_once_and_collected_when_it_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
