// SPDX-License-Identifier: Apache-2.0
// What may back a passthrough open, how long it lives, and how an open gets from an old file to its successor; see "What
// the kernel allows" in node-plugin/cachefs/README.md.
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "tests/support/fuse_kit.h"

enum { PAGE = 4096, LIMIT_S = 60, WAIT_MS = 10000 };
static const uint32_t CACHED = 0, PASS = FOPEN_PASSTHROUGH;
static const char A[] = FUSE_KIT_DIR "/A", B[] = FUSE_KIT_DIR "/B";

static struct fuse_kit kit;

static int mounted(void **state) {
    (void)state;
    fuse_kit_mount(&kit, &fuse_kit_passthrough);
    return 0;
}
static int unmounted(void **state) {
    (void)state;
    fuse_kit_unmount(&kit);
    return 0;
}
static int byte_read_at(int fd, off_t at) {
    char c;
    ssize_t n = pread(fd, &c, 1, at);
    return n == 1 ? c : n == 0 ? 0 : -errno;
}
static int byte_at(const volatile char *mapping) {
    return *mapping;
}

// --- the life of a backing file -------------------------------------------------------------------------------------

enum { RESULT_ID, RESULT_GO };

static void register_locked(struct fuse_kit *k) {
    int fd = open(A, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH) < 0)
        _exit(1);
    k->shared->results[RESULT_ID] = fuse_kit_register(k, fd);
    (void)close(fd);
}
// A server that has been there before anything was open, and serves when it is told.
static void stand_by(struct fuse_kit *k) {
    for (int ms = 0; ms < WAIT_MS && !k->shared->results[RESULT_GO]; ms++)
        (void)usleep(1000);
}
static bool is_locked(const char *path) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
static void wait_until_unlocked(const char *path) {
    for (int ms = 0; ms < WAIT_MS && is_locked(path); ms++)
        (void)usleep(1000);
    assert_false(is_locked(path));
}

// Makes file A, and mounts with a server that locked, registered and closed it; kit.server follows when told.
static int32_t serve_locked(pid_t *ret_first) {
    fuse_kit_make_file(A, 'A', 2 * PAGE);
    fuse_kit_kill(&kit);
    fuse_kit_serve(&kit, register_locked);
    *ret_first = kit.server;
    fuse_kit_serve(&kit, stand_by);
    for (int ms = 0; ms < WAIT_MS && kit.shared->results[RESULT_ID] == 0; ms++)
        (void)usleep(1000);
    assert_true(kit.shared->results[RESULT_ID] > 0);
    return kit.shared->results[RESULT_ID];
}
static void replace(pid_t first) {
    struct fuse_kit old = kit;
    old.server = first;
    fuse_kit_kill(&old);
    kit.shared->results[RESULT_GO] = 1;
}

static void ids_and_their_locks_outlive_the_daemon(void **state) {
    (void)state;
    pid_t first;
    int32_t id = serve_locked(&first);
    int before = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    assert_int_equal(byte_read_at(before, 0), 'A');
    assert_true(is_locked(A)); // the daemon closed its descriptor
    replace(first);
    assert_true(is_locked(A)); // and is gone
    assert_int_equal(byte_read_at(before, PAGE), 'A');

    // Its successor has nothing but the device, and may give the id to the same inode and to another.
    int after = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id), other = fuse_kit_open(&kit, "b", O_RDONLY, PASS, id);
    assert_int_equal(byte_read_at(after, 0), 'A');
    assert_int_equal(byte_read_at(other, 0), 'A');
    assert_int_equal(fuse_kit_count(&kit, FUSE_READ), 0);
    int fd cleanup_close = open(A, O_RDONLY | O_CLOEXEC);
    int32_t fresh = fuse_kit_register(&kit, fd);
    assert_true(fresh > 0 && fresh != id);
    assert_int_equal(fuse_kit_open(&kit, "a", O_RDONLY, PASS, fresh), -EIO);
    assert_int_equal(close(before), 0);
    assert_int_equal(close(after), 0);
    assert_int_equal(close(other), 0);

    assert_true(is_locked(A)); // nothing is open, the id is registered
    assert_int_equal(fuse_kit_unregister(&kit, id), 0);
    assert_false(is_locked(A));
    assert_int_equal(fuse_kit_unregister(&kit, id), -ENOENT);
    assert_int_equal(fuse_kit_open(&kit, "a", O_RDONLY, PASS, id), -EIO);
}

static void an_id_that_is_given_back_lives_until_the_last_close(void **state) {
    (void)state;
    pid_t first;
    int32_t id = serve_locked(&first);
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id), again = dup(fd);
    assert_int_equal(fuse_kit_unregister(&kit, id), 0);
    assert_int_equal(fuse_kit_open(&kit, "a", O_RDONLY, PASS, id), -EIO);
    assert_true(is_locked(A));
    assert_int_equal(close(fd), 0);
    assert_true(is_locked(A));
    assert_int_equal(byte_read_at(again, 0), 'A');
    char *mapping = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, again, 0);
    assert_int_equal(close(again), 0);
    assert_false(is_locked(A)); // a map alone does not hold the lock
    assert_int_equal(byte_at(mapping), 'A');
    assert_int_equal(munmap(mapping, PAGE), 0);
    replace(first);
}

