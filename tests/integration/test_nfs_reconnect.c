// SPDX-License-Identifier: Apache-2.0
// A server that freezes and one that is killed, with calls in flight: nothing is lost, nothing hangs.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/support/cm.h"
#include "tests/support/nfs_server.h"

enum { CONNECTIONS = 8, DEPTH = 256, BLOCK = 64 * 1024, BLOCKS = 512 };

static struct nfs_server server;
static int version;
static struct nfs_share *share;
static struct nfs_fh file;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int open_calls;

static int64_t from_now(int64_t ms) {
    return clock_monotonic(&clock_system) + ms * NS_PER_MS;
}

static int run(struct nfs_call *call) {
    call->deadline_ns = from_now(30000);
    return nfs_run(share, call);
}

static void call_done(struct nfs_call *call) {
    (void)call;
    (void)pthread_mutex_lock(&lock);
    open_calls--;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void submit(struct nfs_call *call) {
    (void)pthread_mutex_lock(&lock);
    open_calls++;
    (void)pthread_mutex_unlock(&lock);
    call->done = call_done;
    nfs_submit(share, call);
}

// Until at most `left` calls are open. False after a minute: the calls hang.
static bool wait_open(int left) {
    struct timespec until = {.tv_sec = from_now(60000) / NS_PER_S};
    int r = 0;
    (void)pthread_mutex_lock(&lock);
    while (open_calls > left && r == 0)
        r = pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &until);
    bool reached = open_calls <= left;
    (void)pthread_mutex_unlock(&lock);
    return reached;
}

static void fill(unsigned char *block, unsigned number) {
    for (unsigned i = 0; i < BLOCK; i++)
        block[i] = (unsigned char)((number * 7919U + i) * 2654435761U >> 24);
}

static int open_share(void) {
    struct err err = ERR_NONE;
    struct nfs_options options = nfs_server_options(&server, version, CONNECTIONS);
    options.deadline_ns = from_now(20000);
    int r = nfs_share_open(&options, &share, &err);
    if (r < 0)
        (void)printf("%s\n", err_text(&err));
    return r;
}

static int setup(void **state) {
    (void)state;
    if (open_share() < 0)
        return -1;
    struct nfs_call c = {.op = NFS_CREATE,
                         .fh = nfs_share_info(share)->root,
                         .name = "file",
                         .set = {.mask = NFS_SET_MODE, .mode = 0644}};
    int r = run(&c);
    file = c.out_fh;
    return r;
}

static int teardown(void **state) {
    (void)state;
    nfs_server_thaw(&server); // also after a failure
    share = nfs_share_free(share);
    open_calls = 0;
    return 0;
}

static struct nfs_call *write_all(unsigned char *data) {
    struct nfs_call *calls = calloc(BLOCKS, sizeof *calls);
    assert_non_null(calls);
    for (unsigned i = 0; i < BLOCKS; i++) {
        fill(data + (size_t)i * BLOCK, i);
        calls[i] = (struct nfs_call){.op = NFS_WRITE,
                                     .fh = file,
                                     .offset = (uint64_t)i * BLOCK,
                                     .data = data + (size_t)i * BLOCK,
                                     .count = BLOCK,
                                     .stable = true};
        submit(&calls[i]);
    }
    return calls;
}

static void check_all(unsigned char *data) {
    struct nfs_call *calls = calloc(BLOCKS, sizeof *calls);
    unsigned char *want = malloc(BLOCK);
    assert_true(calls && want);
    memset(data, 0, (size_t)BLOCKS * BLOCK);
    for (unsigned i = 0; i < BLOCKS; i++) {
        calls[i] = (struct nfs_call){.op = NFS_READ,
                                     .fh = file,
                                     .offset = (uint64_t)i * BLOCK,
                                     .data = data + (size_t)i * BLOCK,
                                     .count = BLOCK};
        submit(&calls[i]);
    }
    assert_true(wait_open(0));
    for (unsigned i = 0; i < BLOCKS; i++) {
        fill(want, i);
        assert_int_equal(calls[i].result, 0);
        assert_int_equal(calls[i].count, BLOCK);
        assert_memory_equal(data + (size_t)i * BLOCK, want, BLOCK);
    }
    free(want);
    free(calls);
}

static void check_results(struct nfs_call *calls) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_int_equal(calls[i].result, 0);
        assert_int_equal(calls[i].count, BLOCK);
    }
    free(calls);
}

static void test_freeze_resumes(void **state) {
    (void)state;
    unsigned char *data = malloc((size_t)BLOCKS * BLOCK);
    struct nfs_call *calls = write_all(data);
    nfs_server_freeze(&server);
    struct nfs_call late = {.op = NFS_GETATTR, .fh = file, .deadline_ns = from_now(300)};
    assert_int_equal(nfs_run(share, &late), -ETIMEDOUT);
    nfs_server_thaw(&server);
    assert_true(wait_open(0));
    check_results(calls);
    check_all(data);
    free(data);
}

static void test_restart_resumes(void **state) {
    (void)state;
    unsigned char *data = malloc((size_t)BLOCKS * BLOCK);
    struct nfs_call *calls = write_all(data);
    assert_true(wait_open(BLOCKS / 2)); // killed in the middle of it
    assert_int_equal(nfs_server_restart(&server), 0);
    assert_true(wait_open(0));
    check_results(calls);
    check_all(data);
    struct nfs_call c = {.op = NFS_CREATE, .fh = nfs_share_info(share)->root, .name = "after"}; // v4: a new client id
    assert_int_equal(run(&c), 0);
    free(data);
}

