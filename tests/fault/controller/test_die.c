// SPDX-License-Identifier: Apache-2.0
// The controller dies at every changing call of every operation, before and after the server applied it. Another
// controller over the same share then repeats the call: the result is as if nothing had happened.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/fakes/controller_fixture.h"

#define CALLS_MAX 60 // an operation that needs more changing calls than this is broken

struct operation {
    const char *name;
    void (*prepare)(struct fixture *f);
    int (*run)(struct fixture *f, struct err *err);
    void (*after_death)(struct fixture *f); // invariants before the repetition; may be NULL
    void (*check)(struct fixture *f);
};

static char volume_id[CSI_ID_MAX + 1], source_id[CSI_ID_MAX + 1];

static void id_of(const char *name, char ret[static CSI_ID_MAX + 1]) {
    char key[HASH_ID_LEN + 1];
    struct share_location location = {.server = (char *)(uintptr_t)FIXTURE_SERVER,
                                      .path = (char *)(uintptr_t)FIXTURE_SHARE};
    hash_id(name, strlen(name), key);
    assert_int_equal(shared_id_format(SHARED_VOLUME, key, &location, ret, NULL), 0);
}

static int create_with(struct fixture *f, const char *key, const char *value, struct err *err) {
    struct volume_info info = {0};
    int r = fixture_create(f, "v", key, value, &info, err);
    if (r == 0)
        assert_string_equal(info.id, volume_id);
    volume_info_done(&info);
    return r;
}

static void open_share(struct fixture *f) {
    struct share *share cleanup(share_freep) = fixture_share(f);
    assert_non_null(share);
}

static void make_volume(struct fixture *f) {
    struct err err = ERR_NONE;
    assert_int_equal(create_with(f, "subDir", "team/data", &err), 0);
    fixture_make_file(f, "team/data/file");
}

static void make_archived(struct fixture *f) {
    struct string_pair pair = {"onDelete", "archive"};
    struct err err = ERR_NONE;
    make_volume(f);
    assert_int_equal(volume_ops.modify(f->volumes, &f->ctx, volume_id, &(struct string_map){&pair, 1}, &err), 0);
}

static int emit_count(const struct volume_info *info, void *arg) {
    (void)info;
    ++*(int *)arg;
    return 0;
}

static int listed(struct fixture *f) {
    int count = 0;
    struct err err = ERR_NONE;
    if (volume_ops.list(f->volumes, &f->ctx, NULL, emit_count, &count, &err) != 0)
        fail_msg("list: %s", err_text(&err));
    return count;
}

static size_t locks_left(struct fixture *f) {
    return fixture_entries(f, ".stowage/locks");
}

// ---- create ---------------------------------------------------------------------------------------------------

static void nothing(struct fixture *f) {
    (void)f;
}

static int run_create(struct fixture *f, struct err *err) {
    return create_with(f, "subDir", "team/data", err);
}

static void listed_volumes_have_directories(struct fixture *f) {
    if (listed(f) > 0)
        assert_true(fixture_exists(f, "team/data"));
}

static void check_created(struct fixture *f) {
    assert_int_equal(listed(f), 1);
    assert_true(fixture_exists(f, "team/data"));
}

// ---- delete ---------------------------------------------------------------------------------------------------

static int run_delete(struct fixture *f, struct err *err) {
    return volume_ops.destroy(f->volumes, &f->ctx, volume_id, err);
}

// The data is in its place, or in the trash: never gone before the delete was answered.
static void data_is_somewhere(struct fixture *f) {
    assert_int_equal(fixture_exists(f, "team/data/file") + (fixture_entries(f, ".stowage/trash") == 1), 1);
}

static void check_deleted(struct fixture *f) {
    assert_int_equal(listed(f), 0);
    assert_false(fixture_exists(f, "team/data"));
    assert_int_equal(fixture_entries(f, ".stowage/trash"), 1);
}

static void data_is_archived_or_there(struct fixture *f) {
    assert_int_equal(fixture_exists(f, "team/data/file") + fixture_exists(f, "team/archived-data/file"), 1);
}

static void check_archived(struct fixture *f) {
    assert_int_equal(listed(f), 0);
    assert_true(fixture_exists(f, "team/archived-data/file"));
    assert_int_equal(fixture_entries(f, "team"), 1);
}

// ---- expand and publish -----------------------------------------------------------------------------------------

static int run_expand(struct fixture *f, struct err *err) {
    int64_t bytes = 0;
    int r = volume_ops.expand(f->volumes, &f->ctx, volume_id, 2 * VOLUME_BYTES_DEFAULT, 0, &bytes, err);
    if (r == 0)
        assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    return r;
}

static void still_one_volume(struct fixture *f) {
    assert_int_equal(listed(f), 1);
    assert_true(fixture_exists(f, "team/data/file"));
}

static int run_publish(struct fixture *f, struct err *err) {
    struct publish_request request = {
        .volume_id = volume_id, .node_id = "n1", .capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER}};
    return volume_ops.publish(f->volumes, &f->ctx, &request, err);
}

static void check_published(struct fixture *f) {
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    assert_int_equal(volume_ops.get(f->volumes, &f->ctx, volume_id, &info, &err), 0);
    assert_int_equal(info.published_count, 1);
    assert_false(info.abnormal);
    volume_info_done(&info);
}

