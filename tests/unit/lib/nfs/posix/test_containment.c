// SPDX-License-Identifier: Apache-2.0
// Nothing leads out of the directory: no symbolic link, also not one that is put in the way at the right moment, no "..",
// and no other mount.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "tests/support/cm.h"
#include "tests/support/posix_kit.h"

static const struct posix_options kinds[] = {{0}, {.no_kernel_handles = true}};

struct scene {
    struct posix_kit kit;
    int fd; // of the directory
    struct nfs_fh root;
};

static void scene_start(struct scene *s, size_t kind) {
    assert_int_equal(posix_kit_start(&s->kit, kinds[kind]), 0);
    s->fd = open(s->kit.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s->fd >= 0);
    s->root = posix_kit_root(&s->kit);
}

static void scene_stop(struct scene *s) {
    (void)close(s->fd);
    posix_kit_stop(&s->kit);
}

static void test_links_are_never_followed(void **state) {
    (void)state;
    for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
        struct scene s;
        char data[8];
        scene_start(&s, kind);
        assert_int_equal(symlinkat("/etc/passwd", s.fd, "file"), 0);
        assert_int_equal(symlinkat("/etc", s.fd, "dir"), 0);
        assert_int_equal(symlinkat("/tmp/stowage-posix-must-not-appear", s.fd, "dangling"), 0);
        struct nfs_fh file = posix_kit_find(&s.kit, &s.root, "file"), dir = posix_kit_find(&s.kit, &s.root, "dir");
        struct nfs_call attr = {.op = NFS_GETATTR, .fh = file};
        assert_int_equal(posix_kit_run(&s.kit, &attr), 0);
        assert_true(S_ISLNK(attr.attr.mode));
        const struct {
            struct nfs_call call;
            int result;
        } cases[] = {
            {{.op = NFS_LOOKUP, .fh = dir, .name = "passwd"}, -ENOTDIR},
            {{.op = NFS_READDIR, .fh = dir}, -ENOTDIR},
            {{.op = NFS_READ, .fh = file, .data = data, .count = 8}, -EINVAL},
            {{.op = NFS_WRITE, .fh = file, .data = data, .count = 0}, -EINVAL},
            {{.op = NFS_COMMIT, .fh = file}, -EINVAL},
            {{.op = NFS_SETATTR, .fh = file, .set = {.mask = NFS_SET_SIZE}}, -EINVAL},
            {{.op = NFS_SETATTR, .fh = file, .set = {.mask = NFS_SET_MODE, .mode = 0666}}, -EOPNOTSUPP},
            {{.op = NFS_CREATE, .fh = s.root, .name = "dangling", .exclusive = true}, -EEXIST},
            {{.op = NFS_CREATE, .fh = s.root, .name = "dangling"}, -EEXIST},
            {{.op = NFS_MKDIR, .fh = s.root, .name = "dangling"}, -EEXIST},
            {{.op = NFS_CREATE, .fh = dir, .name = "x", .exclusive = true}, -ENOTDIR},
            {{.op = NFS_LINK, .fh = file, .fh2 = s.root, .name = "hard"}, 0},
            {{.op = NFS_REMOVE, .fh = s.root, .name = "file"}, 0},
            {{.op = NFS_LOOKUP, .fh = s.root, .name = ".."}, -EINVAL},
            {{.op = NFS_LOOKUP, .fh = s.root, .name = "dir/passwd"}, -EINVAL},
            {{.op = NFS_RENAME, .fh = s.root, .name = "dir", .fh2 = s.root, .name2 = "../dir"}, -EINVAL},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
            assert_int_equal(posix_kit_result(&s.kit, cases[i].call), cases[i].result);
        struct nfs_fh hard = posix_kit_find(&s.kit, &s.root, "hard"); // of the link, not of what it names
        struct nfs_call text = {.op = NFS_READLINK, .fh = hard};
        assert_int_equal(posix_kit_run(&s.kit, &text), 0);
        assert_string_equal(text.text, "/etc/passwd");
        free(text.text);
        assert_int_equal(access("/tmp/stowage-posix-must-not-appear", F_OK), -1);
        scene_stop(&s);
    }
}

// One thread changes "way" between a directory and a link out, the other goes through it by handle and name.
struct race {
    int fd;
    atomic_bool stop;
};

