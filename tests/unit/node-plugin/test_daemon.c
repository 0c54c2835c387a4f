// SPDX-License-Identifier: Apache-2.0
// Starting a daemon that does not do what it should: the answer tells, and no process is left, not even a zombie.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/mount/process.h"
#include "node-plugin/daemon.h"

static char program[] = "/tmp/stowage-daemon.XXXXXX";

static int64_t in_ms(int64_t ms) {
    return clock_monotonic(&clock_system) + ms * NS_PER_MS;
}

static int write_script(const char *script) {
    FILE *file = fopen(program, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\n%s\n", script);
    (void)fclose(file);
    return chmod(program, 0700);
}

static int start(const char *script, int64_t deadline_ns, struct process_id *ret, struct err *err) {
    assert_int_equal(write_script(script), 0);
    struct mounter_options options = {.launcher = launcher_local(program)};
    struct volume_source source = {.server = (char[]){"s"}, .share = (char[]){"/e"}, .name = (char[]){"s:/e"}};
    struct mount_options flags = {0};
    struct mount_request request = {MOUNT_MODE_FUSE, &source, &flags, "/nowhere", "v", NULL};
    return daemon_start(&options, &request, deadline_ns, ret, err);
}

static void assert_no_child(void) {
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_daemon_that_does_not_get_ready_is_told_and_gone(void **state) {
    (void)state;
    static const struct {
        const char *script;
        int64_t limit_ms;
        int result;
        const char *says;
    } bad[] = {
        {"exit 3", 20000, -EIO, "ended before"},
        {"echo 'error 2 no such export' >&3", 20000, -ENOENT, "no such export"},
        {"echo 'error 2 no such export' >&3; exec sleep 600", 20000, -ENOENT, "no such export"},
        {"echo 'error x' >&3", 20000, -EIO, "error x"},
        {"echo garbage >&3; exec sleep 600", 20000, -EIO, "garbage"},
        {"head -c 100000 /dev/zero >&3; exec sleep 600", 20000, -EIO, "s:/e"},
        {"printf rea >&3; exec sleep 600", 100, -ETIMEDOUT, "not ready in time"},
        {"trap '' TERM; exec sleep 600", 100, -ETIMEDOUT, "not ready in time"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        for (int round = 0; round < 3; round++) { // it may be a zombie already or still be ending
            struct process_id daemon = {0};
            struct err err = ERR_NONE;
            assert_int_equal(start(bad[i].script, in_ms(bad[i].limit_ms), &daemon, &err), bad[i].result);
            assert_non_null(strstr(err.msg, bad[i].says));
            assert_no_child();
        }
}

static void a_daemon_that_dies_after_it_was_ready_is_collected(void **state) {
    struct launcher launcher = launcher_local(program);
    (void)state;
    struct process_id daemon = {0};
    assert_int_equal(start("echo ready >&3", in_ms(20000), &daemon, NULL), 0);
    siginfo_t info; // it is dead, and nobody has waited for it
    assert_int_equal(waitid(P_PID, (id_t)daemon.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_open(&daemon), -ESRCH);
    assert_no_child();
    assert_int_equal(daemon_stop(&launcher, &daemon, in_ms(0), NULL), 0);
}

// What a daemon is told: its arguments one after the other.
static void assert_told(const struct mount_request *request, const struct mounter_options *more,
                        const char *arguments) {
    struct mounter_options options = *more;
    struct process_id daemon = {0};
    struct err err = ERR_NONE;
    assert_int_equal(write_script("echo \"error 5 $*\" | cut -c1-400 >&3"), 0);
    options.launcher = launcher_local(program);
    assert_int_equal(daemon_start(&options, request, in_ms(20000), &daemon, &err), -EIO);
    if (!strstr(err.msg, arguments))
        fail_msg("%s", err.msg);
    assert_no_child();
}

static void a_cached_volume_gets_the_flags_of_its_cache(void **state) {
    struct node_group group = {
        .name = (char[]){"a"}, .cache_mode = CACHE_MODE_TTL, .cache_size = 1 << 20, .warm_up = (char[]){"/x,y"}};
    struct volume_source source = {
        .server = (char[]){"s"}, .share = (char[]){"/e"}, .directory = (char[]){"/e"}, .name = (char[]){"n"}};
    struct mount_options flags = {0};
    struct mount_request request = {MOUNT_MODE_FUSE, &source, &flags, "/m", "v-1@s/e", NULL};
    const struct mounter_options none = {0};
    const struct mounter_options cache = {.cache_dir = "/c", .cache_memory = 512, .cache_keep_free = 7};
    (void)state;
    assert_told(&request, &cache, "--server s --share /e --connections 4 --mount-point /m --fs-name n --ready-fd 3");
    source.group = group;
    assert_told(
        &request, &cache,
        "--fs-name n --cache-dir /c --cache-volume v-1@s/e --cache-mode ttl --cache-ttl 60 --cache-size 1048576 "
        "--cache-memory 512 --cache-keep-free 7 --warm-up /x,y --ready-fd 3");
    assert_told(&request, &none, "--fs-name n --ready-fd 3"); // no cache any more: still a mount
    request.origin_root = "/mnt/lustre";
    request.origin_dir = "e";
    source.server = NULL;
    assert_told(&request, &none, "--origin-path /mnt/lustre --sub-dir e --mount-point /m");
}

static int set_up(void **state) {
    (void)state;
    int fd = mkstemp(program);
    return fd < 0 ? -1 : close(fd);
}
static int tear_down(void **state) {
    (void)state;
    return unlink(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daemon_that_does_not_get_ready_is_told_and_gone),
        cmocka_unit_test(a_daemon_that_dies_after_it_was_ready_is_collected),
        cmocka_unit_test(a_cached_volume_gets_the_flags_of_its_cache),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
