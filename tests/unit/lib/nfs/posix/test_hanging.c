// SPDX-License-Identifier: Apache-2.0
// A file system that does not answer: calls end all the same, nothing of the caller's is touched afterwards, and when it
// answers again all is well.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "tests/support/cm.h"
#include "tests/support/hanging_fs.h"
#include "tests/support/posix_kit.h"

static struct posix_kit kit;
static struct hanging_fs *fs;
static struct nfs_fh root, file;

enum { THREADS = 3 };

static int setup(void **state) {
    (void)state;
    const struct posix_options options = {.threads = THREADS};
    int r = posix_kit_start(&kit, options); // makes the directory
    kit.share = nfs_share_free(kit.share);
    if (r == 0)
        r = hanging_fs_mount(kit.path, &fs);
    if (r == 0)
        r = posix_kit_reopen(&kit, options);
    if (r < 0)
        return r;
    root = posix_kit_root(&kit);
    file = posix_kit_find(&kit, &root, "f");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    kit.share = nfs_share_free(kit.share);
    fs = hanging_fs_unmount(fs);
    posix_kit_stop(&kit);
    return 0;
}

// ---- calls that are waited for one by one

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned done;
};
#define WAITER ((struct waiter){.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER})

static void on_done(struct nfs_call *call) {
    struct waiter *waiter = call->arg;
    LOCK_SCOPE(&waiter->lock);
    waiter->done++;
    (void)pthread_cond_broadcast(&waiter->ended);
}

static void wait_for(struct waiter *waiter, unsigned done) {
    LOCK_SCOPE(&waiter->lock);
    while (waiter->done < done)
        (void)pthread_cond_wait(&waiter->ended, &waiter->lock);
}

static struct nfs_call read_call(struct waiter *waiter, void *data, uint32_t count) {
    return (struct nfs_call){.op = NFS_READ, .fh = file, .data = data, .count = count, .done = on_done, .arg = waiter};
}

static bool all_are(const char *data, size_t len, char byte) {
    for (size_t i = 0; i < len; i++)
        if (data[i] != byte)
            return false;
    return true;
}

static int64_t soon(void) {
    return clock_monotonic(&clock_system) + 20 * NS_PER_MS;
}

static void test_it_reads_when_it_answers(void **state) {
    (void)state;
    static char data[HANGING_SIZE + 10];
    struct waiter waiter = WAITER;
    struct nfs_call call = read_call(&waiter, data, sizeof data);
    nfs_submit(kit.share, &call);
    wait_for(&waiter, 1);
    assert_int_equal(call.result, 0);
    assert_int_equal(call.count, HANGING_SIZE);
    assert_true(call.eof);
    assert_true(all_are(data, HANGING_SIZE, 'A'));
    assert_false(posix_share_has_kernel_handles(kit.share));
}

static void test_a_cancelled_read_leaves_the_buffer_alone(void **state) {
    (void)state;
    static char data[HANGING_BYTES_MAX];
    struct waiter waiter = WAITER;
    struct nfs_call call = read_call(&waiter, data, sizeof data);
    memset(data, 'x', sizeof data);
    hanging_fs_hold(fs, HANGING_READ, true);
    nfs_submit(kit.share, &call);
    hanging_fs_wait_held(fs, 1);
    nfs_cancel(kit.share, &call);
    assert_int_equal(call.result, -ECANCELED);
    nfs_cancel(kit.share, &call); // of a call that is over: nothing
    hanging_fs_hold(fs, HANGING_READ, false);
    kit.share = nfs_share_free(kit.share); // its threads are out
    assert_int_equal(waiter.done, 0);
    assert_true(all_are(data, sizeof data, 'x'));
}

static void test_a_cancelled_write_sends_what_was_there(void **state) {
    (void)state;
    static char data[4096];
    struct waiter waiter = WAITER;
    struct nfs_call call = read_call(&waiter, data, sizeof data);
    call.op = NFS_WRITE;
    memset(data, 'W', sizeof data);
    hanging_fs_hold(fs, HANGING_WRITE, true);
    nfs_submit(kit.share, &call);
    hanging_fs_wait_held(fs, 1);
    nfs_cancel(kit.share, &call);
    memset(data, 'z', sizeof data);
    hanging_fs_hold(fs, HANGING_WRITE, false);
    hanging_fs_wait_written(fs);
    assert_int_equal(hanging_fs_last_byte(fs), 'W');
    assert_int_equal(waiter.done, 0);
}

static void test_a_deadline_ends_a_call(void **state) {
    (void)state;
    static char data[4096];
    struct waiter waiter = WAITER;
    struct nfs_call call = read_call(&waiter, data, sizeof data);
    memset(data, 'x', sizeof data);
    hanging_fs_hold(fs, HANGING_READ, true);
    call.deadline_ns = soon();
    nfs_submit(kit.share, &call);
    wait_for(&waiter, 1);
    assert_int_equal(call.result, -ETIMEDOUT);
    call = read_call(&waiter, data, sizeof data); // and the same call anew
    call.deadline_ns = soon();
    assert_int_equal(nfs_run(kit.share, &call), -ETIMEDOUT);
    hanging_fs_hold(fs, HANGING_READ, false);
    assert_int_equal(nfs_run(kit.share, &(struct nfs_call){.op = NFS_GETATTR, .fh = file}), 0);
    kit.share = nfs_share_free(kit.share);
    assert_true(all_are(data, sizeof data, 'x'));
}

