// SPDX-License-Identifier: Apache-2.0
// One suite for every backend: the share in memory, a directory of a mounted file system with handles of either kind, and a
// real server over NFSv3 and NFSv4.0.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/support/cm.h"
#include "tests/support/nfs_server.h"
#include "tests/support/posix_kit.h"

static struct nfs_share *share;
static struct nfs_fh dir; // a fresh directory per test
static int dir_number;

static int run(struct nfs_call *call) {
    call->deadline_ns = clock_monotonic(&clock_system) + 20 * NS_PER_S;
    return nfs_run(share, call);
}

#define CALL(var, ...)                                                                                                 \
    struct nfs_call var = {__VA_ARGS__};                                                                               \
    (void)run(&(var))

static int result(struct nfs_call call) {
    int r = run(&call);
    free(call.text);
    free(call.entries);
    return r;
}

static struct nfs_fh make(enum nfs_op op, const char *name, uint32_t mode) {
    CALL(c, .op = op, .fh = dir, .name = name, .exclusive = true, .set = {.mask = NFS_SET_MODE, .mode = mode});
    assert_int_equal(c.result, 0);
    assert_true(c.has_attr);
    assert_int_equal(c.attr.mode & 07777, mode & 07777);
    return c.out_fh;
}

static struct nfs_fh file(const char *name) {
    return make(NFS_CREATE, name, 0644);
}

static struct nfs_attr attr_of(struct nfs_fh fh) {
    CALL(c, .op = NFS_GETATTR, .fh = fh);
    assert_int_equal(c.result, 0);
    assert_true(c.has_attr);
    return c.attr;
}

static int setup(void **state) {
    (void)state;
    char name[32];
    (void)snprintf(name, sizeof name, "test-%d", dir_number++);
    CALL(c, .op = NFS_MKDIR, .fh = nfs_share_info(share)->root, .name = name,
         .set = {.mask = NFS_SET_MODE, .mode = 0755});
    dir = c.out_fh;
    return c.result;
}

static void test_info(void **state) {
    (void)state;
    const struct nfs_info *info = nfs_share_info(share);
    assert_in_range(info->read_max, 4096, NFS_IO_MAX);
    assert_in_range(info->write_max, 4096, NFS_IO_MAX);
    assert_true(S_ISDIR(attr_of(info->root).mode));
}

static void test_create(void **state) {
    (void)state;
    struct nfs_fh fh = make(NFS_CREATE, "f", 0640);
    CALL(found, .op = NFS_LOOKUP, .fh = dir, .name = "f");
    assert_int_equal(found.result, 0);
    assert_int_equal(found.attr.fileid, attr_of(fh).fileid);
    assert_true(S_ISREG(found.attr.mode));
    assert_int_equal(found.attr.nlink, 1);
    assert_int_equal(result((struct nfs_call){.op = NFS_CREATE, .fh = dir, .name = "f", .exclusive = true}), -EEXIST);
    char text[] = "kept";
    CALL(w, .op = NFS_WRITE, .fh = fh, .data = text, .count = 4, .stable = true);
    assert_int_equal(w.result, 0);
    CALL(again, .op = NFS_CREATE, .fh = dir, .name = "f", .set = {.mask = NFS_SET_SIZE});
    assert_int_equal(again.result, 0);
    assert_int_equal(again.attr.size, 4);
    assert_int_equal(result((struct nfs_call){.op = NFS_CREATE, .fh = fh, .name = "x", .exclusive = true}), -ENOTDIR);
}

static void test_names(void **state) {
    (void)state;
    char longest[NFS_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    longest[NFS_NAME_MAX] = '\0';
    (void)file(longest);
    longest[NFS_NAME_MAX] = 'n';
    char too_long[NFS_NAME_MAX + 2];
    memcpy(too_long, longest, sizeof too_long);
    too_long[NFS_NAME_MAX + 1] = '\0';
    assert_int_equal(result((struct nfs_call){.op = NFS_LOOKUP, .fh = dir, .name = too_long}), -ENAMETOOLONG);
    static const char *const refused[] = {"", ".", "..", "a/b", "/"};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        assert_int_equal(result((struct nfs_call){.op = NFS_LOOKUP, .fh = dir, .name = refused[i]}), -EINVAL);
        assert_int_equal(result((struct nfs_call){.op = NFS_MKDIR, .fh = dir, .name = refused[i]}), -EINVAL);
        assert_int_equal(
            result((struct nfs_call){.op = NFS_RENAME, .fh = dir, .name = "x", .fh2 = dir, .name2 = refused[i]}),
            -EINVAL);
    }
    (void)file("\xc3\xa4 b");
    assert_int_equal(result((struct nfs_call){.op = NFS_LOOKUP, .fh = dir, .name = "\xc3\xa4 b"}), 0);
}

