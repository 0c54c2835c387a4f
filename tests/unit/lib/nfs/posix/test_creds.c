// SPDX-License-Identifier: Apache-2.0
// Every call is its caller's: the file system decides, and neither the process nor another call is changed by it.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cm.h"
#include "tests/support/posix_kit.h"

static struct posix_kit kit;
static struct nfs_fh root;

static const struct nfs_cred alice = {.uid = 4001, .gid = 4001, .group_count = 1, .groups = {5000}};
static const struct nfs_cred bob = {.uid = 4002, .gid = 4002};

static int setup(void **state) {
    (void)state;
    int r = posix_kit_start(&kit, (struct posix_options){0});
    root = posix_kit_root(&kit);
    return r < 0 ? r
                 : posix_kit_result(
                       &kit,
                       (struct nfs_call){.op = NFS_SETATTR, .fh = root, .set = {.mask = NFS_SET_MODE, .mode = 0777}});
}

static int teardown(void **state) {
    (void)state;
    posix_kit_stop(&kit);
    return 0;
}

static int read_as(struct nfs_fh fh, const struct nfs_cred *cred) {
    char data[4];
    return posix_kit_result(&kit, (struct nfs_call){.op = NFS_READ, .fh = fh, .data = data, .count = 4, .cred = cred});
}

static int write_as(struct nfs_fh fh, const struct nfs_cred *cred) {
    char data[4] = "abc";
    return posix_kit_result(
        &kit, (struct nfs_call){.op = NFS_WRITE, .fh = fh, .data = data, .count = 4, .stable = true, .cred = cred});
}

static int set_as(struct nfs_fh fh, struct nfs_setattr set, const struct nfs_cred *cred) {
    return posix_kit_result(&kit, (struct nfs_call){.op = NFS_SETATTR, .fh = fh, .set = set, .cred = cred});
}

static void test_mode_bits_hold(void **state) {
    (void)state;
    struct nfs_fh file = posix_kit_make(&kit, NFS_CREATE, &root, "roots", 0600, NULL);
    struct nfs_fh dir = posix_kit_make(&kit, NFS_MKDIR, &root, "closed", 0700, NULL);
    assert_int_equal(write_as(file, NULL), 0); // root's descriptor is not lent to others
    assert_int_equal(read_as(file, NULL), 0);
    assert_int_equal(read_as(file, &alice), -EACCES);
    assert_int_equal(write_as(file, &alice), -EACCES);
    assert_int_equal(set_as(file, (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = 0777}, &alice), -EPERM);
    assert_int_equal(set_as(file, (struct nfs_setattr){.mask = NFS_SET_UID, .uid = 4001}, &alice), -EPERM);
    assert_int_equal(set_as(file, (struct nfs_setattr){.mask = NFS_SET_SIZE}, &alice), -EACCES);
    assert_int_equal(set_as(file, (struct nfs_setattr){.mask = NFS_SET_MTIME_NOW}, &alice), -EPERM);
    assert_int_equal(set_as(file, (struct nfs_setattr){.mask = NFS_SET_ATIME_NOW | NFS_SET_MTIME_NOW}, &alice),
                     -EACCES);
    const struct nfs_call calls[] = {
        {.op = NFS_LOOKUP, .fh = dir, .name = "x", .cred = &alice},
        {.op = NFS_CREATE, .fh = dir, .name = "x", .cred = &alice},
        {.op = NFS_MKDIR, .fh = dir, .name = "x", .cred = &alice},
        {.op = NFS_SYMLINK, .fh = dir, .name = "x", .target = "y", .cred = &alice},
        {.op = NFS_REMOVE, .fh = dir, .name = "x", .cred = &alice},
        {.op = NFS_LINK, .fh = file, .fh2 = dir, .name = "x", .cred = &alice},
        {.op = NFS_RENAME, .fh = root, .name = "roots", .fh2 = dir, .name2 = "x", .cred = &alice},
        {.op = NFS_READDIR, .fh = dir, .cred = &alice},
    };
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        assert_int_equal(posix_kit_result(&kit, calls[i]), -EACCES);
    struct nfs_call device = {.op = NFS_MKNOD,
                              .fh = root,
                              .name = "null",
                              .rdev_major = 1,
                              .rdev_minor = 3,
                              .cred = &alice,
                              .set = {.mask = NFS_SET_MODE, .mode = S_IFCHR | 0666}};
    assert_int_equal(posix_kit_run(&kit, &device), -EPERM);
}

static void test_groups_count(void **state) {
    (void)state;
    struct nfs_fh file = posix_kit_make(&kit, NFS_CREATE, &root, "group", 0640, NULL);
    assert_int_equal(set_as(file, (struct nfs_setattr){.mask = NFS_SET_GID, .gid = 5000}, NULL), 0);
    assert_int_equal(read_as(file, &alice), 0);
    assert_int_equal(read_as(file, &bob), -EACCES);
    const struct nfs_cred alice_without = {.uid = alice.uid, .gid = alice.gid};
    assert_int_equal(read_as(file, &alice_without), -EACCES);
    struct nfs_fh mine = posix_kit_make(&kit, NFS_CREATE, &root, "mine", 0600, &alice);
    assert_int_equal(set_as(mine, (struct nfs_setattr){.mask = NFS_SET_GID, .gid = 5000}, &alice), 0);
    assert_int_equal(set_as(mine, (struct nfs_setattr){.mask = NFS_SET_GID, .gid = 6000}, &alice), -EPERM);
}

