// SPDX-License-Identifier: Apache-2.0
// Handles of a mounted directory: what they survive, and what they must not stand for afterwards.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/table.h"
#include "tests/support/cm.h"
#include "tests/support/posix_kit.h"

static const struct posix_options kinds[] = {{0}, {.no_kernel_handles = true}};

static int getattr(struct posix_kit *kit, struct nfs_fh fh) {
    return posix_kit_result(kit, (struct nfs_call){.op = NFS_GETATTR, .fh = fh});
}

static void put_file(const struct posix_kit *kit, const char *name, const char *text) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", kit->path, name);
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void behind(const struct posix_kit *kit, int (*act)(const char *, const char *), const char *a, const char *b) {
    char from[128], to[128];
    (void)snprintf(from, sizeof from, "%s/%s", kit->path, a);
    (void)snprintf(to, sizeof to, "%s/%s", kit->path, b);
    assert_int_equal(act(from, to), 0);
}

static void test_one_file_one_handle(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct posix_kit kit;
        assert_int_equal(posix_kit_start(&kit, kinds[i]), 0);
        struct nfs_fh root = posix_kit_root(&kit), file = posix_kit_make(&kit, NFS_CREATE, &root, "a", 0644, NULL);
        assert_int_equal(posix_share_has_kernel_handles(kit.share), i == 0);
        assert_in_range(file.len, 1, NFS_FH_MAX);
        assert_int_equal(
            posix_kit_result(&kit, (struct nfs_call){.op = NFS_LINK, .fh = file, .fh2 = root, .name = "b"}), 0);
        struct nfs_fh a = posix_kit_find(&kit, &root, "a"), b = posix_kit_find(&kit, &root, "b");
        assert_true(nfs_fh_eq(&file, &a) && nfs_fh_eq(&a, &b) && !nfs_fh_eq(&a, &root));
        posix_kit_stop(&kit);
    }
}

static void test_handles_outlive_the_process(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct posix_kit kit;
        assert_int_equal(posix_kit_start(&kit, kinds[i]), 0);
        struct nfs_fh root = posix_kit_root(&kit), dir = posix_kit_make(&kit, NFS_MKDIR, &root, "d", 0755, NULL);
        struct nfs_fh file = posix_kit_make(&kit, NFS_CREATE, &dir, "f", 0644, NULL);
        assert_int_equal(posix_kit_reopen(&kit, kinds[i]), 0);
        struct nfs_fh again = posix_kit_root(&kit);
        assert_true(nfs_fh_eq(&again, &root));
        assert_int_equal(getattr(&kit, file), i == 0 ? 0 : -ESTALE); // our own: until it was looked up again
        dir = posix_kit_find(&kit, &root, "d");
        again = posix_kit_find(&kit, &dir, "f");
        assert_true(nfs_fh_eq(&again, &file));
        assert_int_equal(getattr(&kit, file), 0);
        posix_kit_stop(&kit);
    }
}

static void test_a_name_that_is_another_file_now(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct posix_kit kit;
        assert_int_equal(posix_kit_start(&kit, kinds[i]), 0);
        struct nfs_fh root = posix_kit_root(&kit);
        put_file(&kit, "f", "old");
        put_file(&kit, "new", "new");
        struct nfs_fh old = posix_kit_find(&kit, &root, "f");
        behind(&kit, rename, "new", "f");
        assert_int_equal(getattr(&kit, old), -ESTALE);
        struct nfs_fh now = posix_kit_find(&kit, &root, "f");
        assert_false(nfs_fh_eq(&old, &now));
        char data[8] = "";
        struct nfs_call read = {.op = NFS_READ, .fh = now, .data = data, .count = sizeof data};
        assert_int_equal(posix_kit_run(&kit, &read), 0);
        assert_string_equal(data, "new");
        read.fh = old;
        assert_int_equal(posix_kit_run(&kit, &read), -ESTALE);
        posix_kit_stop(&kit);
    }
}

static void test_what_is_no_handle(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct posix_kit kit;
        assert_int_equal(posix_kit_start(&kit, kinds[i]), 0);
        for (unsigned kind = 0; kind < 4; kind++)
            for (unsigned len = 1; len <= NFS_FH_MAX; len++) {
                struct nfs_fh fh = {.len = (uint8_t)len};
                memset(fh.data, 0xa5, len);
                fh.data[0] = (uint8_t)kind;
                assert_int_equal(getattr(&kit, fh), -ESTALE);
            }
        posix_kit_stop(&kit);
    }
}