static void test_write_read(void **state) {
    (void)state;
    struct nfs_fh fh = file("f");
    uint32_t size = nfs_share_info(share)->write_max;
    if (size > nfs_share_info(share)->read_max)
        size = nfs_share_info(share)->read_max;
    unsigned char *buf cleanup_free = malloc(size), *back cleanup_free = malloc(size);
    assert_true(buf && back);
    for (uint32_t i = 0; i < size; i++)
        buf[i] = (unsigned char)(i * 2654435761U >> 24);
    CALL(w, .op = NFS_WRITE, .fh = fh, .offset = 3, .data = buf, .count = size);
    assert_int_equal(w.result, 0);
    assert_int_equal(w.count, size);
    CALL(commit, .op = NFS_COMMIT, .fh = fh);
    assert_int_equal(commit.result, 0);
    assert_memory_equal(commit.verifier, w.verifier, sizeof w.verifier);
    CALL(r, .op = NFS_READ, .fh = fh, .offset = 3, .data = back, .count = size);
    assert_int_equal(r.result, 0);
    assert_int_equal(r.count, size);
    assert_memory_equal(back, buf, size);
    for (uint32_t count = 0; count < 9; count++) { // paddings of every kind
        CALL(small, .op = NFS_READ, .fh = fh, .offset = count, .data = back, .count = count);
        assert_int_equal(small.result, 0);
        assert_int_equal(small.count, count);
        if (count >= 3)
            assert_memory_equal(back, buf + count - 3, count);
    }
    CALL(end, .op = NFS_READ, .fh = fh, .offset = size, .data = back, .count = 100);
    assert_int_equal(end.count, 3);
    assert_true(end.eof);
    CALL(after, .op = NFS_READ, .fh = fh, .offset = (uint64_t)size + 3, .data = back, .count = 100);
    assert_int_equal(after.result, 0);
    assert_int_equal(after.count, 0);
    assert_true(after.eof);
}

static void test_stable_and_odd_writes(void **state) {
    (void)state;
    struct nfs_fh fh = file("f");
    char text[] = "0123456789", back[16] = "";
    for (uint32_t count = 1; count <= 7; count++) {
        CALL(w, .op = NFS_WRITE, .fh = fh, .offset = 0, .data = text, .count = count, .stable = true);
        assert_int_equal(w.result, 0);
        assert_int_equal(w.count, count);
        assert_true(w.committed);
    }
    CALL(r, .op = NFS_READ, .fh = fh, .data = back, .count = sizeof back);
    assert_int_equal(r.count, 7);
    assert_memory_equal(back, text, 7);
    assert_int_equal(result((struct nfs_call){.op = NFS_READ, .fh = dir, .data = back, .count = 1}), -EISDIR);
}

static void test_holes_and_truncate(void **state) {
    (void)state;
    struct nfs_fh fh = file("f");
    char text[] = "end", back[8] = "xxxxxxx";
    const uint64_t far = UINT64_C(5) << 30;
    CALL(w, .op = NFS_WRITE, .fh = fh, .offset = far, .data = text, .count = 3, .stable = true);
    assert_int_equal(w.result, 0);
    assert_int_equal(attr_of(fh).size, far + 3);
    assert_true(attr_of(fh).used < UINT64_C(1) << 30);
    CALL(r, .op = NFS_READ, .fh = fh, .offset = far - 4, .data = back, .count = 7);
    assert_memory_equal(back, "\0\0\0\0end", 7);
    CALL(cut, .op = NFS_SETATTR, .fh = fh, .set = {.mask = NFS_SET_SIZE, .size = 2});
    assert_int_equal(cut.result, 0);
    assert_int_equal(attr_of(fh).size, 2);
    CALL(grow, .op = NFS_SETATTR, .fh = fh, .set = {.mask = NFS_SET_SIZE, .size = far + 3});
    assert_int_equal(grow.result, 0);
    CALL(zero, .op = NFS_READ, .fh = fh, .offset = far - 4, .data = back, .count = 7);
    assert_int_equal(zero.count, 7);
    assert_memory_equal(back, "\0\0\0\0\0\0\0", 7);
}

