// SPDX-License-Identifier: Apache-2.0
// Objects where the disk fails and where room is short: what was there stays, and no workspace takes the disk.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

#define LARGE 300000
#define QUOTA (1024 * 1024)
static struct kit kit;
static char first[LARGE], second[LARGE];
static const struct object_condition any;

static int setup(void **state) {
    (void)state;
    memset(first, 'a', LARGE);
    memset(second, 'b', LARGE);
    kit_start(&kit);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    kit_stop(&kit);
    return 0;
}

// ---- a disk that cannot sync: both names, as SQLite calls the one it was built for ----

static atomic_int syncs_left = -1; // before they fail; -1: they do not

static int sync_or_fail(long number, int fd) {
    int left = atomic_load(&syncs_left);
    if (left == 0) {
        errno = EIO;
        return -1;
    }
    if (left > 0)
        atomic_fetch_sub(&syncs_left, 1);
    return (int)syscall(number, fd);
}
int fdatasync(int fd) {
    return sync_or_fail(SYS_fdatasync, fd);
}
int fsync(int fd) {
    return sync_or_fail(SYS_fsync, fd);
}

// The folder as a crash would leave it now, opened again.
static void crash(void) {
    char *copy cleanup_free = mem_printf("cp -a %s %s.left", kit.folder, kit.folder);
    char *back cleanup_free = mem_printf("rm -rf %s && mv %s.left %s", kit.folder, kit.folder, kit.folder);
    assert_int_equal(system(copy), 0); // NOLINT: the test's own words
    atomic_store(&syncs_left, -1);
    kit_close(&kit);
    assert_int_equal(system(back), 0); // NOLINT
    kit_open(&kit);
}

// However far the overwrite came, the object is whole afterwards: the one or the other.
static void test_failed_sync_keeps_an_object(void **state) {
    (void)state;
    bool told = true;
    for (int syncs = 0; syncs < 8; syncs++) {
        assert_int_equal(kit_object(&kit, "private", "k", first, LARGE, any), 0);
        atomic_store(&syncs_left, syncs);
        int r = kit_object(&kit, "private", "k", second, LARGE, any);
        told = r == 0;
        crash();
        size_t len;
        int code;
        char *got cleanup_free = kit_object_get(&kit, "private", "k", &len, &code);
        assert_int_equal(code, 0);
        assert_int_equal(len, LARGE);
        assert_true(memcmp(got, second, LARGE) == 0 || (r < 0 && memcmp(got, first, LARGE) == 0));
    }
    assert_true(told); // else the loop ended before the last sync
}

// ---- room ----

static struct object_upload *begin(int64_t size, int code) {
    struct object_upload *upload = NULL;
    struct err err = ERR_NONE;
    int r = kit.engine.object->upload(kit.engine.self, "ws", "private", text_blob("k"), NULL, size, &upload, &err);
    assert_int_equal(r, code);
    return upload;
}
static void cancel(struct object_upload *upload) {
    kit.engine.object->upload_cancel(kit.engine.self, upload);
}
static void limit(int64_t bytes) {
    struct err err = ERR_NONE;
    assert_int_equal(kit.engine.set_quota(kit.engine.self, "ws", &(struct quota){.bytes = bytes}, &err), 0);
}

static void test_announced_uploads_stay_below_the_quota(void **state) {
    (void)state;
    limit(QUOTA);
    (void)begin(INT64_C(1) << 30, -EDQUOT);
    struct object_upload *one = begin(QUOTA / 2, 0), *two = begin(QUOTA / 2, 0);
    (void)begin(LARGE, -EDQUOT);
    cancel(one);
    cancel(begin(LARGE, 0));
    cancel(two);
    assert_int_equal(kit_object(&kit, "private", "k", first, LARGE, any), 0);
    limit(0);
    cancel(begin(QUOTA * 10, 0));
}

static void test_uploads_of_unknown_size_stay_below_the_quota(void **state) {
    (void)state;
    limit(QUOTA);
    struct object_upload *upload = begin(-1, 0);
    struct err err = ERR_NONE;
    int r = 0, written = 0;
    while (r == 0 && ++written < 20)
        r = kit.engine.object->upload_write(kit.engine.self, upload, first, LARGE, &err);
    assert_int_equal(r, -EDQUOT);
    assert_int_equal(written, QUOTA / LARGE + 1);
    cancel(upload);
    assert_int_equal(kit_object(&kit, "private", "k", first, LARGE, any), 0);
}

static void test_overwriting_needs_no_room_of_its_own(void **state) {
    (void)state;
    limit(LARGE + 100);
    assert_int_equal(kit_object(&kit, "private", "k", first, LARGE, any), 0);
    assert_int_equal(kit_object(&kit, "private", "k", second, LARGE, any), 0);
    assert_int_equal(kit_object(&kit, "private", "other", second, LARGE, any), -EDQUOT);
}

// A key that comes twice in one write counts once.
static void test_a_batch_cannot_evade_the_quota(void **state) {
    (void)state;
    assert_int_equal(kit_ns(&kit, "n"), 0);
    static char value[200001];
    memset(value, 'v', sizeof value - 1);
    limit(400000);
    assert_int_equal(kit_put(&kit, "n", "old", value), 0);
    struct kv_change changes[10];
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
        changes[i] = (struct kv_change){.action = KV_REMOVE, .key = text_blob("old"), .if_version = -1};
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        changes[7 + i] = (struct kv_change){
            .action = KV_PUT, .key = text_blob(names[i]), .value = text_blob(value), .if_version = -1};
    struct kit_wait wait = KIT_WAIT;
    struct kv_write write = {.call = kit_call(&wait), .ns = "n", .changes = changes, .count = ARRAY_SIZE(changes)};
    kit.engine.kv->write(kit.engine.self, &write);
    assert_int_equal(kit_end(&wait, &write.call), -EDQUOT);
    struct kit_wait again = KIT_WAIT;
    write.call = kit_call(&again);
    write.count = 8; // seven removals and one put: fits
    kit.engine.kv->write(kit.engine.self, &write);
    assert_int_equal(kit_end(&again, &write.call), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_failed_sync_keeps_an_object),
        T(test_announced_uploads_stay_below_the_quota),
        T(test_uploads_of_unknown_size_stay_below_the_quota),
        T(test_overwriting_needs_no_room_of_its_own),
        T(test_a_batch_cannot_evade_the_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
