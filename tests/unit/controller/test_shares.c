// SPDX-License-Identifier: Apache-2.0
// The registry of shares, what it remembers, and what follows the opening of a share.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/store.h"
#include "controller/sweep.h"
#include "lib/base/log.h"
#include "tests/fakes/controller_fixture.h"

struct opener {
    struct fake_nfs_store *store;
    int opens, opened;
    bool down;
};

static int open_fake(void *arg, const struct nfs_options *options, struct nfs_share **ret, struct err *err) {
    struct opener *opener = arg;
    opener->opens++;
    if (opener->down)
        return err_set(err, -ECONNREFUSED, "NFS server %s refuses", options->server);
    *ret = fake_nfs_open(opener->store);
    return 0;
}

static void opened(void *arg, struct share *share) {
    (void)share;
    ((struct opener *)arg)->opened++;
}

static int64_t soon(void) {
    return clock_monotonic(&clock_system) + 5 * NS_PER_S;
}

static int get(struct shares *shares, const char *text, bool create, struct share **ret, struct err *err) {
    struct share_location location cleanup(share_location_done) = {0};
    assert_int_equal(share_location_parse(text, &location, NULL), 0);
    return shares_get(shares, &location, create, soon(), ret, err);
}

static size_t known(struct shares *shares, char *ret_first, size_t size) {
    struct share_location *list = NULL;
    size_t count = 0;
    assert_int_equal(shares_locations(shares, &list, &count), 0);
    if (count)
        (void)snprintf(ret_first, size, "%s%s", list[0].server, list[0].path);
    shares_locations_done(list, count);
    return count;
}

static void shares_are_opened_once_and_remembered(void **arg) {
    char dir[] = "/tmp/stowage-shares-XXXXXX", file[64], first[300] = "";
    struct opener opener = {.store = fake_nfs_store_new()};
    struct shares_options options = {.open = open_fake, .open_arg = &opener, .opened = opened, .opened_arg = &opener};
    struct share *share = NULL, *again = NULL;
    struct shares *shares = NULL;
    struct err err = ERR_NONE;
    (void)arg;
    assert_non_null(mkdtemp(dir));
    options.state_dir = dir;
    assert_int_equal(shares_new(&options, &shares, &err), 0);
    assert_int_equal(get(shares, "h/x", false, &share, &err), -ENOENT); // no layout: nothing of ours is there
    assert_int_equal(known(shares, first, sizeof first), 0);
    assert_int_equal(get(shares, "h/x", true, &share, &err), 0);
    assert_int_equal(get(shares, "h/x", false, &again, &err), 0);
    assert_ptr_equal(share, again);
    assert_int_equal(opener.opens, 2);
    assert_int_equal(opener.opened, 1);
    share_free(again);
    atomic_store(&share->stale, true); // a layout directory is gone: the next caller gets a new one
    assert_int_equal(get(shares, "h/x", false, &again, &err), 0);
    assert_ptr_not_equal(share, again);
    share_free(again);
    share_free(share);
    shares = shares_free(shares);
    assert_int_equal(shares_new(&options, &shares, &err), 0);
    assert_int_equal(known(shares, first, sizeof first), 1);
    assert_string_equal(first, "h/x");
    shares = shares_free(shares);
    (void)snprintf(file, sizeof file, "%s/shares.json", dir);
    FILE *damaged = fopen(file, "w");
    assert_non_null(damaged);
    (void)fputs("{", damaged);
    (void)fclose(damaged);
    assert_int_equal(shares_new(&options, &shares, &err), -EBADMSG);
    assert_non_null(strstr(err.msg, file));
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(dir), 0);
    opener.store = fake_nfs_store_free(opener.store);
}

static int count_one(const struct volume_info *info, void *arg) {
    (void)info;
    ++*(int *)arg;
    return 0;
}

static void a_list_that_would_be_incomplete_fails(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture f;
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    struct share_location other = {.server = (char *)(uintptr_t) "10.0.0.6", .path = (char *)(uintptr_t) "/data"};
    int count = 0;
    (void)arg;
    fixture_start(&f, store, NULL);
    assert_int_equal(fixture_create(&f, "v", NULL, NULL, &info, &err), 0);
    volume_info_done(&info);
    assert_int_equal(shares_add(f.shares, &other, &err), 0);
    assert_int_equal(volume_ops.list(f.volumes, &f.ctx, NULL, count_one, &count, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.msg, "10.0.0.6"));
    fixture_stop(&f);
    store = fake_nfs_store_free(store);
}