static void test_setattr(void **state) {
    (void)state;
    struct nfs_fh fh = file("f");
    struct nfs_setattr set = {.mask = NFS_SET_MODE | NFS_SET_UID | NFS_SET_GID | NFS_SET_ATIME | NFS_SET_MTIME,
                              .mode = 0750,
                              .uid = 4000001,
                              .gid = 4000002,
                              .atime = {.tv_sec = 1000, .tv_nsec = 1000000},
                              .mtime = {.tv_sec = 2000, .tv_nsec = 2000000}};
    CALL(c, .op = NFS_SETATTR, .fh = fh, .set = set);
    assert_int_equal(c.result, 0);
    struct nfs_attr attr = attr_of(fh);
    assert_int_equal(attr.mode, S_IFREG | 0750);
    assert_int_equal(attr.uid, 4000001);
    assert_int_equal(attr.gid, 4000002);
    assert_int_equal(attr.atime.tv_sec, 1000);
    assert_int_equal(attr.mtime.tv_sec, 2000);
    assert_int_equal(attr.mtime.tv_nsec, 2000000);
    CALL(now, .op = NFS_SETATTR, .fh = fh, .set = {.mask = NFS_SET_MTIME_NOW});
    assert_int_equal(now.result, 0);
    assert_true(attr_of(fh).mtime.tv_sec > 1000000000);
    assert_int_equal(attr_of(fh).atime.tv_sec, 1000);
}

static void test_credentials(void **state) {
    (void)state;
    CALL(open_dir, .op = NFS_SETATTR, .fh = dir, .set = {.mask = NFS_SET_MODE, .mode = 0777});
    assert_int_equal(open_dir.result, 0);
    const struct nfs_cred user = {.uid = 4000003, .gid = 4000004, .group_count = 1, .groups = {4000005}};
    CALL(c, .op = NFS_CREATE, .fh = dir, .name = "f", .exclusive = true, .cred = &user,
         .set = {.mask = NFS_SET_MODE, .mode = 0640});
    assert_int_equal(c.result, 0);
    assert_int_equal(attr_of(c.out_fh).uid, 4000003);
    assert_int_equal(attr_of(c.out_fh).gid, 4000004);
    CALL(mine, .op = NFS_ACCESS, .fh = c.out_fh, .cred = &user, .access = R_OK | W_OK | X_OK);
    assert_int_equal(mine.result, 0);
    assert_int_equal(mine.access, R_OK | W_OK);
    const struct nfs_cred other = {.uid = 4000009, .gid = 4000009};
    CALL(theirs, .op = NFS_ACCESS, .fh = c.out_fh, .cred = &other, .access = R_OK | W_OK | X_OK);
    assert_int_equal(theirs.result, 0);
    assert_int_equal(theirs.access, 0);
}

static void test_links(void **state) {
    (void)state;
    struct nfs_fh fh = file("f");
    CALL(c, .op = NFS_LINK, .fh = fh, .fh2 = dir, .name = "g");
    assert_int_equal(c.result, 0);
    assert_int_equal(attr_of(fh).nlink, 2);
    assert_int_equal(result((struct nfs_call){.op = NFS_LINK, .fh = fh, .fh2 = dir, .name = "f"}), -EEXIST);
    CALL(s, .op = NFS_SYMLINK, .fh = dir, .name = "s", .target = "../else/where");
    assert_int_equal(s.result, 0);
    assert_true(S_ISLNK(s.attr.mode));
    CALL(text, .op = NFS_READLINK, .fh = s.out_fh);
    assert_int_equal(text.result, 0);
    assert_string_equal(text.text, "../else/where");
    free(text.text);
    assert_int_equal(result((struct nfs_call){.op = NFS_READLINK, .fh = fh}), -EINVAL);
    assert_int_equal(result((struct nfs_call){.op = NFS_SYMLINK, .fh = dir, .name = "f", .target = "x"}), -EEXIST);
}

static void test_special_files(void **state) {
    (void)state;
    CALL(fifo, .op = NFS_MKNOD, .fh = dir, .name = "fifo", .set = {.mask = NFS_SET_MODE, .mode = S_IFIFO | 0600});
    assert_int_equal(fifo.result, 0);
    assert_int_equal(attr_of(fifo.out_fh).mode, S_IFIFO | 0600);
    CALL(dev, .op = NFS_MKNOD, .fh = dir, .name = "dev", .set = {.mask = NFS_SET_MODE, .mode = S_IFCHR | 0600},
         .rdev_major = 1, .rdev_minor = 3);
    assert_int_equal(dev.result, 0);
    struct nfs_attr attr = attr_of(dev.out_fh);
    assert_true(S_ISCHR(attr.mode));
    assert_int_equal(attr.rdev_major, 1);
    assert_int_equal(attr.rdev_minor, 3);
    assert_int_equal(
        result((struct nfs_call){.op = NFS_MKNOD, .fh = dir, .name = "bad", .set = {.mode = S_IFREG | 0600}}), -EINVAL);
}