// A reply that is cut off must never be completed with the bytes of the next connection.
static void test_restart_while_reading(void **state) {
    (void)state;
    unsigned char *data = malloc((size_t)BLOCKS * BLOCK);
    struct nfs_call *calls = write_all(data);
    assert_true(wait_open(0));
    for (unsigned i = 0; i < BLOCKS; i++) {
        calls[i].op = NFS_READ;
        submit(&calls[i]);
    }
    assert_true(wait_open(BLOCKS * 3 / 4));
    assert_int_equal(nfs_server_restart(&server), 0);
    assert_true(wait_open(0));
    check_results(calls);
    check_all(data);
    free(data);
}

static void test_deadline_and_cancel_when_frozen(void **state) {
    (void)state;
    enum { COUNT = 64 };
    unsigned char *data = malloc((size_t)COUNT * NFS_IO_MAX);
    struct nfs_call *calls = calloc(3 * COUNT, sizeof *calls);
    assert_true(data && calls);
    memset(data, 'x', (size_t)COUNT * NFS_IO_MAX);
    nfs_server_freeze(&server);
    for (unsigned i = 0; i < COUNT; i++) {
        calls[i] = (struct nfs_call){.op = NFS_GETATTR, .fh = file, .deadline_ns = from_now(200)};
        calls[COUNT + i] = (struct nfs_call){.op = NFS_READ, .fh = file, .data = data, .count = 1000};
        // More than the sockets hold: some are sent in part when they are taken back.
        calls[2 * COUNT + i] = (struct nfs_call){.op = NFS_WRITE,
                                                 .fh = file,
                                                 .offset = (uint64_t)i * NFS_IO_MAX,
                                                 .data = data + (size_t)i * NFS_IO_MAX,
                                                 .count = NFS_IO_MAX};
    }
    for (unsigned i = 0; i < 3 * COUNT; i++)
        submit(&calls[i]);
    assert_true(wait_open(2 * COUNT)); // those with a deadline end by themselves
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(calls[i].result, -ETIMEDOUT);
    for (unsigned i = COUNT; i < 3 * COUNT; i++) {
        nfs_cancel(share, &calls[i]);
        assert_int_equal(calls[i].result, -ECANCELED);
    }
    memset(data, 'y', (size_t)COUNT * NFS_IO_MAX); // nobody reads or writes it any more
    free(data);
    free(calls);
    assert_int_equal(open_calls, 2 * COUNT);
    open_calls = 0;
    nfs_server_thaw(&server);
    struct nfs_call c = {.op = NFS_GETATTR, .fh = file};
    assert_int_equal(run(&c), 0);
}

static void test_close_when_frozen(void **state) {
    (void)state;
    enum { COUNT = 100 };
    struct nfs_call calls[COUNT];
    nfs_server_freeze(&server);
    for (unsigned i = 0; i < COUNT; i++) {
        calls[i] = (struct nfs_call){.op = NFS_GETATTR, .fh = file};
        submit(&calls[i]);
    }
    share = nfs_share_free(share);
    nfs_server_thaw(&server);
    assert_int_equal(open_calls, 0);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(calls[i].result, -ECANCELED);
}

// DEPTH calls stay in flight on every connection: each `done` submits the next one.
static atomic_int rounds_left;

static void again(struct nfs_call *call) {
    if (call->result == 0 && atomic_fetch_sub(&rounds_left, 1) > 0)
        nfs_submit(share, call);
    else
        call_done(call);
}

static void test_deep_queue(void **state) {
    (void)state;
    struct nfs_call *calls = calloc((size_t)CONNECTIONS * DEPTH, sizeof *calls);
    assert_non_null(calls);
    atomic_store(&rounds_left, 20000);
    open_calls = CONNECTIONS * DEPTH;
    for (int i = 0; i < CONNECTIONS * DEPTH; i++) {
        calls[i] = (struct nfs_call){.op = NFS_GETATTR, .fh = file, .done = again};
        nfs_submit(share, &calls[i]);
    }
    assert_true(wait_open(0));
    assert_true(atomic_load(&rounds_left) <= 0);
    for (int i = 0; i < CONNECTIONS * DEPTH; i++)
        assert_int_equal(calls[i].result, 0);
    free(calls);
}

static void test_open_errors(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct nfs_share *other = NULL;
    struct nfs_options options = nfs_server_options(&server, version, 1);
    options.path = "/no/such/export";
    int r = nfs_share_open(&options, &other, &err);
    assert_true(r == -ENOENT || r == -EACCES); // some servers do not tell what they have
    assert_non_null(strstr(err.msg, "/no/such/export"));
    options = nfs_server_options(&server, version, 1);
    options.nfs_port = options.mount_port = 1;
    assert_int_equal(nfs_share_open(&options, &other, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.msg, "127.0.0.1"));
    options = nfs_server_options(&server, version, 1);
    options.server = "no-such-host.invalid";
    options.deadline_ns = from_now(5000);
    r = nfs_share_open(&options, &other, &err);
    assert_true(r == -EHOSTUNREACH || r == -ETIMEDOUT);
    options = nfs_server_options(&server, version, 1);
    options.deadline_ns = from_now(300);
    nfs_server_freeze(&server);
    assert_int_equal(nfs_share_open(&options, &other, &err), -ETIMEDOUT);
    nfs_server_thaw(&server);
}

static int suite(int of_version) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_freeze_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_while_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline_and_cancel_when_frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_when_frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_errors, setup, teardown),
    };
    version = of_version;
    return cmocka_run_group_tests_name(version == 3 ? "NFSv3" : "NFSv4.0", tests, NULL, NULL);
}

int main(void) {
    int r = nfs_server_start(&server);
    if (r == -ENOENT)
        return 77;
    int failed = r < 0 ? 1 : suite(3) + suite(4);
    nfs_server_stop(&server);
    return failed ? 1 : 0;
}
