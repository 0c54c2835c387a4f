// SPDX-License-Identifier: Apache-2.0
// Two controllers, each with its own connection and cache, work on the same volumes of one share at the same time.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/lock.h"
#include "controller/store.h"
#include "lib/base/log.h"
#include "tests/fakes/controller_fixture.h"

#define ROUNDS 40
#define RETRIES 10000

struct side {
    struct fixture f;
    int number;
    int failures;
    char first_failure[300];
    char ids[ROUNDS][CSI_ID_MAX + 1];
};

static void note(struct side *side, const char *what, int round, int r, const struct err *err) {
    if (side->failures++ == 0)
        (void)snprintf(side->first_failure, sizeof side->first_failure, "%s of round %d: %d, %.200s", what, round, r,
                       err_text(err));
}

// Repeats what another controller's lock refused, as a CO does.
#define UNTIL_DONE(r, call)                                                                                            \
    for (int tries_ = 0; tries_ < RETRIES; tries_++) {                                                                 \
        err = ERR_NONE;                                                                                                \
        (r) = (call);                                                                                                  \
        if ((r) != -EAGAIN)                                                                                            \
            break;                                                                                                     \
    }

static int create(struct side *side, const char *name, char *ret_id, struct err *err) {
    struct volume_info info = {0};
    int r = fixture_create(&side->f, name, NULL, NULL, &info, err);
    if (r == 0 && ret_id)
        (void)snprintf(ret_id, CSI_ID_MAX + 1, "%s", info.id);
    volume_info_done(&info);
    return r;
}

static void *create_and_publish(void *arg) {
    struct side *side = arg;
    char node[16];
    (void)snprintf(node, sizeof node, "node-%d", side->number);
    for (int i = 0; i < ROUNDS; i++) {
        char name[32];
        struct err err = ERR_NONE;
        int r;
        (void)snprintf(name, sizeof name, "v%d", i);
        UNTIL_DONE(r, create(side, name, side->ids[i], &err));
        if (r != 0)
            note(side, "create", i, r, &err);
        struct publish_request request = {
            .volume_id = side->ids[i], .node_id = node, .capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER}};
        UNTIL_DONE(r, volume_ops.publish(side->f.volumes, &side->f.ctx, &request, &err));
        if (r != 0)
            note(side, "publish", i, r, &err);
    }
    return NULL;
}

static void *delete_all(void *arg) {
    struct side *side = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct err err = ERR_NONE;
        int r;
        UNTIL_DONE(r, volume_ops.unpublish(side->f.volumes, &side->f.ctx, side->ids[i], NULL, &err));
        if (r != 0)
            note(side, "unpublish", i, r, &err);
        UNTIL_DONE(r, volume_ops.destroy(side->f.volumes, &side->f.ctx, side->ids[i], &err));
        if (r != 0)
            note(side, "delete", i, r, &err);
    }
    return NULL;
}

static void both(struct side *sides, void *(*run)(void *)) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &sides[i]), 0);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        if (sides[i].failures)
            fail_msg("%d failures, first: %s", sides[i].failures, sides[i].first_failure);
}

static int check_listed(const struct volume_info *info, void *arg) {
    ++*(int *)arg;
    assert_int_equal(info->published_count, 2); // neither side's entry was lost
    return 0;
}

static void two_controllers_do_no_harm(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct side sides[2] = {{.number = 0}, {.number = 1}};
    (void)arg;
    for (int i = 0; i < 2; i++)
        fixture_start(&sides[i].f, store, NULL);
    both(sides, create_and_publish);
    for (int i = 0; i < 2; i++) {
        int count = 0;
        struct err err = ERR_NONE;
        assert_int_equal(volume_ops.list(sides[i].f.volumes, &sides[i].f.ctx, NULL, check_listed, &count, &err), 0);
        assert_int_equal(count, ROUNDS);
        assert_memory_equal(sides[0].ids, sides[1].ids, sizeof sides[0].ids);
    }
    assert_int_equal(fixture_entries(&sides[0].f, ""), ROUNDS + 1);
    both(sides, delete_all);
    assert_int_equal(fixture_entries(&sides[0].f, ""), 1);
    assert_int_equal(fixture_entries(&sides[0].f, ".stowage/trash"), ROUNDS);
    assert_int_equal(fixture_entries(&sides[0].f, ".stowage/tmp"), 0);
    assert_int_equal(fixture_entries(&sides[0].f, ".stowage/locks"), 0);
    for (int i = 0; i < 2; i++)
        fixture_stop(&sides[i].f);
    store = fake_nfs_store_free(store);
}