static void test_remove(void **state) {
    (void)state;
    struct nfs_fh fh = file("f"), sub = make(NFS_MKDIR, "d", 0755);
    assert_int_equal(result((struct nfs_call){.op = NFS_REMOVE, .fh = dir, .name = "d"}), -EISDIR);
    assert_int_equal(result((struct nfs_call){.op = NFS_RMDIR, .fh = dir, .name = "f"}), -ENOTDIR);
    assert_int_equal(result((struct nfs_call){.op = NFS_REMOVE, .fh = dir, .name = "no"}), -ENOENT);
    assert_int_equal(result((struct nfs_call){.op = NFS_RMDIR, .fh = dir, .name = "no"}), -ENOENT);
    assert_int_equal(result((struct nfs_call){.op = NFS_MKDIR, .fh = sub, .name = "in"}), 0);
    assert_int_equal(result((struct nfs_call){.op = NFS_RMDIR, .fh = dir, .name = "d"}), -ENOTEMPTY);
    assert_int_equal(result((struct nfs_call){.op = NFS_RMDIR, .fh = sub, .name = "in"}), 0);
    assert_int_equal(result((struct nfs_call){.op = NFS_RMDIR, .fh = dir, .name = "d"}), 0);
    assert_int_equal(result((struct nfs_call){.op = NFS_REMOVE, .fh = dir, .name = "f"}), 0);
    assert_int_equal(result((struct nfs_call){.op = NFS_GETATTR, .fh = fh}), -ESTALE);
    assert_int_equal(result((struct nfs_call){.op = NFS_LOOKUP, .fh = dir, .name = "f"}), -ENOENT);
    assert_int_equal(result((struct nfs_call){.op = NFS_CREATE, .fh = sub, .name = "x", .exclusive = true}), -ESTALE);
}

static int move(const char *from, const char *to) {
    return result((struct nfs_call){.op = NFS_RENAME, .fh = dir, .name = from, .fh2 = dir, .name2 = to});
}

static void test_rename(void **state) {
    (void)state;
    struct nfs_fh f = file("f"), g = file("g"), d = make(NFS_MKDIR, "d", 0755), e = make(NFS_MKDIR, "e", 0755);
    assert_int_equal(move("no", "x"), -ENOENT);
    assert_int_equal(move("f", "g"), 0);
    assert_int_equal(result((struct nfs_call){.op = NFS_GETATTR, .fh = g}), -ESTALE);
    CALL(found, .op = NFS_LOOKUP, .fh = dir, .name = "g");
    assert_int_equal(found.attr.fileid, attr_of(f).fileid);
    assert_int_equal(result((struct nfs_call){.op = NFS_RENAME, .fh = dir, .name = "g", .fh2 = d, .name2 = "in"}), 0);
    assert_int_equal(move("e", "d"), -ENOTEMPTY);
    assert_int_equal(result((struct nfs_call){.op = NFS_RENAME, .fh = d, .name = "in", .fh2 = dir, .name2 = "g"}), 0);
    assert_int_equal(move("g", "d"), -EISDIR);
    assert_int_equal(move("d", "g"), -ENOTDIR);
    assert_int_equal(move("e", "d"), 0);
    assert_int_equal(attr_of(e).nlink, 2);
    assert_int_equal(move("g", "g"), 0);
    assert_int_equal(result((struct nfs_call){.op = NFS_LINK, .fh = f, .fh2 = dir, .name = "h"}), 0);
    assert_int_equal(move("g", "h"), 0);
    assert_int_equal(attr_of(f).nlink, 2);
}

enum { MANY = 700 };

static size_t list(bool want_attr, bool *seen) {
    struct nfs_call c = {.op = NFS_READDIR, .fh = dir, .want_attr = want_attr};
    size_t total = 0;
    do {
        assert_int_equal(run(&c), 0);
        for (size_t i = 0; i < c.entry_count; i++) {
            const struct nfs_dirent *e = &c.entries[i];
            int number = atoi(e->name + strlen("a-rather-long-name-"));
            assert_in_range(number, 0, MANY - 1);
            assert_false(seen[number]);
            seen[number] = true;
            assert_int_not_equal(e->fileid, 0);
            if (want_attr) {
                assert_true(e->has_attr && e->has_fh);
                assert_int_equal(e->attr.fileid, attr_of(e->fh).fileid);
                assert_true(S_ISREG(e->attr.mode));
            }
        }
        total += c.entry_count;
        free(c.entries);
    } while (!c.eof);
    return total;
}