static void *swap(void *arg) {
    struct race *race = arg;
    while (!atomic_load(&race->stop))
        (void)renameat2(race->fd, "way", race->fd, "link", RENAME_EXCHANGE);
    return NULL;
}

static void test_a_link_that_comes_at_the_wrong_moment(void **state) {
    (void)state;
    for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
        struct scene s;
        struct race race;
        pthread_t thread;
        char outside[] = "/tmp/stowage-outside.XXXXXX", path[64];
        unsigned links = 0, dirs = 0;
        assert_non_null(mkdtemp(outside));
        (void)snprintf(path, sizeof path, "%s/secret", outside);
        int secret cleanup_close = open(path, O_CREAT | O_WRONLY, 0644);
        scene_start(&s, kind);
        assert_int_equal(mkdirat(s.fd, "way", 0755), 0);
        assert_int_equal(symlinkat(outside, s.fd, "link"), 0);
        race.fd = s.fd;
        atomic_init(&race.stop, false);
        assert_int_equal(pthread_create(&thread, NULL, swap, &race), 0);
        for (int i = 0; i < 20000 && (i < 500 || links == 0 || dirs == 0); i++) {
            struct nfs_call call = {.op = NFS_LOOKUP, .fh = s.root, .name = "way"};
            assert_int_equal(posix_kit_run(&s.kit, &call), 0);
            *(S_ISLNK(call.attr.mode) ? &links : &dirs) += 1;
            struct nfs_fh way = call.out_fh;
            int r = posix_kit_result(&s.kit, (struct nfs_call){.op = NFS_LOOKUP, .fh = way, .name = "secret"});
            assert_true(r == -ENOENT || r == -ENOTDIR || r == -ESTALE);
            r = posix_kit_result(&s.kit, (struct nfs_call){.op = NFS_CREATE, .fh = way, .name = "mine"});
            assert_true(r == 0 || r == -ENOTDIR || r == -ESTALE);
            r = posix_kit_result(&s.kit, (struct nfs_call){.op = NFS_REMOVE, .fh = way, .name = "secret"});
            assert_true(r == -ENOENT || r == -ENOTDIR || r == -ESTALE);
        }
        atomic_store(&race.stop, true);
        (void)pthread_join(thread, NULL);
        assert_true(links > 0 && dirs > 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(outside), 0); // nothing else came to be there
        scene_stop(&s);
    }
}

static void test_other_mounts_are_not_entered(void **state) {
    (void)state;
    for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
        struct scene s;
        char path[96];
        scene_start(&s, kind);
        (void)snprintf(path, sizeof path, "%s/mounted", s.kit.path);
        assert_int_equal(mkdir(path, 0755), 0);
        struct nfs_fh below = posix_kit_find(&s.kit, &s.root, "mounted");
        assert_int_equal(mount("stowage-test", path, "tmpfs", 0, "size=64k"), 0);
        assert_int_equal(posix_kit_result(&s.kit, (struct nfs_call){.op = NFS_LOOKUP, .fh = s.root, .name = "mounted"}),
                         -EXDEV);
        // What was known before is the directory under the mount.
        (void)posix_kit_make(&s.kit, NFS_CREATE, &below, "under", 0644, NULL);
        (void)strcat(path, "/under");
        assert_int_equal(access(path, F_OK), -1);
        struct nfs_call list = {.op = NFS_READDIR, .fh = s.root, .want_attr = true};
        assert_int_equal(posix_kit_run(&s.kit, &list), 0);
        assert_int_equal(list.entry_count, 1);
        assert_false(list.entries[0].has_attr || list.entries[0].has_fh);
        free(list.entries);
        *strrchr(path, '/') = '\0';
        assert_int_equal(umount2(path, MNT_DETACH), 0);
        assert_int_equal(posix_kit_result(&s.kit, (struct nfs_call){.op = NFS_LOOKUP, .fh = below, .name = "under"}),
                         0);
        scene_stop(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_are_never_followed),
        cmocka_unit_test(test_a_link_that_comes_at_the_wrong_moment),
        cmocka_unit_test(test_other_mounts_are_not_entered),
    };
    posix_kit_need_root();
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)printf("skipped: no mount namespace of its own\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
