// SPDX-License-Identifier: Apache-2.0
// Warm-ups, pins and evictions of trees of the fake share, into a cache in a directory of the test.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/warm.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"
#include "tests/support/cache_kit.h"

#define MIB (UINT64_C(1) << 20)
#define FILES 40
#define BIG (9 * MIB + 12345) // several windows

struct fixture {
    struct cache_kit kit;
    struct fake_nfs_store *store;
    struct nfs_share *share;
    struct cache *cache;
    struct fs *fs;
    struct nfs_fh root, dir, big;
    uint64_t total;
};

static struct nfs_fh make(struct fixture *f, enum nfs_op op, const struct nfs_fh *dir, const char *name) {
    struct nfs_call call = {.op = op, .fh = *dir, .name = name, .set = {.mask = NFS_SET_MODE, .mode = 0755}};
    assert_int_equal(nfs_run(f->share, &call), 0);
    return call.out_fh;
}

static void fill(struct fixture *f, const struct nfs_fh *fh, uint64_t size) {
    char *data cleanup_free = mem_alloc(MIB);
    for (uint64_t at = 0; at < size; at += MIB) {
        for (size_t i = 0; i < MIB; i++)
            data[i] = (char)(i * 7 + at / MIB + fh->data[0]);
        struct nfs_call call = {.op = NFS_WRITE, .fh = *fh, .offset = at, .data = data, .stable = true};
        call.count = (uint32_t)(size - at < MIB ? size - at : MIB);
        assert_int_equal(nfs_run(f->share, &call), 0);
    }
    f->total += size;
}

static void make_tree(struct fixture *f) {
    char name[32];
    f->dir = make(f, NFS_MKDIR, &f->root, "dir");
    struct nfs_fh sub = make(f, NFS_MKDIR, &f->dir, "sub");
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "file%d", i);
        struct nfs_fh fh = make(f, NFS_CREATE, i % 2 ? &f->dir : &sub, name);
        fill(f, &fh, (uint64_t)i * 1000);
    }
    f->big = make(f, NFS_CREATE, &sub, "big");
    fill(f, &f->big, BIG);
}

static void start_fs(struct fixture *f, uint64_t limit) {
    f->cache = cache_kit_open(&f->kit, "volume", limit);
    const struct copy_options copies = {.cache = f->cache,
                                        .trust = TRUST_IMMUTABLE,
                                        .memory_limit = 64 * MIB,
                                        .dir = f->kit.dir,
                                        .volume = (char[]){"volume"}};
    const struct fs_options options = {.share = f->share, .root = &f->root, .copies = &copies};
    assert_int_equal(fs_new(&options, &f->fs, NULL), 0);
}

static void stop_fs(struct fixture *f) {
    if (f->fs)
        (void)fs_drain(f->fs, clock_monotonic(&clock_system) + 10 * NS_PER_S);
    f->share = nfs_share_free(f->share);
    f->fs = fs_free(f->fs);
    f->cache = cache_free(f->cache);
}

static int set_up(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    cache_kit_start(&f.kit, false);
    f.store = fake_nfs_store_new();
    f.share = faulty_nfs_new(fake_nfs_open(f.store));
    f.root = nfs_share_info(f.share)->root;
    make_tree(&f);
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    struct fixture *f = *state;
    stop_fs(f);
    (void)fake_nfs_store_free(f->store);
    cache_kit_stop(&f->kit);
    return 0;
}

static struct nfs_attr attr_of(struct fixture *f, const struct nfs_fh *fh) {
    struct nfs_call call = {.op = NFS_GETATTR, .fh = *fh};
    assert_int_equal(nfs_run(f->share, &call), 0);
    return call.attr;
}

static void begin(struct fixture *f, enum warm_kind kind, const struct nfs_fh *fh) {
    struct warm_request request = {.kind = kind, .fh = *fh, .attr = attr_of(f, fh)};
    assert_int_equal(warm_start(f->fs, &request), 0);
}

static struct warm_figures wait_for(struct fixture *f, enum warm_kind kind, const struct nfs_fh *fh) {
    static const struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    struct warm_figures figures;
    do {
        (void)nanosleep(&pause, NULL);
        assert_true(warm_find(f->fs, kind, fh, &figures));
    } while (figures.state == WARM_RUNNING);
    return figures;
}

static struct warm_figures run(struct fixture *f, enum warm_kind kind, const struct nfs_fh *fh) {
    begin(f, kind, fh);
    return wait_for(f, kind, fh);
}

static struct cached *copy_of(struct fixture *f, const struct nfs_fh *fh) {
    struct nfs_attr attr = attr_of(f, fh);
    struct cached *object = NULL;
    return copy_peek(f->fs, fh, &attr, &object) == 0 ? object : NULL;
}

static void assert_copied(struct fixture *f, const struct nfs_fh *fh) {
    struct cached *object = copy_of(f, fh);
    assert_non_null(object);
    assert_true(cached_complete(object));
    uint64_t size = cached_size(object);
    char *cached cleanup_free = mem_alloc(MIB), *there cleanup_free = mem_alloc(MIB);
    for (uint64_t at = 0; at < size; at += MIB) {
        struct nfs_call call = {.op = NFS_READ, .fh = *fh, .offset = at, .data = there, .count = MIB};
        assert_int_equal(nfs_run(f->share, &call), 0);
        assert_int_equal(pread(cached_fd(object), cached, MIB, (off_t)at), call.count);
        assert_memory_equal(cached, there, call.count);
    }
    (void)cached_put(object);
}

