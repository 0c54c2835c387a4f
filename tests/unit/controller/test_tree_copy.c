// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_copy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"
#include "tests/support/tree_kit.h"

struct fixture {
    struct fake_nfs_store *store;
    struct nfs_share *share; // faulty around fake
    struct nfs_share *other; // a second client
    struct nfs_fh root, from;
};

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    f->store = fake_nfs_store_new();
    f->share = faulty_nfs_new(fake_nfs_open(f->store));
    f->other = fake_nfs_open(f->store);
    f->root = nfs_share_info(f->share)->root;
    f->from = kit_mkdir(f->other, &f->root, "from");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    (void)nfs_share_free(f->share);
    (void)nfs_share_free(f->other);
    (void)fake_nfs_store_free(f->store);
    free(f);
    return 0;
}

static int copy(struct fixture *f, const struct tree_copy_options *options, struct tree_copy_progress *progress,
                struct err *err) {
    return tree_copy(f->share, &f->from, f->share, &f->root, "to", options, progress, err);
}

static void assert_copied(struct fixture *f) {
    struct nfs_fh to;
    assert_int_equal(kit_lookup(f->other, &f->root, "to", &to), 0);
    char *before = kit_describe(f->other, &f->from);
    char *after = kit_describe(f->other, &to);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void copies_odd_tree(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct tree_copy_progress progress = {0};
    kit_odd_tree(f->other, &f->from);
    assert_int_equal(copy(f, NULL, &progress, &err), 0);
    assert_copied(f);
    assert_int_equal(progress.dirs, 5);
    assert_int_equal(progress.files, 13);
    assert_int_equal(progress.bytes, progress.bytes_found);
    assert_true(progress.all_found);
    struct nfs_fh to, b, sparse;
    (void)kit_lookup(f->other, &f->root, "to", &to);
    (void)kit_lookup(f->other, &to, "b", &b);
    (void)kit_lookup(f->other, &b, "sparse", &sparse);
    assert_int_equal(kit_attr(f->other, &sparse).used, 2 * 64 * 1024);
}

static void copies_empty_directory(void **state) {
    struct fixture *f = *state;
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_copied(f);
}

static void copies_times_of_access(void **state) {
    struct fixture *f = *state;
    struct nfs_fh file = kit_file(f->other, &f->from, "x", "x"), to;
    struct nfs_setattr set = {.mask = NFS_SET_ATIME, .atime = {.tv_sec = 77, .tv_nsec = 5}};
    kit_set(f->other, &file, &set);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_int_equal(kit_lookup(f->other, &f->root, "to", &to), 0);
    assert_int_equal(kit_lookup(f->other, &to, "x", &file), 0);
    assert_int_equal(kit_attr(f->other, &file).atime.tv_sec, 77);
}

static void copies_deep_and_wide(void **state) {
    struct fixture *f = *state;
    struct nfs_fh at = f->from;
    for (int i = 0; i < 300; i++)
        at = kit_mkdir(f->other, &at, "level");
    (void)kit_file(f->other, &at, "bottom", "here");
    struct nfs_fh wide = kit_mkdir(f->other, &f->from, "wide");
    for (int i = 0; i < 5000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        (void)kit_file(f->other, &wide, name, name);
    }
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_copied(f);
}

// ---- a source that changes while it is listed: the server forgets its cookies ----------------------------------------

struct busy {
    struct fixture *f;
    long left; // changes still to come, one at each CREATE of the copy
};

static void change_source(const struct nfs_call *call, void *arg) {
    struct busy *busy = arg;
    if (call->op != NFS_CREATE || busy->left-- <= 0)
        return;
    (void)kit_file(busy->f->other, &busy->f->from, "passing", "");
    struct nfs_call drop = {.op = NFS_REMOVE, .fh = busy->f->from, .name = "passing"};
    assert_int_equal(nfs_run(busy->f->other, &drop), 0);
}

static int copy_while_it_changes(struct fixture *f, long changes, struct tree_copy_progress *progress,
                                 struct err *err) {
    struct busy busy = {.f = f, .left = changes};
    fake_nfs_set_strict_cookies(f->store, true);
    faulty_nfs_hook(f->share, change_source, &busy);
    int r = copy(f, NULL, progress, err);
    faulty_nfs_hook(f->share, NULL, NULL);
    fake_nfs_set_strict_cookies(f->store, false);
    return r;
}

static void lost_cookies_copy_nothing_twice(void **state) {
    struct fixture *f = *state;
    struct tree_copy_progress progress = {0};
    struct nfs_fh sub = kit_mkdir(f->other, &f->from, "sub");
    (void)kit_file(f->other, &sub, "below", "12345");
    for (int i = 0; i < 300; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        struct nfs_fh file = kit_file(f->other, &f->from, name, "12345");
        (void)snprintf(name, sizeof name, "%d again", i);
        if (i % 3 == 0)
            kit_link(f->other, &file, i % 2 ? &sub : &f->from, name);
    }
    struct nfs_attr before = kit_attr(f->other, &f->from);
    assert_int_equal(copy_while_it_changes(f, 80, &progress, NULL), 0);
    kit_set(f->other, &f->from, &(struct nfs_setattr){.mask = NFS_SET_MTIME, .mtime = before.mtime});
    assert_copied(f);
    assert_true(progress.skipped > 0); // the listing did begin again
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_WRITE), 301);
    assert_int_equal(progress.bytes, 301 * 5);
    assert_int_equal(progress.bytes_found, 301 * 5);
}

