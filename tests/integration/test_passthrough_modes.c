// SPDX-License-Identifier: Apache-2.0
// What the kernel lets be open beside a passthrough open, each row with the errno that open(2) gives; see "What the kernel
// allows" in node-plugin/cachefs/README.md.
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "tests/support/fuse_kit.h"

enum { PAGE = 4096, LIMIT_S = 60 };
static const uint32_t CACHED = 0, DIRECT = FOPEN_DIRECT_IO, PASS = FOPEN_PASSTHROUGH,
                      PASS_DIRECT = FOPEN_PASSTHROUGH | FOPEN_DIRECT_IO;

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

static int32_t backing(char fill) {
    char path[32];
    (void)snprintf(path, sizeof path, FUSE_KIT_DIR "/%c", fill);
    return fuse_kit_backing(&kit, path, fill, FUSE_KIT_SIZE);
}
static int open_as(uint32_t flags, int32_t id) {
    return fuse_kit_open(&kit, "a", O_RDONLY, flags, id);
}
// Opens and closes: 0 or -errno.
static int try_as(uint32_t flags, int32_t id) {
    int fd = open_as(flags, id);
    return fd < 0 ? fd : close(fd);
}
static int byte_read(int fd) {
    char c;
    return pread(fd, &c, 1, 0) == 1 ? c : -errno;
}
static void *map(int fd, int flags) {
    void *p = mmap(NULL, PAGE, PROT_READ, flags, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}
// A byte of a mapping, by a fault that happens now.
static int byte_at(const void *mapping) {
    return *(const volatile char *)mapping;
}

static void after_a_cached_open_passthrough_is_eio(void **state) {
    (void)state;
    int32_t id = backing('A');
    int cached = open_as(CACHED, 0);
    fuse_kit_forget(&kit);
    assert_int_equal(try_as(PASS, id), -EIO);
    assert_int_equal(try_as(PASS_DIRECT, id), -EIO);
    // The daemon hears of each refusal: its RELEASE came before open(2) returned.
    assert_int_equal(fuse_kit_count(&kit, FUSE_OPEN), 2);
    assert_int_equal(fuse_kit_count(&kit, FUSE_RELEASE), 2);
    assert_int_equal(byte_read(cached), FUSE_KIT_BYTE);
    assert_int_equal(close(cached), 0);
}

static void after_a_passthrough_open_cached_and_direct_are_eio(void **state) {
    (void)state;
    int32_t id = backing('A');
    int pass = open_as(PASS, id);
    assert_int_equal(try_as(CACHED, 0), -EIO);
    assert_int_equal(try_as(FOPEN_KEEP_CACHE, 0), -EIO);
    assert_int_equal(try_as(DIRECT, 0), -EIO);
    assert_int_equal(try_as(PASS, id), 0); // the same once more
    assert_int_equal(byte_read(pass), 'A');
    assert_int_equal(fuse_kit_count(&kit, FUSE_READ), 0);
    assert_int_equal(close(pass), 0);
}

static void another_backing_id_is_eio(void **state) {
    (void)state;
    int32_t a = backing('A'), b = backing('B');
    int fd cleanup_close = open(FUSE_KIT_DIR "/A", O_RDONLY | O_CLOEXEC);
    int32_t again = fuse_kit_register(&kit, fd);
    assert_true(again > 0 && again != a);
    int pass = open_as(PASS, a);
    assert_int_equal(try_as(PASS, b), -EIO);
    assert_int_equal(try_as(PASS, again), -EIO); // the file is the same
    assert_int_equal(try_as(PASS_DIRECT, again), -EIO);
    assert_int_equal(try_as(PASS, 0), -EIO);
    assert_int_equal(try_as(PASS, 999), -EIO); // an id of nothing
    assert_int_equal(close(pass), 0);
    // One id may serve several inodes.
    int other = fuse_kit_open(&kit, "b", O_RDONLY, PASS, b);
    pass = open_as(PASS, b);
    assert_int_equal(byte_read(pass), 'B');
    assert_int_equal(byte_read(other), 'B');
    assert_int_equal(close(pass), 0);
    assert_int_equal(close(other), 0);
}

// The other order, passthrough after passthrough and direct, is the same.
static void with_direct_reads_are_the_daemons_and_maps_the_backings(void **state) {
    (void)state;
    int32_t id = backing('A');
    for (int order = 0; order < 2; order++) {
        int first = open_as(order ? PASS_DIRECT : PASS, id), second = open_as(order ? PASS : PASS_DIRECT, id);
        int pass = order ? second : first, both = order ? first : second;
        assert_int_equal(byte_read(pass), 'A');
        assert_int_equal(byte_read(both), FUSE_KIT_BYTE);
        void *shared = map(both, MAP_SHARED), *private = map(both, MAP_PRIVATE);
        assert_int_equal(byte_at(shared), 'A');
        assert_int_equal(byte_at(private), 'A');
        assert_int_equal(munmap(shared, PAGE), 0);
        assert_int_equal(munmap(private, PAGE), 0);
        assert_int_equal(close(first), 0);
        assert_int_equal(close(second), 0);
    }
}

static void direct_opens_do_not_hinder_passthrough(void **state) {
    (void)state;
    int32_t id = backing('A');
    int direct = open_as(DIRECT, 0);
    assert_int_equal(byte_read(direct), FUSE_KIT_BYTE);
    int pass = open_as(PASS, id);
    assert_int_equal(byte_read(pass), 'A');
    assert_int_equal(byte_read(direct), FUSE_KIT_BYTE);
    // The direct descriptor cannot be mapped for as long as there is a passthrough open.
    assert_null(map(direct, MAP_PRIVATE));
    assert_int_equal(errno, ENODEV);
    assert_int_equal(close(pass), 0);
    void *mapping = map(direct, MAP_PRIVATE);
    assert_int_equal(byte_at(mapping), FUSE_KIT_BYTE);
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(close(direct), 0);
}

static void a_private_map_of_a_direct_open_does_not_hinder_passthrough(void **state) {
    (void)state;
    int32_t id = backing('A');
    int direct = open_as(DIRECT, 0);
    assert_null(map(direct, MAP_SHARED));
    assert_int_equal(errno, ENODEV); // without FUSE_DIRECT_IO_ALLOW_MMAP
    char *mapping = map(direct, MAP_PRIVATE);
    assert_int_equal(byte_at(mapping), FUSE_KIT_BYTE);
    int pass = open_as(PASS, id);
    assert_true(pass >= 0);
    assert_int_equal(byte_read(pass), 'A');
    assert_int_equal(byte_at(mapping), FUSE_KIT_BYTE);
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(close(pass), 0);
    assert_int_equal(close(direct), 0);
}

static void a_shared_map_of_a_direct_open_makes_it_cached(void **state) {
    (void)state;
    struct fuse_kit_options options = fuse_kit_passthrough;
    options.init_flags |= FUSE_ABI_DIRECT_IO_ALLOW_MMAP;
    fuse_kit_unmount(&kit);
    fuse_kit_mount(&kit, &options);
    int32_t id = backing('A');
    int direct = open_as(DIRECT, 0);
    void *mapping = map(direct, MAP_SHARED);
    assert_int_equal(byte_at(mapping), FUSE_KIT_BYTE);
    assert_int_equal(try_as(PASS, id), -EIO);
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(try_as(PASS, id), -EIO); // until the descriptor is closed
    assert_int_equal(close(direct), 0);
    assert_int_equal(try_as(PASS, id), 0);
}

static void the_mode_is_gone_when_close_returns(void **state) {
    (void)state;
    int32_t a = backing('A'), b = backing('B');
    for (int i = 0; i < 200; i++) {
        int pass = open_as(PASS, i % 2 ? a : b), again = dup(pass);
        assert_int_equal(close(pass), 0);
        assert_int_equal(try_as(CACHED, 0), -EIO); // the last close counts
        assert_int_equal(close(again), 0);
        int cached = open_as(CACHED, 0);
        assert_int_equal(byte_read(cached), FUSE_KIT_BYTE);
        assert_int_equal(close(cached), 0);
    }
}

// A READ that is not answered, in a background queue of one, keeps RELEASE from the daemon.
static void the_mode_is_gone_before_the_daemon_reads_release(void **state) {
    (void)state;
    struct fuse_kit_options options = fuse_kit_passthrough;
    options.max_background = 1;
    fuse_kit_unmount(&kit);
    fuse_kit_mount(&kit, &options);
    int32_t id = backing('A');
    int other = fuse_kit_open(&kit, "b", O_RDONLY, CACHED, 0), pass = open_as(PASS, id);
    kit.shared->held = FUSE_READ;
    assert_int_equal(posix_fadvise(other, 0, PAGE, POSIX_FADV_WILLNEED), 0);
    fuse_kit_wait(&kit, FUSE_READ, 1);
    fuse_kit_forget(&kit);
    assert_int_equal(close(pass), 0);
    int cached = open_as(CACHED, 0);
    assert_true(cached >= 0);
    assert_int_equal(fuse_kit_count(&kit, FUSE_OPEN), 1);
    assert_int_equal(fuse_kit_count(&kit, FUSE_RELEASE), 0);
    fuse_kit_let_go(&kit);
    fuse_kit_wait(&kit, FUSE_RELEASE, 1);
    assert_int_equal(close(cached), 0);
    assert_int_equal(close(other), 0);
}

static void readahead_in_flight_keeps_the_cached_mode_beyond_close(void **state) {
    (void)state;
    int32_t id = backing('A');
    int cached = open_as(CACHED, 0);
    kit.shared->held = FUSE_READ;
    assert_int_equal(posix_fadvise(cached, 0, PAGE, POSIX_FADV_WILLNEED), 0);
    fuse_kit_wait(&kit, FUSE_READ, 1);
    assert_int_equal(close(cached), 0);
    assert_int_equal(try_as(PASS, id), -EIO);
    assert_int_equal(fuse_kit_count(&kit, FUSE_RELEASE), 1); // of the refused open: who counts RELEASEs knows
    fuse_kit_let_go(&kit);
    fuse_kit_wait(&kit, FUSE_RELEASE, 2);
    assert_int_equal(try_as(PASS, id), 0);
}

static void a_map_keeps_the_cached_mode_and_not_the_passthrough_mode(void **state) {
    (void)state;
    int32_t id = backing('A');
    int cached = open_as(CACHED, 0);
    void *mapping = map(cached, MAP_SHARED);
    assert_int_equal(close(cached), 0);
    assert_int_equal(try_as(PASS, id), -EIO);
    fuse_kit_forget(&kit);
    assert_int_equal(munmap(mapping, PAGE), 0);
    fuse_kit_wait(&kit, FUSE_RELEASE, 1);

    int pass = open_as(PASS, id);
    mapping = map(pass, MAP_SHARED);
    fuse_kit_forget(&kit);
    assert_int_equal(close(pass), 0);
    fuse_kit_wait(&kit, FUSE_RELEASE, 1); // with the map alive
    assert_int_equal(umount2(FUSE_KIT_MOUNT, 0), -1);
    assert_int_equal(errno, EBUSY); // which holds the mount all the same
    cached = open_as(CACHED, 0);
    assert_int_equal(byte_read(cached), FUSE_KIT_BYTE);
    assert_int_equal(byte_at(mapping), 'A');
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(close(cached), 0);
}

static void a_server_without_open_has_no_passthrough(void **state) {
    (void)state;
    int32_t id = backing('A');
    fuse_kit_node(&kit, "a")->open_error = ENOSYS;
    assert_int_equal(try_as(PASS, id), 0);
    fuse_kit_node(&kit, "a")->open_error = 0;
    fuse_kit_forget(&kit);
    int fd = open_as(PASS, id); // OPEN is never sent again
    assert_int_equal(fuse_kit_count(&kit, FUSE_OPEN), 0);
    assert_int_equal(byte_read(fd), FUSE_KIT_BYTE);
    assert_int_equal(close(fd), 0);
}

static void few_flags_go_with_passthrough(void **state) {
    (void)state;
    int32_t id = backing('A');
    assert_int_equal(try_as(PASS | FOPEN_KEEP_CACHE, id), -EIO);
    assert_int_equal(try_as(PASS | FOPEN_NONSEEKABLE, id), -EIO);
    assert_int_equal(try_as(PASS | FOPEN_STREAM, id), -EIO);
    assert_int_equal(try_as(PASS | FOPEN_CACHE_DIR, id), -EIO);
    fuse_kit_forget(&kit);
    assert_int_equal(try_as(PASS_DIRECT | FOPEN_PARALLEL_DIRECT_WRITES, id), 0);
    assert_int_equal(fuse_kit_count(&kit, FUSE_FLUSH), 1);
    assert_int_equal(try_as(PASS | FOPEN_NOFLUSH, id), 0);
    assert_int_equal(fuse_kit_count(&kit, FUSE_FLUSH), 1); // none more
}

static void without_negotiation_there_is_none(void **state) {
    (void)state;
    struct fuse_kit_options refused[4];
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
        refused[i] = fuse_kit_passthrough;
    refused[0].init_flags &= ~FUSE_ABI_PASSTHROUGH;
    refused[1].init_flags |= FUSE_WRITEBACK_CACHE;
    refused[2].max_stack_depth = 0;
    refused[3].max_stack_depth = 3;
    int fd cleanup_close = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        fuse_kit_unmount(&kit);
        fuse_kit_mount(&kit, &refused[i]);
        assert_int_equal(fuse_kit_register(&kit, fd), -EPERM);
        assert_int_equal(try_as(PASS, 1), -EIO);
        assert_int_equal(try_as(CACHED, 0), 0);
    }
}

