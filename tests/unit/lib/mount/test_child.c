// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/mount/child.h"
#include "lib/mount/mount.h"
#include "lib/mount/process.h"

static int64_t in_ms(int64_t ms) {
    return clock_monotonic(&clock_system) + ms * NS_PER_MS;
}

static void a_verb_answers_through_the_child(void **state) {
    (void)state;
    struct mount_space space = {0};
    assert_int_equal(mount_statfs("/", in_ms(10000), &space, NULL), 0);
    assert_true(space.total_bytes > 0);
    assert_true(space.free_bytes <= space.total_bytes);
}

static void an_error_comes_back_with_code_and_message(void **state) {
    (void)state;
    struct mount_space space;
    struct err err = ERR_NONE;
    assert_int_equal(mount_statfs("/does/not/exist", in_ms(10000), &space, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/does/not/exist"));
}

static void an_unknown_verb_is_refused(void **state) {
    (void)state;
    static const char *const args[] = {"no-such-verb", NULL};
    struct child_request request = {.args = args, .what = "nothing", .deadline_ns = in_ms(10000)};
    assert_int_equal(child_run(&request, NULL, NULL), -EINVAL);
}

static void a_child_that_never_ends_is_killed_at_the_deadline(void **state) {
    (void)state;
    static const char *const args[] = {"infinity", NULL};
    struct child_request request = {
        .program = "/bin/sleep", .args = args, .key = "sleep", .what = "sleep", .deadline_ns = in_ms(20)};
    struct err err = ERR_NONE;
    assert_int_equal(child_run(&request, NULL, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.msg, "sleep"));
    assert_int_equal(child_abandoned(), 0); // the kernel let go of it
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD); // and nobody is left to reap
}

static void the_exit_status_of_a_program_counts(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct child_request request = {.program = "/bin/true", .args = none, .what = "true", .deadline_ns = in_ms(10000)};
    assert_int_equal(child_run(&request, NULL, NULL), 0);
    request.program = "/bin/false";
    assert_int_equal(child_run(&request, NULL, NULL), -EIO);
    request.program = "/does/not/exist";
    assert_int_equal(child_run(&request, NULL, NULL), -ENOENT);
}

static void a_process_is_known_by_pid_start_and_boot(void **state) {
    (void)state;
    static const char *const args[] = {"infinity", NULL};
    pid_t pid = 0;
    assert_int_equal(process_spawn("/bin/sleep", args, -1, &pid, NULL), 0);
    struct process_id id, other;
    assert_int_equal(process_identify(pid, &id), 0);
    int pidfd cleanup_close = process_open(&id);
    assert_true(pidfd >= 0);
    struct process_id self;
    assert_int_equal(process_identify(getpid(), &self), 0);
    assert_true(id.start >= self.start && id.start - self.start < 100000); // ticks, and no other field
    assert_int_equal(getsid(pid), pid);                                    // a session of its own

    other = id;
    other.start++;
    assert_int_equal(process_open(&other), -ESRCH);
    other = id;
    other.domain[0] = 'x';
    assert_int_equal(process_open(&other), -ESRCH);

    assert_int_equal(process_wait(pidfd, in_ms(0)), -ETIMEDOUT);
    assert_int_equal(process_signal(pidfd, SIGKILL), 0);
    assert_int_equal(process_wait(pidfd, in_ms(10000)), 0);
    assert_int_equal(process_open(&id), -ESRCH);
}

static void a_started_process_inherits_only_what_is_passed(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0); // inheritable on purpose
    static const char *const args[] = {"-c", "ls /proc/self/fd >&3; trap >&3", NULL};
    pid_t pid = 0;
    assert_int_equal(process_spawn("/bin/sh", args, fds[1], &pid, NULL), 0);
    (void)close(fds[1]);
    char text[256] = "";
    size_t len = 0;
    for (ssize_t n; (n = read(fds[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    // 0 to 2, the pipe at 3, and the directory that ls reads.
    assert_string_equal(text, "0\n1\n2\n3\n4\n");
}

int main(int argc, char **argv) {
    if (child_is_wanted(argc, argv))
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verb_answers_through_the_child),
        cmocka_unit_test(an_error_comes_back_with_code_and_message),
        cmocka_unit_test(an_unknown_verb_is_refused),
        cmocka_unit_test(a_child_that_never_ends_is_killed_at_the_deadline),
        cmocka_unit_test(the_exit_status_of_a_program_counts),
        cmocka_unit_test(a_process_is_known_by_pid_start_and_boot),
        cmocka_unit_test(a_started_process_inherits_only_what_is_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
