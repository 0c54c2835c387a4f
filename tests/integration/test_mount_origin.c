// SPDX-License-Identifier: Apache-2.0
// Mounting an origin by type, source and options: what is refused, host paths, and helpers that fail or hang.
// With the arguments `mount TYPE SOURCE TARGET OPTIONS` it does just that, for scripts.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/mount/child.h"
#include "lib/mount/mount.h"
#include "lib/mount/origin.h"
#include "tests/support/cm.h"

static char work[] = "/tmp/stowage-origin.XXXXXX";
static char target[64], allowed[64];

static int64_t in_s(int64_t s) {
    return clock_monotonic(&clock_system) + s * NS_PER_S;
}

static void put(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void test_what_is_not_taken(void **state) {
    (void)state;
    static const struct mount_origin wrong[] = {
        {.type = "ext4", .source = "/dev/sda1"},
        {.type = "overlay", .source = "x"},
        {.type = "", .source = "x"},
        {.type = NULL, .source = "x"},
        {.type = "ceph", .source = ""},
        {.type = "ceph", .source = NULL},
        {.type = "ceph", .source = "a:/;reboot"},
        {.type = "ceph", .source = "-o suid"},
        {.type = "glusterfs", .source = "a:/b c"},
        {.type = "glusterfs", .source = "a:/$(b)"},
        {.type = "glusterfs", .source = "a:/b", .options = "ro\nsuid"},
        {.type = "glusterfs", .source = "a:/b", .options = "--x"},
        {.type = "nfs", .source = "server"},
        {.type = "nfs4", .source = ":/x"},
        {.type = "path", .source = "relative"},
        {.type = "path", .source = "/x", .options = "exec"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct err err = ERR_NONE;
        assert_int_equal(mount_origin_check(&wrong[i], &err), -EINVAL);
        assert_true(err.msg[0]);
        assert_int_equal(mount_origin(&wrong[i], in_s(10), NULL), -EINVAL);
    }
    static const struct mount_origin right[] = {
        {.type = "ceph",
         .source = "10.0.0.1:6789,10.0.0.2:6789:/volumes/a",
         .options = "name=k8s,secretfile=/etc/ceph/k8s"},
        {.type = "lustre", .source = "10.0.0.1@tcp:10.0.0.2@tcp:/scratch", .options = "flock"},
        {.type = "fuse.glusterfs", .source = "a.example.org:/data/sub"},
        {.type = "nfs4", .source = "[fd00::1]:/export"},
        {.type = "path", .source = "/mnt/lustre/group", .options = "ro"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(right); i++)
        assert_int_equal(mount_origin_check(&right[i], NULL), 0);
}

static void test_host_paths(void **state) {
    (void)state;
    char inside[96], link[96], sibling[96], file[128];
    (void)snprintf(inside, sizeof inside, "%s/group/data", allowed);
    (void)snprintf(link, sizeof link, "%s/group/link", allowed);
    (void)snprintf(sibling, sizeof sibling, "%s-other", allowed);
    (void)snprintf(file, sizeof file, "%s/group", allowed);
    assert_int_equal(mkdir(file, 0755), 0);
    assert_int_equal(mkdir(inside, 0755), 0);
    assert_int_equal(mkdir(sibling, 0755), 0);
    assert_int_equal(symlink("/etc", link), 0);
    (void)snprintf(file, sizeof file, "%s/f", inside);
    put(file, "text", 0644);
    const char *const list[] = {"/nowhere", allowed, NULL};
    struct mount_origin origin = {.type = "path", .source = inside, .target = target};
    assert_int_equal(mount_origin(&origin, in_s(10), NULL), -EACCES); // nothing is allowed
    origin.allowed_paths = list;
    const char *const refused[] = {link, sibling, "/etc", "/nowhereelse"};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        origin.source = refused[i];
        assert_int_equal(mount_origin(&origin, in_s(10), NULL), -EACCES);
    }
    (void)snprintf(file, sizeof file, "%s/group/../../etc", allowed);
    origin.source = file;
    assert_true(mount_origin(&origin, in_s(10), NULL) < 0);
    (void)snprintf(file, sizeof file, "%s/none", allowed);
    assert_int_equal(mount_origin(&origin, in_s(10), NULL), -ENOENT);
    origin.source = inside;
    origin.options = "ro";
    assert_int_equal(mount_origin(&origin, in_s(10), NULL), 0);
    struct statvfs st;
    assert_int_equal(statvfs(target, &st), 0);
    assert_int_equal(st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV), ST_RDONLY | ST_NOSUID | ST_NODEV);
    (void)snprintf(file, sizeof file, "%s/f", target);
    assert_int_equal(access(file, R_OK), 0);
    assert_int_equal(mount_unmount(target, false, in_s(10), NULL), 0);
}

// libmount looks for helpers in /sbin only; in this mount namespace that is a directory of the test's own.
static void test_a_helper_that_fails_is_quoted(void **state) {
    (void)state;
    put("/sbin/mount.lustre", "#!/bin/sh\necho first >&2\necho \"mount.lustre: no such MGS for $*\" >&2\nexit 5\n",
        0755);
    struct mount_origin origin = {.type = "lustre", .source = "mgs@tcp:/fs", .target = target, .options = "flock"};
    struct err err = ERR_NONE;
    assert_int_equal(mount_origin(&origin, in_s(20), &err), -EIO);
    assert_non_null(strstr(err.msg, "mount.lustre: no such MGS for mgs@tcp:/fs"));
    assert_non_null(strstr(err.msg, "flock"));
    assert_non_null(strstr(err.msg, "nosuid"));
}

static void test_a_helper_that_mounts(void **state) {
    (void)state;
    put("/sbin/mount.glusterfs", "#!/bin/sh\nexec /bin/mount -n -i -t tmpfs -o nosuid,nodev,size=64k \"$1\" \"$2\"\n",
        0755);
    struct mount_origin origin = {.type = "fuse.glusterfs", .source = "host:/volume", .target = target};
    struct statfs st;
    assert_int_equal(mount_origin(&origin, in_s(20), NULL), 0);
    assert_int_equal(statfs(target, &st), 0);
    assert_int_equal(st.f_type, 0x01021994); // TMPFS_MAGIC
    assert_int_equal(mount_unmount(target, false, in_s(10), NULL), 0);
}

static void test_a_helper_that_hangs_is_killed(void **state) {
    (void)state;
    char pid_file[96], script[256], text[32] = "";
    (void)snprintf(pid_file, sizeof pid_file, "%s/pid", work);
    (void)snprintf(script, sizeof script, "#!/bin/sh\necho $$ >%s.new\nmv %s.new %s\nexec sleep 200\n", pid_file,
                   pid_file, pid_file);
    put("/sbin/mount.ceph", script, 0755);
    struct mount_origin origin = {.type = "ceph", .source = "mon:/", .target = target};
    struct err err = ERR_NONE;
    // Until the helper had the time to tell its number, on a busy machine too.
    for (int64_t s = 1; s <= 32 && access(pid_file, F_OK) < 0; s *= 2)
        assert_int_equal(mount_origin(&origin, in_s(s), &err), -ETIMEDOUT);
    int fd cleanup_close = open(pid_file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    int status = 0;
    // Orphans come to this process, so one that is no child of it has ended, and was collected by its own parent.
    pid_t got = waitpid(atoi(text), &status, 0);
    assert_true(got < 0 ? errno == ECHILD : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(child_abandoned(), 0);
}

static int mount_one(char **args) {
    const struct mount_origin origin = {.type = args[0], .source = args[1], .target = args[2], .options = args[3]};
    struct err err = ERR_NONE;
    int r = mount_origin(&origin, in_s(60), &err);
    if (r < 0)
        (void)fprintf(stderr, "%s\n", err_text(&err));
    return r < 0 ? 1 : 0;
}

static int enter_namespace(void) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("stowage-test", "/sbin", "tmpfs", 0, "size=1m,mode=755") < 0)
        return -errno;
    return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

static int setup(void **state) {
    (void)state;
    if (!mkdtemp(work))
        return -1;
    (void)snprintf(target, sizeof target, "%s/target", work);
    (void)snprintf(allowed, sizeof allowed, "%s/allowed", work);
    return mkdir(target, 0755) < 0 || mkdir(allowed, 0755) < 0 ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf --one-file-system %s", work);
    return system(command); // the test's own directory
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_taken),
        cmocka_unit_test(test_host_paths),
        cmocka_unit_test(test_a_helper_that_fails_is_quoted),
        cmocka_unit_test(test_a_helper_that_mounts),
        cmocka_unit_test(test_a_helper_that_hangs_is_killed),
    };
    if (child_is_wanted(argc, argv))
        return child_main(argc, argv);
    if (argc == 6 && strcmp(argv[1], "mount") == 0)
        return mount_one(&argv[2]);
    if (geteuid() != 0 || enter_namespace() < 0) {
        (void)printf("skipped: needs root and a mount namespace of its own\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