int main(void) {
    const char *why = NULL;
    (void)alarm(LIMIT_S); // nothing below takes a second; a request that nobody answers ends here
    if (!fuse_kit_prepare(&why)) {
        (void)printf("skipped: %s\n", why);
        return 77;
    }
#define CASE(name) cmocka_unit_test_setup_teardown(name, mounted, unmounted)
    const struct CMUnitTest tests[] = {
        CASE(after_a_cached_open_passthrough_is_eio),
        CASE(after_a_passthrough_open_cached_and_direct_are_eio),
        CASE(another_backing_id_is_eio),
        CASE(with_direct_reads_are_the_daemons_and_maps_the_backings),
        CASE(direct_opens_do_not_hinder_passthrough),
        CASE(a_private_map_of_a_direct_open_does_not_hinder_passthrough),
        CASE(a_shared_map_of_a_direct_open_makes_it_cached),
        CASE(the_mode_is_gone_when_close_returns),
        CASE(the_mode_is_gone_before_the_daemon_reads_release),
        CASE(readahead_in_flight_keeps_the_cached_mode_beyond_close),
        CASE(a_map_keeps_the_cached_mode_and_not_the_passthrough_mode),
        CASE(a_server_without_open_has_no_passthrough),
        CASE(few_flags_go_with_passthrough),
        CASE(without_negotiation_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