static void a_tree_is_fetched_and_then_skipped(void **state) {
    struct fixture *f = *state;
    start_fs(f, 0);
    struct warm_figures figures = run(f, WARM_FETCH, &f->dir);
    assert_int_equal(figures.state, WARM_DONE);
    assert_true(figures.counted);
    assert_int_equal(figures.files, FILES + 1);
    assert_int_equal(figures.files_done, FILES + 1);
    assert_int_equal(figures.bytes, f->total);
    assert_int_equal(figures.bytes_done, f->total);
    assert_int_equal(figures.errors + figures.skipped, 0);
    assert_copied(f, &f->big);
    long reads = faulty_nfs_count(f->share, FAULTY_OP, NFS_READ);
    figures = run(f, WARM_FETCH, &f->dir);
    assert_int_equal(figures.files_done, FILES + 1);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_READ), reads);
    assert_int_equal(warm_running(f->fs), 0);
}

static void one_file_is_fetched(void **state) {
    struct fixture *f = *state;
    start_fs(f, 0);
    struct warm_figures figures = run(f, WARM_FETCH, &f->big);
    assert_int_equal(figures.state, WARM_DONE);
    assert_int_equal(figures.files_done, 1);
    assert_int_equal(figures.bytes_done, BIG);
    assert_copied(f, &f->big);
    assert_false(warm_find(f->fs, WARM_FETCH, &f->dir, &figures));
}

static void it_is_cancelled_while_the_server_is_silent_and_goes_on_later(void **state) {
    struct fixture *f = *state;
    static const struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    start_fs(f, 0);
    struct warm_request request = {.kind = WARM_FETCH, .fh = f->dir, .attr = attr_of(f, &f->dir), .cred.uid = 7};
    request.attr.uid = 8;
    faulty_nfs_hold(f->share, true);
    assert_int_equal(warm_start(f->fs, &request), 0);
    assert_int_equal(warm_start(f->fs, &request), 0); // it is running already
    assert_int_equal(warm_running(f->fs), 1);
    while (faulty_nfs_held(f->share) == 0)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(warm_cancel(f->fs, WARM_FETCH, &f->root, 0), -ENODATA);
    assert_int_equal(warm_cancel(f->fs, WARM_FETCH, &f->dir, 9), -EPERM);
    assert_int_equal(warm_cancel(f->fs, WARM_FETCH, &f->dir, 8), 0);
    assert_int_equal(wait_for(f, WARM_FETCH, &f->dir).state, WARM_CANCELLED);
    faulty_nfs_hold(f->share, false);
    assert_int_equal(run(f, WARM_FETCH, &f->dir).state, WARM_DONE);
    assert_copied(f, &f->big);
}

static void the_end_of_the_mount_ends_it(void **state) {
    struct fixture *f = *state;
    static const struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    start_fs(f, 0);
    faulty_nfs_fail(f->share, FAULTY_OP, NFS_READ, 1, -EIO); // so that some data is on its way when it is held
    begin(f, WARM_FETCH, &f->dir);
    while (faulty_nfs_count(f->share, FAULTY_OP, NFS_READ) < 3)
        (void)nanosleep(&pause, NULL);
    faulty_nfs_hold(f->share, true);
    warmer_stop(f->fs->warmer);
    struct warm_request request = {.kind = WARM_FETCH, .fh = f->root};
    assert_int_equal(warm_start(f->fs, &request), -ECANCELED);
    assert_int_equal(warm_running(f->fs), 0);
}

static void no_room_ends_it(void **state) {
    struct fixture *f = *state;
    start_fs(f, 3 * MIB);
    struct warm_figures figures = run(f, WARM_FETCH, &f->dir);
    assert_int_equal(figures.state, WARM_FAILED);
    assert_non_null(strstr(figures.error, "no room"));
    assert_true(figures.bytes_done < f->total);
}

static void pinned_unpinned_evicted(void **state) {
    struct fixture *f = *state;
    start_fs(f, 0);
    assert_int_equal(run(f, WARM_PIN, &f->dir).skipped, FILES); // all but the empty one
    (void)run(f, WARM_FETCH, &f->dir);
    struct warm_figures figures = run(f, WARM_PIN, &f->dir);
    assert_int_equal(figures.files_done, FILES);
    struct cached *object = copy_of(f, &f->big);
    assert_true(cached_is_pinned(object));
    assert_int_equal(cached_bytes(object), BIG);
    (void)run(f, WARM_UNPIN, &f->dir);
    assert_false(cached_is_pinned(object));
    figures = run(f, WARM_EVICT, &f->dir); // but what somebody uses
    assert_int_equal(figures.files_done, FILES - 1);
    assert_int_equal(figures.skipped, 1);
    assert_true(cached_complete(object));
    (void)cached_put(object);
    figures = run(f, WARM_EVICT, &f->big);
    assert_int_equal(figures.files_done, 1);
    assert_null(copy_of(f, &f->big));
}

static void paths_start_below_the_root(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    start_fs(f, 0);
    assert_int_equal(warm_start_paths(f->fs, "dir/sub/big,,/dir//sub/,missing,/", &err), 0);
    static const struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    while (warm_running(f->fs))
        (void)nanosleep(&pause, NULL);
    struct warm_figures figures;
    assert_true(warm_find(f->fs, WARM_FETCH, &f->big, &figures));
    assert_int_equal(figures.state, WARM_DONE);
    assert_copied(f, &f->big);
    assert_true(warm_find(f->fs, WARM_FETCH, &f->root, &figures));
    assert_int_equal(figures.files_done, FILES + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tree_is_fetched_and_then_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_file_is_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_cancelled_while_the_server_is_silent_and_goes_on_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_mount_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_room_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pinned_unpinned_evicted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_start_below_the_root, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