// ---- clone ------------------------------------------------------------------------------------------------------

static void make_source(struct fixture *f) {
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    assert_int_equal(fixture_create(f, "source", NULL, NULL, &info, &err), 0);
    volume_info_done(&info);
}

static int run_clone(struct fixture *f, struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}, {"subDir", "team/data"}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = "v",
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 3},
                                            .source = CONTENT_VOLUME,
                                            .source_id = source_id};
    struct volume_info info = {0};
    int r = volume_ops.create(f->volumes, &f->ctx, &request, &info, err);
    volume_info_done(&info);
    return r;
}

static void no_half_clone_is_listed(struct fixture *f) {
    if (listed(f) == 2) // the source, and the clone
        assert_true(fixture_exists(f, "team/data/copied"));
}

static void check_cloned(struct fixture *f) {
    struct err err = ERR_NONE;
    assert_int_equal(listed(f), 2);
    assert_true(fixture_exists(f, "team/data/copied"));
    assert_int_equal(volume_ops.destroy(f->volumes, &f->ctx, source_id, &err), 0); // no pin is left that counts
}

static const struct operation operations[] = {
    {"create on an empty share", nothing, run_create, listed_volumes_have_directories, check_created},
    {"create", open_share, run_create, listed_volumes_have_directories, check_created},
    {"delete", make_volume, run_delete, data_is_somewhere, check_deleted},
    {"archive", make_archived, run_delete, data_is_archived_or_there, check_archived},
    {"expand", make_volume, run_expand, still_one_volume, still_one_volume},
    {"publish", make_volume, run_publish, still_one_volume, check_published},
    {"clone", make_source, run_clone, no_half_clone_is_listed, check_cloned},
};

// A lock that a dead controller held is stale after the lease: make it look old.
static void age_locks(struct fixture *f) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(f->store);
    int64_t deadline_ns = clock_monotonic(&clock_system) + 5 * NS_PER_S;
    struct nfs_call page = {.op = NFS_READDIR, .fh = nfs_share_info(nfs)->root, .deadline_ns = deadline_ns};
    static const char *const path[] = {".stowage", "locks"};
    for (int i = 0; i < 2; i++) {
        struct nfs_call look = {.op = NFS_LOOKUP, .fh = page.fh, .name = path[i], .deadline_ns = deadline_ns};
        if (nfs_run(nfs, &look) != 0)
            return;
        page.fh = look.out_fh;
    }
    assert_int_equal(nfs_run(nfs, &page), 0);
    for (size_t i = 0; i < page.entry_count; i++) {
        struct nfs_call look = {
            .op = NFS_LOOKUP, .fh = page.fh, .name = page.entries[i].name, .deadline_ns = deadline_ns};
        assert_int_equal(nfs_run(nfs, &look), 0);
        look.attr.mtime.tv_sec -= 60;
        struct nfs_call set = {.op = NFS_SETATTR,
                               .fh = look.out_fh,
                               .set = {.mask = NFS_SET_MTIME, .mtime = look.attr.mtime},
                               .deadline_ns = deadline_ns};
        assert_int_equal(nfs_run(nfs, &set), 0);
    }
    free(page.entries);
}

// True when the operation ended before the n-th changing call, so that there is nothing more to kill.
static bool die_at(const struct operation *op, long n, bool applied) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture f;
    struct err err = ERR_NONE;
    fixture_start(&f, store, NULL);
    op->prepare(&f);
    if (f.nfs) { // open already
        faulty_nfs_die(f.nfs, n, applied);
    } else {
        f.die_at = n;
        f.die_applied = applied;
    }
    int r = op->run(&f, &err);
    if (r != 0) // died while the share was opened, or later; nothing else may go wrong
        assert_int_equal(r, -ESHUTDOWN);
    bool dead = r != 0 || faulty_nfs_dead(f.nfs); // a call whose failure does not matter may be the last one
    fixture_restart(&f);
    if (dead && op->after_death)
        op->after_death(&f);
    if (dead && locks_left(&f) > 0) { // while the lease runs the call is refused, unless all was done already
        struct call_context patient = f.ctx;
        f.ctx.deadline_ns = clock_monotonic(&clock_system) + NS_PER_S / 5; // it waits for the lock in vain
        err = ERR_NONE;
        r = op->run(&f, &err);
        assert_true(r == 0 || r == -EAGAIN);
        f.ctx = patient;
        age_locks(&f);
    }
    err = ERR_NONE;
    r = op->run(&f, &err);
    if (r != 0)
        fail_msg("%s, call %ld %s: %s", op->name, n, applied ? "applied" : "not applied", err_text(&err));
    op->check(&f);
    assert_int_equal(op->run(&f, &err), 0); // and once more
    fixture_stop(&f);
    store = fake_nfs_store_free(store);
    return !dead;
}

static void every_call_may_be_the_last(void **arg) {
    (void)arg;
    id_of("v", volume_id);
    id_of("source", source_id);
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        for (int applied = 0; applied < 2; applied++) {
            long n = 1;
            while (!die_at(&operations[i], n, applied) && n < CALLS_MAX)
                n++;
            print_message("%s: %ld changing calls, died %s each\n", operations[i].name, n - 1,
                          applied ? "after" : "before");
            assert_in_range(n, 3, CALLS_MAX - 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_may_be_the_last)};
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