static void a_directory_that_never_rests_is_told(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    for (int i = 0; i < 2000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        (void)kit_file(f->other, &f->from, name, "");
    }
    struct nfs_attr before = kit_attr(f->other, &f->from);
    assert_int_equal(copy_while_it_changes(f, 1000 * 1000, NULL, &err), -EAGAIN);
    assert_non_null(strstr(err.msg, "changes faster"));
    kit_set(f->other, &f->from, &(struct nfs_setattr){.mask = NFS_SET_MTIME, .mtime = before.mtime});
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_copied(f);
}

static void huge_hole_is_not_read(void **state) {
    struct fixture *f = *state;
    (void)kit_sparse(f->other, &f->from, "hole", UINT64_C(1) << 36, 0, 0);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_true(faulty_nfs_count(f->share, FAULTY_OP, NFS_READ) <= 2);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_WRITE), 0);
    struct nfs_fh to, hole;
    (void)kit_lookup(f->other, &f->root, "to", &to);
    assert_int_equal(kit_lookup(f->other, &to, "hole", &hole), 0);
    assert_true(kit_attr(f->other, &hole).size == UINT64_C(1) << 36);
    assert_int_equal(kit_attr(f->other, &hole).used, 0);
}

static void sparse_file_with_one_block_stays_sparse(void **state) {
    struct fixture *f = *state;
    (void)kit_sparse(f->other, &f->from, "hole", 128 << 20, 77 << 20, 1);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_READ), 128);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_WRITE), 1);
}

// ---- limits -----------------------------------------------------------------------------------------------------

// Stands between the engine and the share and knows the most bytes and calls that were under way at once.
struct meter {
    struct nfs_share base;
    struct nfs_share *inner;
    pthread_mutex_t lock;
    struct {
        struct nfs_call *call;
        void (*done)(struct nfs_call *call);
    } calls[64];
    unsigned now, most;
};
static struct meter *metered;

static void meter_done(struct nfs_call *call) {
    void (*done)(struct nfs_call *) = NULL;
    (void)pthread_mutex_lock(&metered->lock);
    for (size_t i = 0; i < ARRAY_SIZE(metered->calls); i++)
        if (metered->calls[i].call == call) {
            metered->calls[i].call = NULL;
            done = metered->calls[i].done;
        }
    metered->now--;
    (void)pthread_mutex_unlock(&metered->lock);
    done(call);
}

static void meter_submit(struct nfs_share *share, struct nfs_call *call) {
    struct meter *m = (struct meter *)share;
    if (call->op == NFS_READ || call->op == NFS_WRITE) {
        (void)pthread_mutex_lock(&m->lock);
        size_t i = 0;
        while (m->calls[i].call)
            i++;
        m->calls[i].call = call;
        m->calls[i].done = call->done;
        call->done = meter_done;
        if (++m->now > m->most)
            m->most = m->now;
        (void)pthread_mutex_unlock(&m->lock);
    }
    nfs_submit(m->inner, call);
}

static const struct nfs_info *meter_info(struct nfs_share *share) {
    return nfs_share_info(((struct meter *)share)->inner);
}

static const struct nfs_backend meter_backend = {.submit = meter_submit, .info = meter_info};