static void ids_go_with_mount_and_device(void **state) {
    (void)state;
    pid_t first;
    (void)serve_locked(&first);
    assert_int_equal(umount2(FUSE_KIT_MOUNT, 0), 0);
    assert_true(is_locked(A)); // as long as somebody has the device
    replace(first);
    fuse_kit_kill(&kit);
    assert_true(is_locked(A));
    assert_int_equal(close(kit.device), 0);
    wait_until_unlocked(A);
    (void)close(kit.wake);
    fuse_kit_mount(&kit, &fuse_kit_passthrough);
}

static void unlinking_the_backing_harms_nobody(void **state) {
    (void)state;
    int32_t id = fuse_kit_backing(&kit, A, 'A', FUSE_KIT_SIZE);
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    char *mapping = mmap(NULL, FUSE_KIT_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    assert_int_equal(byte_at(mapping), 'A');
    assert_int_equal(unlink(A), 0);
    fuse_kit_make_file(A, 'B', PAGE); // its name is taken by another
    for (off_t at = 0; at < FUSE_KIT_SIZE; at += PAGE) {
        assert_int_equal(byte_at(mapping + at), 'A'); // no SIGBUS
        assert_int_equal(byte_read_at(fd, at), 'A');
    }
    int late = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id); // the id stays good
    assert_int_equal(byte_read_at(late, 0), 'A');
    assert_int_equal(close(late), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fuse_kit_unregister(&kit, id), 0);
    assert_int_equal(byte_at(mapping + PAGE), 'A'); // the map has the file for itself
    assert_int_equal(munmap(mapping, FUSE_KIT_SIZE), 0);
}

// --- what may be one ------------------------------------------------------------------------------------------------

static int register_path(const char *path, int flags) {
    int fd cleanup_close = open(path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fuse_kit_register(&kit, fd);
}

static void directories_devices_and_nothing_are_refused(void **state) {
    (void)state;
    assert_int_equal(register_path(FUSE_KIT_DIR, O_RDONLY), -EISDIR);
    assert_int_equal(register_path("/dev/null", O_RDONLY), -EINVAL);
    assert_int_equal(fuse_kit_register(&kit, 9999), -EBADF);
    fuse_kit_make_file(A, 'A', PAGE);
    assert_true(register_path(A, O_PATH) > 0); // which flock(2) would refuse
    assert_true(register_path(A, O_WRONLY) > 0);
    assert_int_equal(fuse_kit_unregister(&kit, 999), -ENOENT);
}

static void a_file_of_the_mount_itself_is_refused(void **state) {
    (void)state;
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, CACHED, 0);
    assert_int_equal(fuse_kit_register(&kit, fd), -ELOOP);
    assert_int_equal(close(fd), 0);
}

static void stacks_are_two_deep_at_most(void **state) {
    (void)state;
    static const char over[] = FUSE_KIT_DIR "/over", file[] = FUSE_KIT_DIR "/over/f";
    static const char lower[] = "lowerdir=" FUSE_KIT_DIR "/lower1:" FUSE_KIT_DIR "/lower2";
    static const char mount_below[] = "lowerdir=" FUSE_KIT_DIR "/lower1:" FUSE_KIT_MOUNT;
    for (uint32_t depth = 1; depth <= 2; depth++) {
        struct fuse_kit_options options = fuse_kit_passthrough;
        options.max_stack_depth = depth;
        fuse_kit_unmount(&kit);
        fuse_kit_mount(&kit, &options);
        if (depth == 1) {
            assert_int_equal(mkdir(FUSE_KIT_DIR "/lower1", 0700), 0);
            assert_int_equal(mkdir(FUSE_KIT_DIR "/lower2", 0700), 0);
            assert_int_equal(mkdir(over, 0700), 0);
            fuse_kit_make_file(FUSE_KIT_DIR "/lower1/f", 'O', PAGE);
        }
        if (mount("over", over, "overlay", MS_RDONLY, lower) < 0 && errno == ENODEV)
            skip(); // a kernel without overlayfs
        int id = register_path(file, O_RDONLY);
        assert_int_equal(umount2(over, MNT_DETACH), 0);
        int above = mount("over", over, "overlay", MS_RDONLY, mount_below) < 0 ? -errno : 0;
        (void)umount2(over, MNT_DETACH);
        if (depth == 1) { // a file of an overlay may not back the mount, and an overlay may be made on it
            assert_int_equal(id, -ELOOP);
            assert_int_equal(above, 0);
        } else { // the other way round
            assert_true(id > 0);
            assert_int_equal(above, -EINVAL);
        }
    }
}