// ---- the table itself, with next to no room

struct scene {
    struct posix_kit kit;
    int root_fd;
    struct posix_table *table;
    struct nfs_fh root;
};

static void scene_start(struct scene *s, size_t entries, size_t descriptors) {
    const struct posix_table_limits limits = {.entries = entries, .descriptors = descriptors};
    assert_int_equal(posix_kit_start(&s->kit, (struct posix_options){0}), 0);
    s->root_fd = open(s->kit.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s->root_fd >= 0);
    assert_int_equal(posix_table_new(s->root_fd, &limits, &s->table), 0);
    posix_table_root(s->table, &s->root);
}

static void scene_stop(struct scene *s) {
    (void)posix_table_free(s->table);
    (void)close(s->root_fd);
    posix_kit_stop(&s->kit);
}

static struct nfs_fh learn(struct scene *s, const struct nfs_fh *dir, const char *path) {
    struct statx stx;
    struct nfs_fh fh;
    int fd = openat(s->root_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx), 0);
    const char *name = strrchr(path, '/');
    assert_int_equal(posix_table_learn(s->table, dir, name ? name + 1 : path, fd, &stx, &fh), 0);
    return fh;
}

static ino_t inode_of(struct scene *s, const struct nfs_fh *fh) { // 0: stale
    struct posix_entry *entry = NULL;
    struct stat st;
    int r = posix_table_get(s->table, fh, true, &entry);
    if (r == -ESTALE)
        return 0;
    assert_int_equal(r, 0);
    assert_int_equal(fstat(posix_entry_fd(entry), &st), 0);
    posix_table_put(s->table, entry);
    return st.st_ino;
}

static ino_t inode_at(const struct scene *s, const char *path) {
    struct stat st;
    assert_int_equal(fstatat(s->root_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_ino;
}

static void test_descriptors_are_closed_and_opened_again(void **state) {
    (void)state;
    struct scene s;
    struct nfs_fh dirs[20], files[20];
    char path[512] = "";
    char paths[20][512];
    scene_start(&s, 1000, 2);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) { // d/d/d…, with a file in each
        (void)snprintf(path + strlen(path), sizeof path - strlen(path), "%sd", i ? "/" : "");
        assert_int_equal(mkdirat(s.root_fd, path, 0755), 0);
        dirs[i] = learn(&s, i ? &dirs[i - 1] : &s.root, path);
        (void)snprintf(paths[i], sizeof paths[i], "%s/f", path);
        int fd cleanup_close = openat(s.root_fd, paths[i], O_CREAT | O_WRONLY, 0644);
        files[i] = learn(&s, &dirs[i], paths[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        assert_int_equal(inode_of(&s, &files[i]), inode_at(&s, paths[i]));
    // A directory above that was moved: what was learned of it by its new name holds for all below.
    assert_int_equal(renameat(s.root_fd, "d/d", s.root_fd, "moved"), 0);
    assert_int_equal(inode_of(&s, &files[5]), 0);
    struct nfs_fh moved = learn(&s, &s.root, "moved");
    assert_true(nfs_fh_eq(&moved, &dirs[1]));
    assert_int_equal(inode_of(&s, &files[5]), inode_at(&s, "moved/d/d/d/d/f"));
    scene_stop(&s);
}

static void test_a_loop_of_names_ends(void **state) {
    (void)state;
    struct scene s;
    scene_start(&s, 1000, 0);
    assert_int_equal(mkdirat(s.root_fd, "a", 0755), 0);
    assert_int_equal(mkdirat(s.root_fd, "a/b", 0755), 0);
    struct nfs_fh a = learn(&s, &s.root, "a"), b = learn(&s, &a, "a/b");
    assert_int_equal(renameat(s.root_fd, "a/b", s.root_fd, "b"), 0);
    assert_int_equal(renameat(s.root_fd, "a", s.root_fd, "b/a"), 0);
    (void)learn(&s, &b, "b/a"); // the table believes that b is in a
    assert_int_equal(mkdirat(s.root_fd, "c", 0755), 0);
    (void)learn(&s, &s.root, "c"); // takes the last descriptor
    assert_int_equal(inode_of(&s, &a), 0);
    (void)learn(&s, &s.root, "b");
    assert_int_equal(inode_of(&s, &a), inode_at(&s, "b/a"));
    scene_stop(&s);
}

static size_t list(struct posix_kit *kit, uint64_t *cookie) {
    struct nfs_call call = {.op = NFS_READDIR, .fh = posix_kit_root(kit), .cookie = *cookie};
    assert_int_equal(posix_kit_run(kit, &call), 0);
    assert_true(call.eof);
    *cookie = call.cookie;
    free(call.entries);
    return call.entry_count;
}

// A successor's first look may be at the end, where its predecessor had told a reader to go on.
static void test_a_listing_begins_after_one_that_ended(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct posix_kit kit;
        uint64_t end = 0, start = 0;
        assert_int_equal(posix_kit_start(&kit, kinds[i]), 0);
        put_file(&kit, "a", "a");
        put_file(&kit, "b", "b");
        assert_int_equal(list(&kit, &end), 2);
        assert_int_equal(posix_kit_reopen(&kit, kinds[i]), 0);
        assert_int_equal(list(&kit, &end), 0);
        assert_int_equal(list(&kit, &start), 2);
        start = 0;
        assert_int_equal(list(&kit, &start), 2);
        posix_kit_stop(&kit);
    }
}

static void test_the_oldest_entries_go(void **state) {
    (void)state;
    struct scene s;
    struct nfs_fh files[40];
    char name[16];
    scene_start(&s, 10, 4);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        (void)snprintf(name, sizeof name, "f%zu", i);
        int fd cleanup_close = openat(s.root_fd, name, O_CREAT | O_WRONLY, 0644);
        files[i] = learn(&s, &s.root, name);
    }
    assert_int_equal(inode_of(&s, &files[0]), 0);
    assert_int_equal(inode_of(&s, &files[39]), inode_at(&s, "f39"));
    assert_int_equal(inode_of(&s, &s.root), inode_at(&s, "."));
    scene_stop(&s);
}

static void test_a_removed_file_is_let_go(void **state) {
    (void)state;
    struct scene s;
    struct statx stx;
    scene_start(&s, 10, 4);
    int fd cleanup_close = openat(s.root_fd, "f", O_CREAT | O_WRONLY, 0644);
    struct nfs_fh file = learn(&s, &s.root, "f");
    assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx), 0);
    assert_int_equal(unlinkat(s.root_fd, "f", 0), 0);
    posix_table_forget(s.table, &stx);
    assert_int_equal(inode_of(&s, &file), 0);
    scene_stop(&s);
}

