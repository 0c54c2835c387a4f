// SPDX-License-Identifier: Apache-2.0
// A process goes on with what another had asked: under the same number from the same port, a real server gives the answer
// of the first time instead of doing it again.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/support/cm.h"
#include "tests/support/nfs_server.h"

static struct nfs_server server;
static atomic_uint ports[2];

static struct nfs_share *open_again(void) {
    struct err err = ERR_NONE;
    struct nfs_share *share = NULL;
    struct nfs_options options = nfs_server_options(&server, 3, 2);
    options.local_ports = ports;
    if (nfs_share_open(&options, &share, &err) < 0)
        fail_msg("%s", err_text(&err));
    return share;
}

static int run(struct nfs_share *share, struct nfs_call *call) {
    call->fh = nfs_share_info(share)->root;
    call->deadline_ns = clock_monotonic(&clock_system) + 20 * NS_PER_S;
    return nfs_run(share, call);
}

static struct nfs_call mkdir_call(const char *name) {
    return (struct nfs_call){.op = NFS_MKDIR, .name = name, .set = {.mask = NFS_SET_MODE, .mode = 0755}};
}

static void the_first_answer_comes_again(void **state) {
    (void)state;
    atomic_uint_fast64_t sent = 0;
    struct nfs_share *share = open_again();
    struct nfs_call first = mkdir_call("dir");
    first.sent = &sent;
    assert_int_equal(run(share, &first), 0);
    assert_true(sent != 0);
    share = nfs_share_free(share);
    assert_true(ports[0] || ports[1]);

    share = open_again();
    struct nfs_call again = mkdir_call("dir");
    again.again = sent;
    assert_int_equal(run(share, &again), 0);
    assert_true(nfs_fh_eq(&again.out_fh, &first.out_fh));
    struct nfs_call other = mkdir_call("dir"); // an order of its own
    assert_int_equal(run(share, &other), -EEXIST);
    share = nfs_share_free(share);
}

static void what_was_never_sent_is_done(void **state) {
    (void)state;
    struct nfs_share *share = open_again();
    struct nfs_call c = mkdir_call("never");
    c.again = UINT64_C(1) << 32 | 12345;
    assert_int_equal(run(share, &c), 0);
    c = mkdir_call("far");
    c.again = UINT64_C(9) << 32 | 12345; // a connection that there was with more of them
    assert_int_equal(run(share, &c), 0);
    share = nfs_share_free(share);
}

// The first one is still in the server's hands when the second comes: nothing is lost, however the server deals with it.
static void while_the_server_stands_still(void **state) {
    (void)state;
    atomic_uint_fast64_t sent = 0;
    struct nfs_share *share = open_again();
    struct nfs_call warm = {.op = NFS_GETATTR};
    assert_int_equal(run(share, &warm), 0);
    nfs_server_freeze(&server);
    struct nfs_call first = mkdir_call("frozen");
    first.sent = &sent;
    first.fh = nfs_share_info(share)->root;
    first.deadline_ns = clock_monotonic(&clock_system) + 300 * NS_PER_MS;
    assert_int_equal(nfs_run(share, &first), -ETIMEDOUT);
    share = nfs_share_free(share);
    nfs_server_thaw(&server);
    share = open_again();
    struct nfs_call again = mkdir_call("frozen");
    again.again = sent;
    assert_int_equal(run(share, &again), 0);
    share = nfs_share_free(share);
}

int main(void) {
    int r = nfs_server_start(&server);
    if (r == -ENOENT)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_answer_comes_again),
        cmocka_unit_test(what_was_never_sent_is_done),
        cmocka_unit_test(while_the_server_stands_still),
    };
    int failed = r < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    nfs_server_stop(&server);
    return failed;
}
