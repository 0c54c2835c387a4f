// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/image.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "tests/support/pool_kit.h"

#define KIB INT64_C(1024)
#define MIB (KIB * KIB)

// ---- a kernel that is told what to do: the product's calls end here ----

static struct kernel {
    size_t step;         // bytes of one copy_file_range; 0: all
    int copy_code;       // what it fails with
    unsigned copies;     // calls of it
    atomic_bool *cancel; // set by the first
    struct str order;    // 's'ync of a file, 'r'ename, 'd'irectory synced
} kernel;

ssize_t copy_file_range(int from, off_t *in, int to, off_t *out, size_t n, unsigned flags) {
    kernel.copies++;
    if (kernel.cancel)
        atomic_store(kernel.cancel, true);
    if (kernel.copy_code) {
        errno = kernel.copy_code;
        return -1;
    }
    return (ssize_t)syscall(SYS_copy_file_range, from, in, to, out, kernel.step && n > kernel.step ? kernel.step : n,
                            flags);
}
int fsync(int fd) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    (void)str_append(&kernel.order, S_ISDIR(st.st_mode) ? "d" : "s");
    return (int)syscall(SYS_fsync, fd);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    (void)str_append(&kernel.order, "r");
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

static int set_up(void **state) {
    int r = pool_kit_setup(state);
    if (r == 0) {
        struct pool_kit *kit = *state;
        pool_kit_open(kit);
        kit->pool->reflink = false; // copying is what is tested, whatever /tmp can
        str_done(&kernel.order);
    }
    return r;
}
static int tear_down(void **state) {
    struct pool_kit *kit = *state;
    pool_kit_close(kit);
    (void)umount(kit->directory); // the small one
    str_done(&kernel.order);
    kernel = (struct kernel){0};
    return pool_kit_teardown(state);
}

// ---- small things ----

static const char *path_of(const struct pool_kit *kit, const char *name) {
    return pool_kit_path(kit, "data", "", pool_kit_id(name).key, "");
}
static bool has_unfinished(const struct pool_kit *kit, const char *name) {
    return pool_kit_exists(pool_kit_path(kit, "data", ".", pool_kit_id(name).key, ".new"));
}
static struct stat stat_of(const struct pool_kit *kit, const char *name) {
    struct stat st;
    assert_int_equal(stat(path_of(kit, name), &st), 0);
    return st;
}
static int create(struct pool_kit *kit, const char *name, int64_t bytes, bool full, struct err *err) {
    struct pool_kit_id id = pool_kit_id(name);
    const struct data_request request = {.id = id.text, .bytes = bytes, .full = full};
    return image_create(kit->pool, &request, err);
}
static void put(const struct pool_kit *kit, const char *name, const char *text, off_t at) {
    int fd cleanup_close = open(path_of(kit, name), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
}
static void assert_at(const struct pool_kit *kit, const char *name, const char *text, off_t at) {
    char found[64] = {0};
    int fd cleanup_close = open(path_of(kit, name), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, found, strlen(text), at), strlen(text));
    assert_string_equal(found, text);
}

// An image of 200 MiB and a bit with data at its start, in its middle and at its end, and holes between.
#define SPARSE_BYTES (200 * MIB + 4096)
#define SPARSE_MIDDLE (65 * MIB)
static void make_sparse(struct pool_kit *kit, const char *name) {
    assert_int_equal(create(kit, name, SPARSE_BYTES, false, NULL), 0);
    put(kit, name, "the start", 0);
    put(kit, name, "the middle", SPARSE_MIDDLE);
    put(kit, name, "the end", SPARSE_BYTES - 7);
}
static void assert_sparse(const struct pool_kit *kit, const char *name) {
    assert_at(kit, name, "the start", 0);
    assert_at(kit, name, "the middle", SPARSE_MIDDLE);
    assert_at(kit, name, "the end", SPARSE_BYTES - 7);
    assert_true(stat_of(kit, name).st_blocks * 512 <= stat_of(kit, "original").st_blocks * 512 + 64 * KIB);
    assert_true(stat_of(kit, name).st_blocks * 512 < MIB);
}

