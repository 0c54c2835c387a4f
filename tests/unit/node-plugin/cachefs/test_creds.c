// SPDX-License-Identifier: Apache-2.0

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/cm.h"

#include "node-plugin/cachefs/creds.h"

static int64_t now_ns;
static int64_t fake_monotonic(void *ctx) {
    (void)ctx;
    return now_ns;
}
static const struct clock_ops ops = {.monotonic_ns = fake_monotonic};
static const struct clock fake_clock = {.ops = &ops};

static char proc[] = "/tmp/stowage-creds-XXXXXX";

static int set_up(void **state) {
    (void)state;
    char dir[64];
    if (!mkdtemp(proc))
        return -1;
    (void)snprintf(dir, sizeof dir, "%s/42", proc);
    return mkdir(dir, 0700);
}
static int tear_down(void **state) {
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "%s/42/status", proc);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/42", proc);
    (void)rmdir(path);
    return rmdir(proc);
}

static void write_status(const char *text) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s/42/status", proc);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void groups_come_from_proc_and_are_kept_for_a_while(void **state) {
    (void)state;
    struct creds creds = CREDS_INIT(&fake_clock);
    struct nfs_cred cred;
    creds.proc = proc;
    write_status("Name:\tx\nGroups:\t4 24 1000 \nVmSize:\t 7\n");
    creds_get(&creds, 42, 1, 2, &cred);
    assert_int_equal(cred.uid, 1);
    assert_int_equal(cred.gid, 2);
    assert_int_equal(cred.group_count, 3);
    assert_int_equal(cred.groups[2], 1000);
    write_status("Name:\tx\nGroups:\t5\n");
    creds_get(&creds, 42, 1, 2, &cred);
    assert_int_equal(cred.group_count, 3);
    creds_get(&creds, 42, 9, 2, &cred); // another user: not the same process any more, or it changed
    assert_int_equal(cred.group_count, 1);
    write_status("Name:\tx\nGroups:\t\n");
    now_ns += CREDS_TTL_NS;
    creds_get(&creds, 42, 9, 2, &cred);
    assert_int_equal(cred.group_count, 0);
}

static void more_than_16_groups_are_cut(void **state) {
    (void)state;
    struct creds creds = CREDS_INIT(&fake_clock);
    struct nfs_cred cred;
    creds.proc = proc;
    write_status("Name:\tx\nGroups:\t1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n");
    creds_get(&creds, 42, 1, 2, &cred);
    assert_int_equal(cred.group_count, NFS_GROUPS_MAX);
    assert_int_equal(cred.groups[NFS_GROUPS_MAX - 1], 16);
}

static void an_unknown_process_has_no_groups(void **state) {
    (void)state;
    struct creds creds = CREDS_INIT(&fake_clock);
    struct nfs_cred cred;
    creds.proc = proc;
    creds_get(&creds, 0, 1, 2, &cred);
    assert_int_equal(cred.group_count, 0);
    creds_get(&creds, 43, 1, 2, &cred);
    assert_int_equal(cred.group_count, 0);
}

static void only_deadly_signals_end_a_wait(void **state) {
    (void)state;
    struct creds creds = CREDS_INIT(&fake_clock);
    creds.proc = proc;
    write_status("Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
                 "SigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n");
    assert_false(creds_is_dying(&creds, 42));
    write_status("Name:\tx\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
                 "SigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"); // SIGKILL
    assert_true(creds_is_dying(&creds, 42));
    write_status("Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000002000\nSigBlk:\t0000000000000000\n"
                 "SigIgn:\t0000000000000000\nSigCgt:\t0000000000002000\n"); // SIGALRM with a handler
    assert_false(creds_is_dying(&creds, 42));
    write_status("Name:\tx\nSigPnd:\t0000000000010000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
                 "SigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"); // SIGCHLD
    assert_false(creds_is_dying(&creds, 42));
    assert_true(creds_is_dying(&creds, 43)); // gone
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_come_from_proc_and_are_kept_for_a_while),
        cmocka_unit_test(more_than_16_groups_are_cut),
        cmocka_unit_test(an_unknown_process_has_no_groups),
        cmocka_unit_test(only_deadly_signals_end_a_wait),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