static void test_readdir(void **state) {
    (void)state;
    CALL(empty, .op = NFS_READDIR, .fh = dir);
    assert_int_equal(empty.result, 0);
    assert_int_equal(empty.entry_count, 0);
    assert_true(empty.eof);
    free(empty.entries);
    for (int i = 0; i < MANY; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "a-rather-long-name-%d", i);
        (void)file(name);
    }
    bool seen[2][MANY] = {0};
    assert_int_equal(list(false, seen[0]), MANY);
    assert_int_equal(list(true, seen[1]), MANY);
    struct nfs_fh fh = file("zz");
    assert_int_equal(result((struct nfs_call){.op = NFS_READDIR, .fh = fh}), -ENOTDIR);
}

static void test_fsstat(void **state) {
    (void)state;
    CALL(c, .op = NFS_FSSTAT, .fh = dir);
    assert_int_equal(c.result, 0);
    assert_true(c.fsstat.total_bytes > 0 && c.fsstat.total_files > 0);
    assert_true(c.fsstat.avail_bytes <= c.fsstat.total_bytes);
}

static void test_lookup_fails(void **state) {
    (void)state;
    struct nfs_fh fh = file("f");
    assert_int_equal(result((struct nfs_call){.op = NFS_LOOKUP, .fh = dir, .name = "no"}), -ENOENT);
    assert_int_equal(result((struct nfs_call){.op = NFS_LOOKUP, .fh = fh, .name = "x"}), -ENOTDIR);
    assert_int_equal(result((struct nfs_call){.op = NFS_GETATTR}), -EINVAL); // no handle
    assert_int_equal(result((struct nfs_call){.op = NFS_MKDIR, .fh = dir, .name = "f"}), -EEXIST);
}

static int suite(const char *name, struct nfs_share *of) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_info, setup),
        cmocka_unit_test_setup(test_create, setup),
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_write_read, setup),
        cmocka_unit_test_setup(test_stable_and_odd_writes, setup),
        cmocka_unit_test_setup(test_holes_and_truncate, setup),
        cmocka_unit_test_setup(test_setattr, setup),
        cmocka_unit_test_setup(test_credentials, setup),
        cmocka_unit_test_setup(test_links, setup),
        cmocka_unit_test_setup(test_special_files, setup),
        cmocka_unit_test_setup(test_remove, setup),
        cmocka_unit_test_setup(test_rename, setup),
        cmocka_unit_test_setup(test_readdir, setup),
        cmocka_unit_test_setup(test_fsstat, setup),
        cmocka_unit_test_setup(test_lookup_fails, setup),
    };
    share = of;
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    share = nfs_share_free(share);
    return failed;
}

static int suite_on_server(const struct nfs_server *server, int version) {
    struct err err = ERR_NONE;
    struct nfs_share *real = NULL;
    struct nfs_options options = nfs_server_options(server, version, 2);
    if (nfs_share_open(&options, &real, &err) < 0) {
        (void)printf("NFSv%d: %s\n", version, err_text(&err));
        return 1;
    }
    return suite(version == 3 ? "NFSv3" : "NFSv4.0", real);
}

static int suite_on_directory(const char *name, struct posix_options options) {
    struct posix_kit kit;
    options.descriptors = 8; // so that they are closed and opened again all the time
    if (posix_kit_start(&kit, options) < 0)
        return 1;
    int failed = suite(name, take_ptr(kit.share));
    posix_kit_stop(&kit);
    return failed;
}

static int suite_on_directories(void) {
    if (geteuid() != 0) {
        (void)printf("needs root to act for others: a mounted directory is left out\n");
        return 0;
    }
    return suite_on_directory("directory, handles of the kernel", (struct posix_options){0}) +
           suite_on_directory("directory, handles of our own", (struct posix_options){.no_kernel_handles = true}) +
           suite_on_directory("directory, uncached", (struct posix_options){.uncached = true});
}

int main(void) {
    int failed = suite("in memory", fake_nfs_new()) + suite_on_directories();
    struct nfs_server server;
    int r = nfs_server_start(&server);
    if (r == 0)
        failed += suite_on_server(&server, 3) + suite_on_server(&server, 4);
    else if (r != -ENOENT)
        failed++;
    if (r != -ENOENT)
        nfs_server_stop(&server);
    return failed ? 1 : r == -ENOENT ? 77 : 0;
}