static struct data_copy copy_to(const struct pool_kit *kit, const char *from, const char *to, int64_t bytes) {
    struct data_copy copy = {.pool = kit->pool, .bytes = bytes, .deadline_ns = DEADLINE_NONE};
    assert_int_equal(LOCAL_SET(copy.from, pool_kit_id(from).text), 0);
    assert_int_equal(LOCAL_SET(copy.to, pool_kit_id(to).text), 0);
    return copy;
}
static void assert_nothing_of(const struct pool_kit *kit, const char *name) {
    assert_false(has_unfinished(kit, name));
    assert_false(pool_kit_exists(path_of(kit, name)));
}

// ---- making ----

static void thin_takes_no_blocks_and_full_takes_all(void **state) {
    struct pool_kit *kit = *state;
    assert_int_equal(create(kit, "thin", 64 * MIB, false, NULL), 0);
    assert_int_equal(create(kit, "full", 8 * MIB, true, NULL), 0);
    assert_string_equal(str_text(&kernel.order), "srdsrd"); // on the disk before it counts
    assert_int_equal(stat_of(kit, "thin").st_size, 64 * MIB);
    assert_int_equal(stat_of(kit, "full").st_size, 8 * MIB);
    assert_int_equal(stat_of(kit, "thin").st_mode & 07777, 0600);
    assert_true(image_allocated(kit->pool, pool_kit_id("thin").text) < MIB);
    assert_true(image_allocated(kit->pool, pool_kit_id("full").text) >= 8 * MIB);
    assert_true(image_exists(kit->pool, pool_kit_id("thin").text));
    assert_false(image_exists(kit->pool, pool_kit_id("none").text));
    assert_int_equal(image_allocated(kit->pool, pool_kit_id("none").text), 0);
    assert_false(has_unfinished(kit, "thin"));
}

static void what_a_killed_process_left_is_made_anew(void **state) {
    struct pool_kit *kit = *state;
    pool_kit_write(pool_kit_path(kit, "data", ".", pool_kit_id("a").key, ".new"), "somebody's secret");
    assert_int_equal(create(kit, "a", MIB, false, NULL), 0);
    char zeros[17] = {0}, found[17];
    int fd cleanup_close = open(path_of(kit, "a"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, found, sizeof found, 0), sizeof found);
    assert_memory_equal(found, zeros, sizeof found);
}

// ---- copying ----

static void copies_hold_the_same_and_keep_holes(void **state) {
    struct pool_kit *kit = *state;
    make_sparse(kit, "original");
    static const size_t steps[] = {0, 1500}; // the kernel may copy less than it is asked for
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct data_copy copy = copy_to(kit, "original", "copy", SPARSE_BYTES);
        kernel.step = steps[i];
        str_done(&kernel.order);
        assert_int_equal(image_copy(&copy, NULL), 0);
        assert_string_equal(str_text(&kernel.order), "srd");
        assert_int_equal(stat_of(kit, "copy").st_size, SPARSE_BYTES);
        assert_sparse(kit, "copy");
        put(kit, "copy", "CHANGED", 0); // it is one of its own
        assert_at(kit, "original", "the start", 0);
    }
    assert_int_equal(create(kit, "blank", 4 * MIB, false, NULL), 0);
    struct data_copy blank = copy_to(kit, "blank", "copy of blank", 4 * MIB);
    assert_int_equal(image_copy(&blank, NULL), 0);
    assert_int_equal(stat_of(kit, "copy of blank").st_size, 4 * MIB);
    assert_true(stat_of(kit, "copy of blank").st_blocks * 512 < MIB);
}

static void a_larger_copy_ends_in_zeros(void **state) {
    struct pool_kit *kit = *state;
    make_sparse(kit, "original");
    struct data_copy copy = copy_to(kit, "original", "larger", SPARSE_BYTES + 100 * MIB);
    assert_int_equal(image_copy(&copy, NULL), 0);
    assert_int_equal(stat_of(kit, "larger").st_size, SPARSE_BYTES + 100 * MIB);
    assert_sparse(kit, "larger");
    char found[8];
    int fd cleanup_close = open(path_of(kit, "larger"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, found, 8, SPARSE_BYTES), 8);
    assert_memory_equal(found, "\0\0\0\0\0\0\0", 8);
}