static void a_share_with_two_names_is_listed_once(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture f;
    struct volume_info info = {0}, alias = {0};
    struct err err = ERR_NONE;
    struct share *share = NULL;
    int count = 0;
    (void)arg;
    fixture_start(&f, store, NULL);
    assert_int_equal(fixture_create(&f, "v", NULL, NULL, &info, &err), 0);
    assert_int_equal(get(f.shares, FIXTURE_SERVER "+4" FIXTURE_SHARE, true, &share, &err), 0);
    assert_int_equal(fixture_create(&f, "w", "nfsVersion", "4", &alias, &err), 0);
    assert_non_null(strstr(alias.id, "+4"));
    assert_int_equal(volume_ops.list(f.volumes, &f.ctx, NULL, count_one, &count, &err), 0);
    assert_int_equal(count, 2);
    share_free(share);
    volume_info_done(&info);
    volume_info_done(&alias);
    fixture_stop(&f);
    store = fake_nfs_store_free(store);
}

static void make_old(struct share *share, enum share_dir dir) {
    struct err err = ERR_NONE;
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = share->dirs[dir], .name = "old"};
    assert_int_equal(share_call(share, &look, "look", &err), 0);
    look.attr.mtime.tv_sec -= 2 * SWEEP_AGE_S;
    struct nfs_call age = {
        .op = NFS_SETATTR, .fh = look.out_fh, .set = {.mask = NFS_SET_MTIME, .mtime = look.attr.mtime}};
    assert_int_equal(share_call(share, &age, "age", &err), 0);
}

static void old_leftovers_are_swept(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture f;
    struct err err = ERR_NONE;
    (void)arg;
    fixture_start(&f, store, NULL);
    struct share *share = fixture_share(&f);
    fixture_make_file(&f, ".stowage/tmp/young");
    fixture_make_file(&f, ".stowage/tmp/old");
    fixture_make_file(&f, ".stowage/locks/held");
    fixture_make_file(&f, ".stowage/locks/old");
    make_old(share, SHARE_DIR_TMP);
    make_old(share, SHARE_DIR_LOCKS);
    assert_int_equal(sweep_tmp(share, soon(), &err), 0);
    assert_int_equal(sweep_locks(share, soon(), &err), 0);
    assert_true(fixture_exists(&f, ".stowage/locks/held"));
    assert_int_equal(fixture_entries(&f, ".stowage/locks"), 1);
    assert_false(fixture_exists(&f, ".stowage/tmp/old"));
    assert_true(fixture_exists(&f, ".stowage/tmp/young"));
    assert_int_equal(fixture_entries(&f, ".stowage/tmp"), 1);
    share_free(share);
    fixture_stop(&f);
    store = fake_nfs_store_free(store);
}

static void a_restart_takes_up_copies(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture f;
    struct volume_info source = {0}, info = {0};
    struct err err = ERR_NONE;
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = "copy",
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 2},
                                            .source = CONTENT_VOLUME};
    int count = 0;
    (void)arg;
    fixture_start(&f, store, NULL);
    assert_int_equal(fixture_create(&f, "source", NULL, NULL, &source, &err), 0);
    request.source_id = source.id;
    f.work.hold = true;
    assert_int_equal(volume_ops.create(f.volumes, &f.ctx, &request, &info, &err), -EAGAIN);
    fixture_restart(&f);
    struct share *share = fixture_share(&f);
    assert_int_equal(volumes_resume(f.volumes, share, soon(), &err), 0);
    assert_int_equal(f.work.copies, 1);
    assert_true(fixture_exists(&f, "copy/copied"));
    assert_int_equal(volume_ops.list(f.volumes, &f.ctx, NULL, count_one, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(volumes_resume(f.volumes, share, soon(), &err), 0);
    assert_int_equal(f.work.copies, 1);
    share_free(share);
    volume_info_done(&source);
    fixture_stop(&f);
    store = fake_nfs_store_free(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_opened_once_and_remembered),
        cmocka_unit_test(a_list_that_would_be_incomplete_fails),
        cmocka_unit_test(a_share_with_two_names_is_listed_once),
        cmocka_unit_test(old_leftovers_are_swept),
        cmocka_unit_test(a_restart_takes_up_copies),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