static void test_the_owner_of_an_open_file(void **state) {
    (void)state;
    struct nfs_fh none = posix_kit_make(&kit, NFS_CREATE, &root, "none", 0000, &alice);
    assert_int_equal(write_as(none, &alice), 0);
    assert_int_equal(read_as(none, &alice), 0);
    assert_int_equal(write_as(none, &bob), -EACCES);
    assert_int_equal(set_as(none, (struct nfs_setattr){.mask = NFS_SET_SIZE}, &alice), 0);
    struct nfs_call may = {.op = NFS_ACCESS, .fh = none, .access = R_OK | W_OK, .cred = &alice};
    assert_int_equal(posix_kit_run(&kit, &may), 0); // whether it may be opened is told without the excuse
    assert_int_equal(may.access, 0);
    struct nfs_fh program = posix_kit_make(&kit, NFS_CREATE, &root, "program", 0711, NULL);
    assert_int_equal(read_as(program, &alice), 0); // to run it
    assert_int_equal(write_as(program, &alice), -EACCES);
}

static void test_the_process_is_not_changed(void **state) {
    (void)state;
    mode_t before = umask(077);
    struct nfs_fh fh = posix_kit_make(&kit, NFS_CREATE, &root, "open", 0666, &alice);
    struct nfs_call attr = {.op = NFS_GETATTR, .fh = fh};
    assert_int_equal(posix_kit_run(&kit, &attr), 0);
    assert_int_equal(attr.attr.mode, S_IFREG | 0666);
    assert_int_equal(umask(before), 077);
    assert_int_equal(setfsuid((uid_t)-1), 0);
    assert_int_equal(setfsgid((gid_t)-1), 0);
    assert_int_equal(geteuid(), 0);
}

// What is done with an answer, storing it in a cache say, is not done in the caller's name.
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done, may;
    int uid, gid;
};

static void look(struct nfs_call *call) {
    struct seen *seen = call->arg;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/closed/by-done", kit.path);
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    LOCK_SCOPE(&seen->lock);
    seen->may = fd >= 0;
    seen->uid = setfsuid((uid_t)-1);
    seen->gid = setfsgid((gid_t)-1);
    seen->is_done = true;
    (void)pthread_cond_signal(&seen->done);
}

static void test_the_answer_is_taken_as_root(void **state) {
    (void)state;
    struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    struct nfs_call call = {.op = NFS_GETATTR, .fh = root, .cred = &alice, .done = look, .arg = &seen};
    (void)posix_kit_make(&kit, NFS_MKDIR, &root, "closed", 0700, NULL);
    nfs_submit(kit.share, &call);
    LOCK_SCOPE(&seen.lock);
    while (!seen.is_done)
        (void)pthread_cond_wait(&seen.done, &seen.lock);
    assert_true(seen.may);
    assert_int_equal(seen.uid, 0);
    assert_int_equal(seen.gid, 0);
}

enum { USERS = 8, EACH = 60 };

static void *be_busy(void *arg) {
    uint32_t id = *(uint32_t *)arg;
    const struct nfs_cred cred = {.uid = id, .gid = id + 100, .group_count = 1, .groups = {id + 200}};
    uintptr_t wrong = 0;
    for (int i = 0; i < EACH; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "u%u-%d", id, i);
        struct nfs_call call = {.op = NFS_CREATE,
                                .fh = root,
                                .name = name,
                                .exclusive = true,
                                .cred = &cred,
                                .set = {.mask = NFS_SET_MODE, .mode = 0600}};
        if (posix_kit_run(&kit, &call) < 0 || call.attr.uid != id || call.attr.gid != id + 100)
            wrong++;
        struct nfs_setattr set = {.mask = NFS_SET_GID, .gid = id + 200};
        if (set_as(call.out_fh, set, &cred) < 0 || read_as(call.out_fh, &bob) != -EACCES)
            wrong++;
    }
    return (void *)wrong;
}

static void test_many_users_at_once(void **state) {
    (void)state;
    pthread_t threads[USERS];
    uint32_t ids[USERS];
    for (uint32_t i = 0; i < USERS; i++) {
        ids[i] = 7000 + i;
        assert_int_equal(pthread_create(&threads[i], NULL, be_busy, &ids[i]), 0);
    }
    for (size_t i = 0; i < USERS; i++) {
        void *wrong = NULL;
        (void)pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mode_bits_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_owner_of_an_open_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_process_is_not_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_answer_is_taken_as_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_users_at_once, setup, teardown),
    };
    posix_kit_need_root();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
