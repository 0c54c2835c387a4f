// SPDX-License-Identifier: Apache-2.0
// Where writes, maps and reads of passthrough opens go, and what size and attributes do meanwhile; see "What the kernel
// allows" in node-plugin/cachefs/README.md.
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "tests/support/fuse_kit.h"

enum { PAGE = 4096, LIMIT_S = 60 };
static const uint32_t CACHED = 0, PASS = FOPEN_PASSTHROUGH, PASS_DIRECT = FOPEN_PASSTHROUGH | FOPEN_DIRECT_IO;
static const char A[] = FUSE_KIT_DIR "/A";

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
// Of a file beside the mount.
static int byte_in(const char *path, off_t at) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    return byte_read_at(fd, at);
}
static off_t size_of(int fd) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_size;
}

static void passthrough_writes_land_in_the_backing(void **state) {
    (void)state;
    int32_t id = fuse_kit_backing(&kit, A, 'A', 2 * PAGE); // by a read-only descriptor
    int writer = fuse_kit_open(&kit, "a", O_WRONLY, PASS, id), both = fuse_kit_open(&kit, "a", O_RDWR, PASS, id);
    assert_int_equal(pwrite(writer, "x", 1, 0), 1);
    assert_int_equal(pwrite(both, "y", 1, 1), 1);
    char *mapping = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, both, 0);
    mapping[2] = 'z';
    assert_int_equal(byte_in(A, 0), 'x');
    assert_int_equal(byte_in(A, 1), 'y');
    assert_int_equal(byte_in(A, 2), 'z');
    assert_int_equal(fuse_kit_count(&kit, FUSE_WRITE), 0);
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(close(writer), 0);
    assert_int_equal(close(both), 0);
}

static void passthrough_and_direct_writes_go_to_the_daemon_and_stores_to_the_backing(void **state) {
    (void)state;
    int32_t id = fuse_kit_backing(&kit, A, 'A', 2 * PAGE);
    int reader = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    int writer = fuse_kit_open(&kit, "a", O_WRONLY, PASS_DIRECT, id);
    int both = fuse_kit_open(&kit, "a", O_RDWR, PASS_DIRECT, id);
    assert_int_equal(pwrite(writer, "x", 1, 0), 1);
    assert_int_equal(pwrite(both, "y", 1, 1), 1);
    assert_int_equal(fuse_kit_count(&kit, FUSE_WRITE), 2);
    assert_int_equal(byte_in(A, 0), 'A');
    assert_int_equal(byte_in(A, 1), 'A');
    // Nothing tells the daemon of a store.
    char *mapping = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, both, 0);
    mapping[2] = 'z';
    assert_int_equal(msync(mapping, PAGE, MS_SYNC), 0);
    assert_int_equal(byte_in(A, 2), 'z');
    assert_int_equal(byte_read_at(reader, 2), 'z');
    assert_int_equal(fuse_kit_count(&kit, FUSE_WRITE), 2);
    assert_int_equal(fuse_kit_count(&kit, FUSE_FSYNC), 0);
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(close(reader), 0);
    assert_int_equal(close(writer), 0);
    assert_int_equal(close(both), 0);
}

static void write_only_opens_cannot_be_mapped(void **state) {
    (void)state;
    int32_t id = fuse_kit_backing(&kit, A, 'A', 2 * PAGE);
    const uint32_t modes[] = {PASS, PASS_DIRECT};
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        int fd = fuse_kit_open(&kit, "a", O_WRONLY, modes[i], id);
        assert_true(fd >= 0);
        assert_ptr_equal(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        assert_int_equal(errno, EACCES);
        assert_ptr_equal(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), MAP_FAILED);
        assert_int_equal(errno, EACCES);
        assert_int_equal(close(fd), 0);
    }
    // Nor stored to through a read-only one, and no cached descriptor can be mapped beside.
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    assert_ptr_equal(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(errno, EACCES);
    assert_int_equal(close(fd), 0);
}

static void a_passthrough_write_beyond_the_end_asks_the_daemon_for_the_size(void **state) {
    (void)state;
    fuse_kit_node(&kit, "a")->size = PAGE;
    int32_t id = fuse_kit_backing(&kit, A, 'A', PAGE);
    int fd = fuse_kit_open(&kit, "a", O_RDWR, PASS, id);
    assert_int_equal(pwrite(fd, "x", 1, PAGE), 1);
    fuse_kit_node(&kit, "a")->size = PAGE + 1;
    fuse_kit_forget(&kit);
    assert_int_equal(size_of(fd), PAGE + 1);
    assert_int_equal(fuse_kit_count(&kit, FUSE_GETATTR), 1);
    assert_int_equal(close(fd), 0);
}

// --- attributes -----------------------------------------------------------------------------------------------------

static unsigned getattrs_of_statx(unsigned mask) {
    struct statx st;
    fuse_kit_forget(&kit);
    assert_int_equal(statx(AT_FDCWD, FUSE_KIT_MOUNT "/a", 0, mask, &st), 0);
    return fuse_kit_count(&kit, FUSE_GETATTR);
}