// Every thread hangs: what comes then waits in the queue, and can be taken back or expire there.
static void test_all_threads_hang(void **state) {
    (void)state;
    static char data[THREADS + 3][512];
    struct waiter waiter = WAITER, late = WAITER;
    struct nfs_call calls[THREADS + 3];
    hanging_fs_hold(fs, HANGING_READ, true);
    for (size_t i = 0; i < THREADS; i++) {
        calls[i] = read_call(&waiter, data[i], sizeof data[i]);
        nfs_submit(kit.share, &calls[i]);
    }
    hanging_fs_wait_held(fs, THREADS);
    for (size_t i = THREADS; i < THREADS + 3; i++)
        calls[i] = read_call(&late, data[i], sizeof data[i]);
    calls[THREADS].deadline_ns = soon();
    for (size_t i = THREADS; i < THREADS + 3; i++)
        nfs_submit(kit.share, &calls[i]);
    wait_for(&late, 1);
    assert_int_equal(calls[THREADS].result, -ETIMEDOUT);
    nfs_cancel(kit.share, &calls[THREADS + 1]);
    assert_int_equal(calls[THREADS + 1].result, -ECANCELED);
    hanging_fs_hold(fs, HANGING_READ, false);
    wait_for(&waiter, THREADS);
    wait_for(&late, 2);
    for (size_t i = 0; i < THREADS + 3; i++)
        assert_int_equal(calls[i].result, i == THREADS ? -ETIMEDOUT : i == THREADS + 1 ? -ECANCELED : 0);
    assert_true(all_are(data[THREADS + 2], sizeof data[0], 'A'));
}

static void test_closing_does_not_wait_for_ever(void **state) {
    (void)state;
    static char data[4096];
    struct waiter waiter = WAITER;
    struct nfs_call calls[THREADS + 1];
    memset(data, 'x', sizeof data);
    hanging_fs_hold(fs, HANGING_READ, true);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        calls[i] = read_call(&waiter, data, sizeof data);
        nfs_submit(kit.share, &calls[i]);
    }
    hanging_fs_wait_held(fs, THREADS);
    kit.share = nfs_share_free(kit.share);
    assert_int_equal(waiter.done, ARRAY_SIZE(calls));
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        assert_int_equal(calls[i].result, -ECANCELED);
    hanging_fs_hold(fs, HANGING_READ, false);
    fs = hanging_fs_unmount(fs); // the threads come back to a share that is closed
    assert_true(all_are(data, sizeof data, 'x'));
}

static void test_errors_come_through(void **state) {
    (void)state;
    char data[64] = "";
    struct nfs_call read = {.op = NFS_READ, .fh = file, .data = data, .count = sizeof data};
    hanging_fs_fail(fs, HANGING_READ, EIO);
    assert_int_equal(nfs_run(kit.share, &read), -EIO);
    struct nfs_call write = {.op = NFS_WRITE, .fh = file, .data = data, .count = sizeof data};
    hanging_fs_fail(fs, HANGING_WRITE, ENOSPC);
    assert_int_equal(nfs_run(kit.share, &write), -ENOSPC);
    write.stable = true;
    hanging_fs_fail(fs, HANGING_FSYNC, EIO);
    assert_int_equal(nfs_run(kit.share, &write), -EIO);
}

static void test_a_failed_fsync_makes_writers_write_again(void **state) {
    (void)state;
    char data[64] = "data";
    struct nfs_call write = {.op = NFS_WRITE, .fh = file, .data = data, .count = sizeof data};
    struct nfs_call commit = {.op = NFS_COMMIT, .fh = file};
    assert_int_equal(nfs_run(kit.share, &write), 0);
    assert_int_equal(nfs_run(kit.share, &commit), 0);
    assert_memory_equal(commit.verifier, write.verifier, 8); // all is well
    assert_int_equal(nfs_run(kit.share, &write), 0);
    hanging_fs_fail(fs, HANGING_FSYNC, EIO);
    assert_int_equal(nfs_run(kit.share, &commit), -EIO);
    assert_int_equal(nfs_run(kit.share, &commit), 0); // but not of what was written before
    assert_memory_not_equal(commit.verifier, write.verifier, 8);
    assert_int_equal(nfs_run(kit.share, &write), 0);
    assert_int_equal(nfs_run(kit.share, &commit), 0);
    assert_memory_equal(commit.verifier, write.verifier, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_reads_when_it_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cancelled_read_leaves_the_buffer_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cancelled_write_sends_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_deadline_ends_a_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_threads_hang, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closing_does_not_wait_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_come_through, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_fsync_makes_writers_write_again, setup, teardown),
    };
    posix_kit_need_root();
    if (access("/dev/fuse", R_OK | W_OK) < 0) {
        (void)printf("skipped: no /dev/fuse\n");
        return 77;
    }
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)printf("skipped: no mount namespace of its own\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