// ---- no memory: an error, and nothing lost

static void test_without_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct posix_kit kit;
        assert_int_equal(posix_kit_start(&kit, kinds[i]), 0);
        struct nfs_fh root = posix_kit_root(&kit), file = posix_kit_make(&kit, NFS_CREATE, &root, "f", 0644, NULL);
        char data[100] = "data";
        const struct nfs_call calls[] = {
            {.op = NFS_LOOKUP, .fh = root, .name = "f"},
            {.op = NFS_READ, .fh = file, .data = data, .count = sizeof data},
            {.op = NFS_WRITE, .fh = file, .data = data, .count = sizeof data},
            {.op = NFS_READDIR, .fh = root, .want_attr = true},
            {.op = NFS_SYMLINK, .fh = root, .name = "s", .target = "t"},
        };
        for (size_t c = 0; c < ARRAY_SIZE(calls); c++) {
            int r = -ENOMEM;
            for (long n = 1; n < 20 && r != 0; n++) {
                (void)mem_fail_nth(n);
                r = posix_kit_result(&kit, calls[c]);
                (void)mem_fail_nth(0);
                if (r == -EEXIST) // the link was made, and could not be told of
                    r = 0;
                assert_true(r == 0 || r == -ENOMEM);
            }
            assert_int_equal(r, 0);
        }
        posix_kit_stop(&kit);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_file_one_handle),
        cmocka_unit_test(test_handles_outlive_the_process),
        cmocka_unit_test(test_a_name_that_is_another_file_now),
        cmocka_unit_test(test_what_is_no_handle),
        cmocka_unit_test(test_descriptors_are_closed_and_opened_again),
        cmocka_unit_test(test_a_loop_of_names_ends),
        cmocka_unit_test(test_a_listing_begins_after_one_that_ended),
        cmocka_unit_test(test_the_oldest_entries_go),
        cmocka_unit_test(test_a_removed_file_is_let_go),
        cmocka_unit_test(test_without_memory),
    };
    posix_kit_need_root();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