// --- from an old file to its successor ------------------------------------------------------------------------------

static void an_open_answered_estale_finds_the_new_node(void **state) {
    (void)state;
    int32_t a = fuse_kit_backing(&kit, A, 'A', PAGE), b = fuse_kit_backing(&kit, B, 'B', PAGE);
    struct fuse_kit_shared *shared = kit.shared;
    uint64_t old_node = shared->node_of[0], new_node = FUSE_KIT_FILES + 2;
    int old = fuse_kit_open(&kit, "a", O_RDONLY, PASS, a);
    shared->nodes[old_node].open_error = ESTALE;
    shared->node_of[0] = new_node;
    fuse_kit_forget(&kit);
    int new = fuse_kit_open(&kit, "a", O_RDONLY, PASS, b); // the name was good for an hour
    assert_true(new >= 0);
    assert_int_equal(shared->log[0].opcode, FUSE_OPEN);
    assert_int_equal(shared->log[0].node, old_node);
    assert_int_equal(fuse_kit_count(&kit, FUSE_LOOKUP), 2); // does the old name hold, and what holds instead
    assert_int_equal(shared->log[3].opcode, FUSE_OPEN);
    assert_int_equal(shared->log[3].node, new_node);
    assert_int_equal(shared->logged, 4);
    assert_int_equal(byte_read_at(new, 0), 'B');
    assert_int_equal(byte_read_at(old, 0), 'A');
    struct stat st;
    assert_int_equal(fstat(new, &st), 0);
    assert_int_equal(st.st_ino, new_node);
    assert_int_equal(fstat(old, &st), 0);
    assert_int_equal(st.st_ino, old_node);
    assert_int_equal(close(old), 0);
    assert_int_equal(close(new), 0);
}

// Where there is no name to look up again, or the same node is found, the program gets ESTALE.
static void estale_reaches_the_program_when_the_node_is_the_same(void **state) {
    (void)state;
    int32_t a = fuse_kit_backing(&kit, A, 'A', PAGE);
    int old = fuse_kit_open(&kit, "a", O_RDONLY, PASS, a);
    fuse_kit_node(&kit, "a")->open_error = ESTALE;
    fuse_kit_forget(&kit);
    assert_int_equal(fuse_kit_open(&kit, "a", O_RDONLY, PASS, a), -ESTALE);
    assert_int_equal(fuse_kit_count(&kit, FUSE_OPEN), 2);
    assert_int_equal(fuse_kit_count(&kit, FUSE_LOOKUP), 1);
    assert_int_equal(close(old), 0);
}

static void estale_reaches_the_program_without_a_name(void **state) {
    (void)state;
    static const char bound[] = FUSE_KIT_DIR "/bound";
    int32_t a = fuse_kit_backing(&kit, A, 'A', PAGE);
    int old = fuse_kit_open(&kit, "a", O_RDONLY, PASS, a);
    fuse_kit_make_file(bound, 'x', 1);
    assert_int_equal(mount(FUSE_KIT_MOUNT "/a", bound, NULL, MS_BIND, NULL), 0); // as a subPath of one file is
    fuse_kit_node(&kit, "a")->open_error = ESTALE;
    kit.shared->node_of[0] = FUSE_KIT_FILES + 2;
    char by_fd[32];
    (void)snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", old);
    const char *paths[] = {by_fd, bound};
    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        fuse_kit_forget(&kit);
        assert_int_equal(open(paths[i], O_RDONLY | O_CLOEXEC), -1);
        assert_int_equal(errno, ESTALE);
        assert_int_equal(fuse_kit_count(&kit, FUSE_OPEN), 2);
        assert_int_equal(fuse_kit_count(&kit, FUSE_LOOKUP), 0);
    }
    assert_int_equal(umount2(bound, MNT_DETACH), 0);
    assert_int_equal(close(old), 0);
}

int main(void) {
    const char *why = NULL;
    (void)alarm(LIMIT_S); // nothing above takes a second; a request that nobody answers ends here
    if (!fuse_kit_prepare(&why)) {
        (void)printf("skipped: %s\n", why);
        return 77;
    }
#define CASE(name) cmocka_unit_test_setup_teardown(name, mounted, unmounted)
    const struct CMUnitTest tests[] = {
        CASE(ids_and_their_locks_outlive_the_daemon),
        CASE(an_id_that_is_given_back_lives_until_the_last_close),
        CASE(ids_go_with_mount_and_device),
        CASE(unlinking_the_backing_harms_nobody),
        CASE(directories_devices_and_nothing_are_refused),
        CASE(a_file_of_the_mount_itself_is_refused),
        CASE(stacks_are_two_deep_at_most),
        CASE(an_open_answered_estale_finds_the_new_node),
        CASE(estale_reaches_the_program_when_the_node_is_the_same),
        CASE(estale_reaches_the_program_without_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