static void a_copy_that_is_cut_short_leaves_nothing(void **state) {
    struct pool_kit *kit = *state;
    struct err err = ERR_NONE;
    atomic_bool cancel = false;
    make_sparse(kit, "original");
    struct data_copy copy = copy_to(kit, "original", "copy", SPARSE_BYTES);

    copy.deadline_ns = clock_monotonic(&clock_system);
    assert_int_equal(image_copy(&copy, &err), -ETIMEDOUT);
    assert_nothing_of(kit, "copy");
    assert_int_equal(kernel.copies, 0);

    copy.deadline_ns = DEADLINE_NONE;
    copy.cancel = &cancel;
    kernel.cancel = &cancel; // in the middle
    assert_int_equal(image_copy(&copy, &err), -ECANCELED);
    assert_nothing_of(kit, "copy");
    assert_int_equal(kernel.copies, 1);

    kernel.cancel = NULL;
    copy.cancel = NULL;
    static const int codes[] = {EIO, ENOSPC, EDQUOT};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        kernel.copy_code = codes[i];
        assert_int_equal(image_copy(&copy, &err), codes[i] == EIO ? -EIO : -ENOSPC);
        assert_non_null(strstr(err.msg, "pool 'fast'"));
        assert_nothing_of(kit, "copy");
    }
    assert_non_null(strstr(err.msg, "delete volumes or give it more space"));
    kernel.copy_code = 0;
    assert_sparse(kit, "original");
    assert_int_equal(image_copy(&copy, &err), 0);
}

static void a_copy_of_nothing_names_what_is_missing(void **state) {
    struct pool_kit *kit = *state;
    struct err err = ERR_NONE;
    struct data_copy copy = copy_to(kit, "none", "copy", MIB);
    assert_int_equal(image_copy(&copy, &err), -EIO);
    assert_non_null(strstr(err.msg, pool_kit_id("none").text));
    assert_nothing_of(kit, "copy");
}

// ---- growing, keeping, removing ----

static int grow(struct pool_kit *kit, const char *name, int64_t bytes, bool full, struct err *err) {
    return image_grow(kit->pool, pool_kit_id(name).text, bytes, full, err);
}

static void growing_keeps_what_is_there_and_never_shrinks(void **state) {
    struct pool_kit *kit = *state;
    struct err err = ERR_NONE;
    assert_int_equal(create(kit, "a", 2 * MIB, false, NULL), 0);
    put(kit, "a", "the end", 2 * MIB - 7);
    assert_int_equal(grow(kit, "a", MIB, false, NULL), 0);
    assert_int_equal(stat_of(kit, "a").st_size, 2 * MIB);
    assert_int_equal(grow(kit, "a", 8 * MIB, false, NULL), 0);
    assert_int_equal(stat_of(kit, "a").st_size, 8 * MIB);
    assert_true(stat_of(kit, "a").st_blocks * 512 < MIB);
    assert_at(kit, "a", "the end", 2 * MIB - 7);
    assert_int_equal(grow(kit, "a", 12 * MIB, true, NULL), 0);
    assert_true(stat_of(kit, "a").st_blocks * 512 >= 12 * MIB);
    assert_at(kit, "a", "the end", 2 * MIB - 7);
    assert_int_equal(grow(kit, "none", MIB, false, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "pool 'fast'"));
    assert_false(pool_kit_exists(path_of(kit, "none")));
}