static void a_passthrough_read_costs_a_getattr(void **state) {
    (void)state;
    int32_t id = fuse_kit_backing(&kit, A, 'A', FUSE_KIT_SIZE);
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    assert_int_equal(getattrs_of_statx(STATX_BASIC_STATS), 0);
    assert_int_equal(byte_read_at(fd, 0), 'A');
    // The access time only: who does not want it, as the kernel itself for SEEK_END, is answered from memory.
    assert_int_equal(getattrs_of_statx(STATX_BASIC_STATS & ~STATX_ATIME), 0);
    assert_int_equal(getattrs_of_statx(STATX_BASIC_STATS), 1);
    assert_int_equal(getattrs_of_statx(STATX_BASIC_STATS), 0);
    void *mapping = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    assert_int_equal(getattrs_of_statx(STATX_BASIC_STATS), 1); // a map is an access
    assert_int_equal(munmap(mapping, PAGE), 0);
    assert_int_equal(close(fd), 0);
}

static unsigned getattrs_after_a_read(unsigned long mount_flags) {
    struct fuse_kit_options options = fuse_kit_passthrough;
    options.mount_flags = mount_flags;
    fuse_kit_unmount(&kit);
    fuse_kit_mount(&kit, &options);
    int32_t id = fuse_kit_backing(&kit, A, 'A', FUSE_KIT_SIZE);
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    assert_int_equal(byte_read_at(fd, 0), 'A');
    assert_int_equal(close(fd), 0);
    return getattrs_of_statx(STATX_BASIC_STATS);
}

static void but_not_on_a_read_only_superblock(void **state) {
    (void)state;
    assert_int_equal(getattrs_after_a_read(0), 1);
    assert_int_equal(getattrs_after_a_read(MS_NOATIME), 1);
    assert_int_equal(getattrs_after_a_read(MS_RDONLY), 0);
}

// --- a size that the kernel does not know ---------------------------------------------------------------------------

static void append(const char *path, char fill) {
    char bytes[PAGE];
    memset(bytes, fill, sizeof bytes);
    int fd cleanup_close = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
}

static void passthrough_reads_end_where_the_backing_ends(void **state) {
    (void)state;
    char bytes[2 * PAGE];
    fuse_kit_node(&kit, "a")->size = PAGE;
    int32_t id = fuse_kit_backing(&kit, A, 'A', PAGE);
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS, id);
    assert_int_equal(read(fd, bytes, sizeof bytes), PAGE);
    assert_int_equal(read(fd, bytes, sizeof bytes), 0);
    append(A, 'B');
    assert_int_equal(size_of(fd), PAGE);
    assert_int_equal(read(fd, bytes, sizeof bytes), PAGE);
    assert_int_equal(bytes[0], 'B');
    assert_int_equal(lseek(fd, 0, SEEK_END), PAGE); // the attribute's
    int out cleanup_close = memfd_create("out", MFD_CLOEXEC);
    off_t at = PAGE;
    assert_int_equal(sendfile(out, fd, &at, PAGE), PAGE);
    char *mapping = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    assert_int_equal(mapping[PAGE], 'B');
    assert_int_equal(munmap(mapping, 2 * PAGE), 0);
    assert_int_equal(close(fd), 0);

    fuse_kit_node(&kit, "b")->size = 3 * PAGE; // longer than its backing
    fd = fuse_kit_open(&kit, "b", O_RDONLY, PASS, id);
    assert_int_equal(pread(fd, bytes, sizeof bytes, PAGE), PAGE);
    assert_int_equal(pread(fd, bytes, sizeof bytes, 2 * PAGE), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fuse_kit_count(&kit, FUSE_READ), 0);
}

static void direct_reads_ask_beyond_the_size_and_cached_reads_do_not(void **state) {
    (void)state;
    fuse_kit_node(&kit, "a")->size = PAGE;
    int32_t id = fuse_kit_backing(&kit, A, 'A', PAGE);
    int fd = fuse_kit_open(&kit, "a", O_RDONLY, PASS_DIRECT, id);
    fuse_kit_node(&kit, "a")->size = 2 * PAGE; // with attributes that stay good for an hour
    assert_int_equal(size_of(fd), PAGE);
    assert_int_equal(byte_read_at(fd, PAGE), FUSE_KIT_BYTE);
    assert_int_equal(size_of(fd), 2 * PAGE); // a read of any kind makes stat ask
    assert_int_equal(close(fd), 0);
    fd = fuse_kit_open(&kit, "a", O_RDONLY, CACHED, 0);
    fuse_kit_node(&kit, "a")->size = 3 * PAGE;
    assert_int_equal(byte_read_at(fd, 0), FUSE_KIT_BYTE);
    assert_int_equal(byte_read_at(fd, 2 * PAGE), 0);
    assert_int_equal(close(fd), 0);
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
        CASE(passthrough_writes_land_in_the_backing),
        CASE(passthrough_and_direct_writes_go_to_the_daemon_and_stores_to_the_backing),
        CASE(write_only_opens_cannot_be_mapped),
        CASE(a_passthrough_write_beyond_the_end_asks_the_daemon_for_the_size),
        CASE(a_passthrough_read_costs_a_getattr),
        CASE(but_not_on_a_read_only_superblock),
        CASE(passthrough_reads_end_where_the_backing_ends),
        CASE(direct_reads_ask_beyond_the_size_and_cached_reads_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
