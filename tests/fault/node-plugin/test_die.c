// SPDX-License-Identifier: Apache-2.0
// stowage-node is killed at every step of every call: each process here is a forked one that ends without cleaning up
// before or after a mount, a bind, an umount, the end of a daemon, a mkdir, rmdir, fsync, rename or unlink. The next
// process, with the same state directory and the same mount table, is asked again, or asked to take all of it back.
// Nothing is left then, and another volume's mounts, daemon and record stay what they were.
#include "tests/support/cm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node-plugin/node.h"
#include "tests/fakes/fake_mounter.h"

#define DIED 99
#define STEPS_MAX 200

static struct {
    char directory[64], staging[96], target[96], other_staging[96], other_target[96], state_dir[96];
    struct fake_mounter *fake; // in shared memory: it is the kernel, which outlives every process
    enum mount_mode mode;
    struct node *node; // of the child
} kit;
static long steps_left = -1; // of this process's life

// At once, with nothing that a library or a sanitizer does at the end of a process.
static void end_process(int code) {
    (void)syscall(SYS_exit_group, code);
}

static void step(void) {
    if (steps_left >= 0 && steps_left-- == 0)
        end_process(DIED);
}

// The product's calls of these end here.
int fsync(int fd) {
    step();
    return fcntl(fd, F_GETFD) < 0 ? -1 : 0; // the kernel outlives the process, and with it what is not synced
}
int renameat(int from, const char *old, int to, const char *new) {
    step();
    return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}
int unlinkat(int dir, const char *name, int flags) {
    step();
    int r = (int)syscall(SYS_unlinkat, dir, name, flags);
    if (r == 0)
        step();
    return r;
}
int mkdirat(int dir, const char *name, mode_t mode) {
    step();
    int r = (int)syscall(SYS_mkdirat, dir, name, mode);
    if (r == 0)
        step();
    return r;
}

static const struct volume_capability many = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};

static int stage_volume(const char *id, const char *path) {
    const struct string_pair context[] = {{"server", "s"}, {"share", "/e"}, {"subDir", id}};
    struct node_stage_request request = {id, path, many, {context, 3}};
    return node_ops.stage(kit.node, NULL, &request, NULL);
}
static int publish_volume(const char *id, const char *staging, const char *target) {
    struct node_publish_request request = {id, staging, target, many, false, {NULL, 0}};
    return node_ops.publish(kit.node, NULL, &request, NULL);
}

static int stage(void) {
    return stage_volume("v1", kit.staging);
}
static int publish(void) {
    return publish_volume("v1", kit.staging, kit.target);
}
static int unpublish(void) {
    return node_ops.unpublish(kit.node, NULL, "v1", kit.target, NULL);
}
static int unstage(void) {
    return node_ops.unstage(kit.node, NULL, "v1", kit.staging, NULL);
}
static int other(void) {
    int r = stage_volume("v2", kit.other_staging);
    return r == 0 ? publish_volume("v2", kit.other_staging, kit.other_target) : r;
}