static void removing_and_keeping_may_be_repeated(void **state) {
    struct pool_kit *kit = *state;
    const struct pool_kit_id a = pool_kit_id("a"), b = pool_kit_id("b");
    assert_int_equal(create(kit, "a", MIB, false, NULL), 0);
    assert_int_equal(create(kit, "b", MIB, false, NULL), 0);
    put(kit, "b", "kept", 0);
    assert_int_equal(image_remove(kit->pool, a.text, DEADLINE_NONE, NULL), 0);
    assert_int_equal(image_remove(kit->pool, a.text, DEADLINE_NONE, NULL), 0);
    assert_false(image_exists(kit->pool, a.text));
    assert_int_equal(local_pool_retain(kit->pool, b.text, NULL), 0);
    assert_int_equal(local_pool_retain(kit->pool, b.text, NULL), 0);
    assert_false(image_exists(kit->pool, b.text));
    // Another volume of that name does not replace what was kept.
    for (int i = 0; i < 2; i++) {
        assert_int_equal(create(kit, "b", MIB, false, NULL), 0);
        put(kit, "b", i == 0 ? "next" : "last", 0);
        assert_int_equal(local_pool_retain(kit->pool, b.text, NULL), 0);
    }
    static const char *const suffixes[] = {"", "-2", "-3"}, *const texts[] = {"kept", "next", "last"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        char found[8] = {0};
        int fd cleanup_close = open(pool_kit_path(kit, "retained", "", b.key, suffixes[i]), O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, found, 4, 0), 4);
        assert_string_equal(found, texts[i]);
    }
}

static void the_path_is_that_of_the_file(void **state) {
    struct pool_kit *kit = *state;
    char path[IMAGE_PATH_SIZE], deep[IMAGE_PATH_SIZE];
    struct err err = ERR_NONE;
    assert_int_equal(image_path(kit->pool, pool_kit_id("a").text, path, &err), 0);
    assert_string_equal(path, path_of(kit, "a"));
    memset(deep, 'd', sizeof deep - HASH_ID_LEN - 1);
    deep[sizeof deep - HASH_ID_LEN - 1] = '\0';
    struct local_pool far = {.name = (char[]){"far"}, .data = deep};
    assert_int_equal(image_path(&far, pool_kit_id("a").text, path, &err), -ENAMETOOLONG);
    assert_non_null(strstr(err.msg, "pool 'far'"));
}

// ---- a full pool ----

// A file system of its own for the pool, in a mount namespace of this process. False: only root may do so.
static bool mount_small(const char *directory) {
    static bool own;
    if (!own && unshare(CLONE_NEWNS) < 0)
        return false;
    own = true;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", directory, "tmpfs", 0, "size=8m") == 0;
}

static void assert_full(int r, const struct err *err) {
    assert_int_equal(r, -ENOSPC);
    assert_non_null(strstr(err->msg, "pool 'fast' is full"));
    assert_non_null(strstr(err->msg, "delete volumes or give it more space"));
}

static void a_full_pool_is_told_of_and_nothing_stays(void **state) {
    struct pool_kit *kit = *state;
    struct err err = ERR_NONE;
    pool_kit_close(kit);
    if (!mount_small(kit->directory))
        skip();
    pool_kit_open(kit);
    kit->pool->reflink = false;

    assert_full(create(kit, "large", 64 * MIB, true, &err), &err);
    assert_nothing_of(kit, "large");
    assert_int_equal(create(kit, "thin", 64 * MIB, false, NULL), 0);
    assert_int_equal(create(kit, "full", 5 * MIB, true, NULL), 0);
    for (int64_t at = 0; at < 5 * MIB; at += 4096)
        put(kit, "full", "data", at);
    struct data_copy copy = copy_to(kit, "full", "copy", 5 * MIB);
    assert_full(image_copy(&copy, &err), &err);
    assert_nothing_of(kit, "copy");
    for (int i = 0; i < 2; i++) { // the second is no success because of what the first left
        assert_full(grow(kit, "full", 32 * MIB, true, &err), &err);
        assert_int_equal(stat_of(kit, "full").st_size, 5 * MIB);
    }
    assert_true(image_allocated(kit->pool, pool_kit_id("full").text) <= 5 * MIB);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(thin_takes_no_blocks_and_full_takes_all),
        TEST(what_a_killed_process_left_is_made_anew),
        TEST(copies_hold_the_same_and_keep_holes),
        TEST(a_larger_copy_ends_in_zeros),
        TEST(a_copy_that_is_cut_short_leaves_nothing),
        TEST(a_copy_of_nothing_names_what_is_missing),
        TEST(growing_keeps_what_is_there_and_never_shrinks),
        TEST(removing_and_keeping_may_be_repeated),
        TEST(the_path_is_that_of_the_file),
        TEST(a_full_pool_is_told_of_and_nothing_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