static void keeps_within_the_buffer(void **state) {
    struct fixture *f = *state;
    struct meter m = {.base = {&meter_backend}, .inner = f->share, .lock = PTHREAD_MUTEX_INITIALIZER};
    metered = &m;
    for (int i = 0; i < 6; i++)
        (void)kit_sparse(f->other, &f->from, (char[]){(char)('a' + i), 0}, 5 << 20, 0, 80);
    uint32_t chunk = nfs_share_info(f->share)->read_max;
    struct tree_copy_options options = {.buffer_bytes = 3 * (size_t)chunk};
    assert_int_equal(tree_copy(&m.base, &f->from, &m.base, &f->root, "to", &options, NULL, NULL), 0);
    assert_int_equal(m.most, 3); // one call a chunk: never more chunks than the budget holds, and all of it is used
    assert_copied(f);
}

static void out_of_space_is_told(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    (void)kit_sparse(f->other, &f->from, "large", 3 << 20, 0, 48);
    fake_nfs_set_limit(f->store, 4 << 20);
    assert_int_equal(copy(f, NULL, NULL, &err), -ENOSPC);
    assert_non_null(strstr(err.msg, "'large'"));
}

static void freeze_at_write(const struct nfs_call *call, void *arg) {
    if (call->op == NFS_WRITE)
        faulty_nfs_hold(arg, true);
}

static bool frozen(void *arg) {
    return faulty_nfs_held(arg) > 0;
}

static void stops_though_the_server_is_frozen(void **state) {
    struct fixture *f = *state;
    kit_odd_tree(f->other, &f->from);
    struct tree_copy_options options = {.cancel = {.cancelled = frozen, .arg = f->share}};
    faulty_nfs_hook(f->share, freeze_at_write, f->share);
    assert_int_equal(copy(f, &options, NULL, NULL), -ECANCELED);
    faulty_nfs_hook(f->share, NULL, NULL);
    faulty_nfs_hold(f->share, false);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    assert_copied(f);
}

static void survives_lack_of_memory(void **state) {
    struct fixture *f = *state;
    (void)kit_sparse(f->other, &f->from, "data", 1 << 17, 0, 2);
    struct nfs_fh file = kit_file(f->other, &f->from, "one", "1");
    kit_link(f->other, &file, &f->from, "two");
    int r = -ENOMEM;
    for (long n = 1; r; n++) {
        (void)mem_fail_nth(n);
        r = copy(f, NULL, NULL, NULL);
        (void)mem_fail_nth(0);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(n < 1000);
    }
    assert_copied(f);
}

// ---- bad days ---------------------------------------------------------------------------------------------------

static void goes_on_after_any_death(void **state) {
    struct fixture *f = *state;
    kit_odd_tree(f->other, &f->from);
    bool died = true;
    for (long n = 1; died; n++) {
        faulty_nfs_die(f->share, n, n % 2);
        int r = copy(f, NULL, NULL, NULL);
        died = faulty_nfs_dead(f->share);
        assert_int_equal(r, died ? -ESHUTDOWN : 0);
        faulty_nfs_die(f->share, 0, false);
        if (n % 3 == 0 || !died) { // now and then to its end, and afresh
            assert_int_equal(copy(f, NULL, NULL, NULL), 0);
            assert_copied(f);
        }
    }
}

static void resumed_copy_skips_what_is_whole(void **state) {
    struct fixture *f = *state;
    struct tree_copy_progress progress = {0};
    kit_odd_tree(f->other, &f->from);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    long writes = faulty_nfs_count(f->share, FAULTY_OP, NFS_WRITE);
    assert_int_equal(copy(f, NULL, &progress, NULL), 0);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_WRITE), writes);
    assert_true(progress.skipped >= 11);
    assert_copied(f);
}

struct interference {
    struct fixture *f;
    enum nfs_op op;
    int countdown;
    void (*act)(struct fixture *f);
};

static void interfere(const struct nfs_call *call, void *arg) {
    struct interference *i = arg;
    if (call->op == i->op && i->countdown && --i->countdown == 0)
        i->act(i->f);
}

static void lose_uncommitted(struct fixture *f) {
    fake_nfs_restart_server(f->store, true);
}