// Runs one call in a process of its own, which dies at its step `die_at` (-1: lives). 0, 1, or DIED.
static int run(int (*call)(void), long die_at) {
    pid_t pid = fork();
    if (pid == 0) {
        fake_mounter_inherit(kit.fake);
        struct node_options options = {
            .node_id = "node-1",
            .probe = {.kernel = true, .fuse = true},
            .mount_mode = kit.mode,
            .mounter = fake_mounter(kit.fake),
            .state_dir = kit.state_dir,
        };
        steps_left = die_at;
        end_process(node_new(&options, &kit.node, NULL) == 0 && call() == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static size_t mounts_at(const char *path) {
    size_t count = 0;
    for (size_t i = 0; i < kit.fake->count; i++)
        count += strcmp(kit.fake->mounts[i].target, path) == 0;
    return count;
}

static int daemons_alive(void) {
    int count = 0;
    for (int pid = 1; pid <= kit.fake->daemon_count; pid++)
        count += kit.fake->daemons[pid].alive;
    return count;
}

static int records(void) {
    int count = 0;
    DIR *dir = opendir(kit.state_dir);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        assert_false(dot && strcmp(dot, ".damaged") == 0);
        count += dot && strcmp(dot, ".json") == 0;
    }
    (void)closedir(dir);
    return count;
}

static void assert_standing(size_t staged, size_t published) {
    assert_int_equal(mounts_at(kit.staging), staged);
    assert_int_equal(mounts_at(kit.target), published);
    assert_int_equal(access(kit.target, F_OK) == 0, published);
    assert_int_equal(records(), 1 + staged);
    assert_int_equal(daemons_alive(), kit.mode == MOUNT_MODE_FUSE ? 1 + staged : 0);
    // Of the other volume: the first mount and its bind, and the first daemon.
    assert_int_equal(mounts_at(kit.other_staging), 1);
    assert_int_equal(mounts_at(kit.other_target), 1);
    assert_int_equal(kit.fake->mounts[0].id, 101);
    assert_int_equal(kit.fake->mounts[1].id, 102);
    if (kit.mode == MOUNT_MODE_FUSE)
        assert_true(kit.fake->daemons[1].alive);
}

static void begin(enum mount_mode mode, bool busy) {
    (void)memset(&kit, 0, sizeof kit);
    (void)strcpy(kit.directory, "/tmp/stowage-die.XXXXXX");
    assert_non_null(mkdtemp(kit.directory));
    (void)snprintf(kit.staging, sizeof kit.staging, "%s/staging", kit.directory);
    (void)snprintf(kit.target, sizeof kit.target, "%s/target", kit.directory);
    (void)snprintf(kit.other_staging, sizeof kit.other_staging, "%s/other-staging", kit.directory);
    (void)snprintf(kit.other_target, sizeof kit.other_target, "%s/other-target", kit.directory);
    (void)snprintf(kit.state_dir, sizeof kit.state_dir, "%s/state", kit.directory);
    kit.mode = mode;
    kit.fake = mmap(NULL, sizeof *kit.fake, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(kit.fake != MAP_FAILED);
    kit.fake->step = step;
    kit.fake->plain_result = busy ? -16 : 0;
    assert_int_equal(run(other, -1), 0);
}

static void end(void) {
    (void)munmap(kit.fake, sizeof *kit.fake);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit.directory);
    assert_int_equal(system(command), 0);
}

static const struct {
    int (*call)(void);
    size_t staged, published; // afterwards
} life[] = {{stage, 1, 0}, {publish, 1, 1}, {unpublish, 1, 0}, {unstage, 0, 0}};

// Calls `at` dies at its step `n`. false: it has no such step.
static bool die_in(size_t at, long n, enum mount_mode mode, bool busy, bool again) {
    begin(mode, busy);
    for (size_t i = 0; i < at; i++)
        assert_int_equal(run(life[i].call, -1), 0);
    int r = run(life[at].call, n);
    assert_true(r == 0 || r == DIED);
    if (again) {
        assert_int_equal(run(life[at].call, -1), 0);
        assert_standing(life[at].staged, life[at].published);
    }
    // Forward from a call that was repeated; what was only tried is taken back.
    size_t next = again ? at + 1 : at < 2 ? 2 : at;
    for (; next < ARRAY_SIZE(life); next++) {
        assert_int_equal(run(life[next].call, -1), 0);
        if (again)
            assert_standing(life[next].staged, life[next].published);
    }
    assert_standing(0, 0);
    end();
    return r == DIED;
}

static void die_everywhere(enum mount_mode mode, bool busy, bool again) {
    for (size_t at = 0; at < ARRAY_SIZE(life); at++) {
        long n = 0;
        while (die_in(at, n, mode, busy, again))
            n++;
        assert_true(n >= 4 && n < STEPS_MAX); // there was something to die at
    }
}

static void a_call_is_repeated_with_fuse(void **state) {
    (void)state;
    die_everywhere(MOUNT_MODE_FUSE, false, true);
}
static void a_call_is_repeated_with_kernel_mounts(void **state) {
    (void)state;
    die_everywhere(MOUNT_MODE_KERNEL, false, true);
}
static void a_call_is_taken_back_with_fuse(void **state) {
    (void)state;
    die_everywhere(MOUNT_MODE_FUSE, false, false);
}
static void a_call_is_taken_back_with_kernel_mounts(void **state) {
    (void)state;
    die_everywhere(MOUNT_MODE_KERNEL, false, false);
}
static void a_call_is_repeated_where_mounts_are_busy(void **state) {
    (void)state;
    die_everywhere(MOUNT_MODE_FUSE, true, true);
    die_everywhere(MOUNT_MODE_KERNEL, true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_repeated_with_fuse),
        cmocka_unit_test(a_call_is_repeated_with_kernel_mounts),
        cmocka_unit_test(a_call_is_taken_back_with_fuse),
        cmocka_unit_test(a_call_is_taken_back_with_kernel_mounts),
        cmocka_unit_test(a_call_is_repeated_where_mounts_are_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