static void a_lock_is_held_by_one(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture a, b;
    struct lock *lock = NULL, *other = NULL;
    struct err err = ERR_NONE;
    int64_t deadline_ns = clock_monotonic(&clock_system) + 10 * NS_PER_S;
    (void)arg;
    fixture_start(&a, store, NULL);
    fixture_start(&b, store, NULL);
    struct share *one = fixture_share(&a), *two = fixture_share(&b);
    assert_int_equal(lock_take(one, "x", deadline_ns, &lock, &err), 0);
    assert_int_equal(lock_take(two, "x", deadline_ns, &other, &err), -EAGAIN);
    assert_int_equal(lock_renew(lock, deadline_ns, &err), 0);
    // It grows old, and the other controller breaks it: the first one notices, and leaves the other's alone.
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = one->dirs[SHARE_DIR_LOCKS], .name = "x"};
    assert_int_equal(share_call(one, &look, "look", &err), 0);
    look.attr.mtime.tv_sec -= LOCK_LEASE_S + 2;
    struct nfs_call age = {
        .op = NFS_SETATTR, .fh = look.out_fh, .set = {.mask = NFS_SET_MTIME, .mtime = look.attr.mtime}};
    assert_int_equal(share_call(one, &age, "age", &err), 0);
    assert_int_equal(lock_take(two, "x", deadline_ns, &other, &err), 0);
    assert_int_equal(lock_renew(lock, deadline_ns, &err), -ESTALE);
    assert_int_equal(fixture_entries(&a, ".stowage/locks"), 1);
    assert_int_equal(lock_renew(other, deadline_ns, &err), 0);
    lock = lock_free(lock);
    assert_int_equal(fixture_entries(&a, ".stowage/locks"), 1);
    other = lock_free(other);
    assert_int_equal(fixture_entries(&a, ".stowage/locks"), 0);
    assert_int_equal(fixture_entries(&a, ".stowage/tmp"), 0);
    share_free(one);
    share_free(two);
    fixture_stop(&a);
    fixture_stop(&b);
    store = fake_nfs_store_free(store);
}

// ---- what a lock must not do to another's -----------------------------------------------------------------------

struct pair {
    struct fake_nfs_store *store;
    struct fixture a, b;
    struct share *one, *two;
    int64_t deadline_ns;
};

static void pair_start(struct pair *p) {
    *p = (struct pair){.store = fake_nfs_store_new(), .deadline_ns = clock_monotonic(&clock_system) + 10 * NS_PER_S};
    fixture_start(&p->a, p->store, NULL);
    fixture_start(&p->b, p->store, NULL);
    p->one = fixture_share(&p->a);
    p->two = fixture_share(&p->b);
}

static void pair_stop(struct pair *p) {
    share_free(p->one);
    share_free(p->two);
    fixture_stop(&p->a);
    fixture_stop(&p->b);
    p->store = fake_nfs_store_free(p->store);
}

static uint64_t lock_fileid(struct share *share, const char *name) {
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_LOCKS], .name = name};
    return share_call(share, &look, "look", NULL) == 0 ? look.attr.fileid : 0;
}

// The breaker saw a stale file; another breaker was faster, and the name is that one's new lock.
static void a_new_lock_is_not_broken(void **arg) {
    struct pair p;
    struct lock *lock = NULL;
    struct err err = ERR_NONE;
    (void)arg;
    pair_start(&p);
    assert_int_equal(lock_take(p.two, "x", p.deadline_ns, &lock, &err), 0);
    uint64_t fileid = lock_fileid(p.two, "x");
    assert_int_equal(lock_break(p.one, "x", fileid + 1000, p.deadline_ns, &err), -EAGAIN);
    assert_int_equal(lock_fileid(p.two, "x"), fileid);
    assert_int_equal(lock_renew(lock, p.deadline_ns, &err), 0);
    lock = lock_free(lock);
    assert_int_equal(fixture_entries(&p.a, ".stowage/locks") + fixture_entries(&p.a, ".stowage/tmp"), 0);
    pair_stop(&p);
}

struct handover {
    struct pair *pair;
    struct lock *other;
    uint64_t fileid;
    bool done;
};

// The REMOVE is carried out and its reply lost; before its sender knows, the other controller takes the lock.
static void hand_over(const struct nfs_call *call, void *arg) {
    struct handover *h = arg;
    struct nfs_call same = {.op = NFS_REMOVE, .fh = call->fh, .name = call->name};
    if (call->op != NFS_REMOVE || h->done)
        return;
    h->done = true;
    assert_true(call->once);
    assert_int_equal(share_call(h->pair->two, &same, "remove", NULL), 0);
    assert_int_equal(lock_take(h->pair->two, "x", h->pair->deadline_ns, &h->other, NULL), 0);
    h->fileid = lock_fileid(h->pair->two, "x");
}

static void a_lost_release_takes_nobodys_lock(void **arg) {
    struct pair p;
    struct lock *lock = NULL;
    struct err err = ERR_NONE;
    struct handover h = {.pair = &p};
    (void)arg;
    pair_start(&p);
    assert_int_equal(lock_take(p.one, "x", p.deadline_ns, &lock, &err), 0);
    faulty_nfs_hook(p.a.nfs, hand_over, &h);
    faulty_nfs_fail(p.a.nfs, FAULTY_OP, NFS_REMOVE, 1, -ECONNRESET);
    lock = lock_free(lock);
    faulty_nfs_hook(p.a.nfs, NULL, NULL);
    assert_true(h.done);
    assert_int_equal(lock_fileid(p.two, "x"), h.fileid);
    assert_int_equal(lock_renew(h.other, p.deadline_ns, &err), 0);
    h.other = lock_free(h.other);
    // Not carried out, only the connection was lost: ours goes at the second attempt.
    assert_int_equal(lock_take(p.one, "x", p.deadline_ns, &lock, &err), 0);
    faulty_nfs_fail(p.a.nfs, FAULTY_OP, NFS_REMOVE, 1, -ECONNRESET);
    lock = lock_free(lock);
    assert_int_equal(lock_fileid(p.two, "x"), 0);
    assert_int_equal(fixture_entries(&p.a, ".stowage/locks") + fixture_entries(&p.a, ".stowage/tmp"), 0);
    pair_stop(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_controllers_do_no_harm), cmocka_unit_test(a_lock_is_held_by_one),
        cmocka_unit_test(a_new_lock_is_not_broken), cmocka_unit_test(a_lost_release_takes_nobodys_lock)};
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