static void sends_again_what_a_restarted_server_lost(void **state) {
    struct fixture *f = *state;
    (void)kit_sparse(f->other, &f->from, "large", 6 << 20, 0, 96);
    for (int n = 1; n < 5; n++) {
        struct tree_copy_progress progress = {0};
        struct interference late = {.f = f, .op = n == 4 ? NFS_COMMIT : NFS_WRITE, .countdown = n == 4 ? 1 : n + 1};
        late.act = lose_uncommitted;
        char name[8];
        (void)snprintf(name, sizeof name, "to%d", n);
        faulty_nfs_hook(f->share, interfere, &late);
        assert_int_equal(tree_copy(f->share, &f->from, f->share, &f->root, name, NULL, &progress, NULL), 0);
        faulty_nfs_hook(f->share, NULL, NULL);
        fake_nfs_restart_server(f->store, true); // and nothing is left uncommitted
        struct nfs_fh to;
        assert_int_equal(kit_lookup(f->other, &f->root, name, &to), 0);
        char *before = kit_describe(f->other, &f->from), *after = kit_describe(f->other, &to);
        assert_string_equal(before, after);
        free(before);
        free(after);
    }
}

static void delete_source_file(struct fixture *f) {
    (void)kit_unlink(f->other, &f->from, "x");
}

static void leaves_out_what_vanishes(void **state) {
    struct fixture *f = *state;
    struct tree_copy_progress progress = {0};
    (void)kit_file(f->other, &f->from, "x", "soon gone");
    (void)kit_file(f->other, &f->from, "y", "stays");
    struct nfs_setattr past = {.mask = NFS_SET_MTIME, .mtime = {.tv_sec = 9}};
    struct interference late = {.f = f, .op = NFS_CREATE, .countdown = 1, .act = delete_source_file};
    kit_set(f->other, &f->from, &past);
    faulty_nfs_hook(f->share, interfere, &late);
    assert_int_equal(copy(f, NULL, &progress, NULL), 0);
    faulty_nfs_hook(f->share, NULL, NULL);
    assert_int_equal(progress.vanished, 1);
    struct nfs_fh to;
    assert_int_equal(kit_lookup(f->other, &f->root, "to", &to), 0);
    assert_int_equal(kit_entries(f->other, &to), 1);
}

static void shrink_source_file(struct fixture *f) {
    struct nfs_fh x;
    (void)kit_lookup(f->other, &f->from, "x", &x);
    kit_set(f->other, &x, &(struct nfs_setattr){.mask = NFS_SET_SIZE, .size = 4});
}

static void copies_what_is_left_of_a_shrunk_file(void **state) {
    struct fixture *f = *state;
    (void)kit_sparse(f->other, &f->from, "x", 3 << 20, 0, 48);
    struct interference late = {.f = f, .op = NFS_CREATE, .countdown = 1, .act = shrink_source_file};
    faulty_nfs_hook(f->share, interfere, &late);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0);
    faulty_nfs_hook(f->share, NULL, NULL);
    struct nfs_fh to, x;
    assert_int_equal(kit_lookup(f->other, &f->root, "to", &to), 0);
    assert_int_equal(kit_lookup(f->other, &to, "x", &x), 0);
    assert_int_equal(kit_attr(f->other, &x).size, 4);
    assert_int_equal(copy(f, NULL, NULL, NULL), 0); // its time has changed: taken again
    assert_copied(f);
}

static void other_type_in_the_way_is_told(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct nfs_fh to = kit_mkdir(f->other, &f->root, "to");
    (void)kit_mkdir(f->other, &to, "x");
    (void)kit_file(f->other, &f->from, "x", "a file");
    assert_int_equal(copy(f, NULL, NULL, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "'x'"));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(copies_odd_tree),
        T(copies_empty_directory),
        T(copies_times_of_access),
        T(copies_deep_and_wide),
        T(huge_hole_is_not_read),
        T(lost_cookies_copy_nothing_twice),
        T(a_directory_that_never_rests_is_told),
        T(sparse_file_with_one_block_stays_sparse),
        T(keeps_within_the_buffer),
        T(out_of_space_is_told),
        T(stops_though_the_server_is_frozen),
        T(survives_lack_of_memory),
        T(goes_on_after_any_death),
        T(resumed_copy_skips_what_is_whole),
        T(sends_again_what_a_restarted_server_lost),
        T(leaves_out_what_vanishes),
        T(copies_what_is_left_of_a_shrunk_file),
        T(other_type_in_the_way_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
