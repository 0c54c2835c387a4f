// SPDX-License-Identifier: Apache-2.0
#include "controller/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/lock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/support/snapshot_kit.h"

struct scene {
    struct fake_nfs_store *store;
    struct snapshot_kit kit;
    char a[CSI_ID_MAX + 1], b[CSI_ID_MAX + 1]; // two volumes
};

static int setup(void **state) {
    struct scene *s = mem_zalloc(sizeof *s);
    struct err err = ERR_NONE;
    s->store = fake_nfs_store_new();
    snapshot_kit_start(&s->kit, s->store, 0, false, 0);
    assert_int_equal(snapshot_kit_volume(&s->kit, "a", CONTENT_EMPTY, NULL, s->a, &err), 0);
    assert_int_equal(snapshot_kit_volume(&s->kit, "b", CONTENT_EMPTY, NULL, s->b, &err), 0);
    snapshot_kit_fill(s->store, "a");
    *state = s;
    return 0;
}

static int teardown(void **state) {
    struct scene *s = *state;
    snapshot_kit_stop(&s->kit);
    s->store = fake_nfs_store_free(s->store);
    free(s);
    return 0;
}

static int emit_count(const struct snapshot_info *info, void *arg) {
    assert_non_null(info->id);
    ++*(int *)arg;
    return 0;
}

static void same_name_is_the_same_snapshot(void **state) {
    struct scene *s = *state;
    struct err err = ERR_NONE;
    struct snapshot_info first = {0}, second = {0};
    const struct call_context *ctx = &s->kit.base.ctx;
    assert_int_equal(snapshot_ops.create(s->kit.snapshots, ctx, "s", s->a, NULL, &first, &err), 0);
    assert_int_equal(snapshot_ops.create(s->kit.snapshots, ctx, "s", s->a, NULL, &second, &err), 0);
    assert_true(first.ready);
    assert_string_equal(first.id, second.id);
    assert_true(first.created_ns == second.created_ns);
    assert_int_equal(first.size_bytes, (1 << 20) + strlen("first name"));
    assert_int_equal(snapshot_ops.create(s->kit.snapshots, ctx, "s", s->b, NULL, &second, &err), -EEXIST);
    snapshot_info_done(&first);
    snapshot_info_done(&second);
}

static void missing_things_are_told(void **state) {
    struct scene *s = *state;
    struct err err = ERR_NONE;
    struct snapshot_info info = {0};
    const struct call_context *ctx = &s->kit.base.ctx;
    char gone[CSI_ID_MAX + 1];
    (void)memcpy(gone, s->a, sizeof gone);
    gone[3] = gone[3] == 'a' ? 'b' : 'a';
    assert_int_equal(snapshot_ops.create(s->kit.snapshots, ctx, "s", gone, NULL, &info, &err), -ENOENT);
    assert_int_equal(snapshot_ops.create(s->kit.snapshots, ctx, "s", "garbage", NULL, &info, &err), -ENOENT);
    assert_int_equal(snapshot_ops.get(s->kit.snapshots, ctx, "garbage", &info, &err), -ENOENT);
    assert_int_equal(snapshot_ops.destroy(s->kit.snapshots, ctx, "garbage", &err), 0);
    struct string_pair pair = {"snapshotFormat", "tar"};
    struct string_map map = {&pair, 1};
    assert_int_equal(snapshot_ops.create(s->kit.snapshots, ctx, "s", s->a, &map, &info, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "snapshotFormat"));
}

static void lists_by_source(void **state) {
    struct scene *s = *state;
    struct err err = ERR_NONE;
    const struct call_context *ctx = &s->kit.base.ctx;
    char id[CSI_ID_MAX + 1];
    int all = 0, of_b = 0;
    assert_int_equal(snapshot_kit_snapshot(&s->kit, "1", s->a, id, NULL, &err), 0);
    assert_int_equal(snapshot_kit_snapshot(&s->kit, "2", s->b, id, NULL, &err), 0);
    assert_int_equal(snapshot_kit_snapshot(&s->kit, "3", s->a, id, NULL, &err), 0);
    assert_int_equal(snapshot_ops.list(s->kit.snapshots, ctx, NULL, NULL, emit_count, &all, &err), 0);
    assert_int_equal(snapshot_ops.list(s->kit.snapshots, ctx, NULL, s->b, emit_count, &of_b, &err), 0);
    assert_int_equal(all, 3);
    assert_int_equal(of_b, 1);
}

// One share, known under two names: with and without the NFS version.
static void a_share_of_two_names_is_listed_once(void **state) {
    struct scene *s = *state;
    struct err err = ERR_NONE;
    struct share_location other = {
        .server = (char *)(uintptr_t)FIXTURE_SERVER, .path = (char *)(uintptr_t)FIXTURE_SHARE, .version = 3};
    int all = 0;
    assert_int_equal(shares_add(s->kit.base.shares, &other, &err), 0);
    assert_int_equal(snapshot_kit_snapshot(&s->kit, "1", s->a, NULL, NULL, &err), 0);
    assert_int_equal(snapshot_ops.list(s->kit.snapshots, &s->kit.base.ctx, NULL, NULL, emit_count, &all, &err), 0);
    assert_int_equal(all, 1);
}

struct waiting {
    struct scene *scene;
    int result;
};

static void *take_snapshot(void *arg) {
    struct waiting *waiting = arg;
    struct err err = ERR_NONE;
    waiting->result = snapshot_kit_snapshot(&waiting->scene->kit, "s", waiting->scene->a, NULL, NULL, &err);
    return NULL;
}

// Two snapshots of one volume at once both pin it: the second one waits for its turn.
static void a_volume_being_pinned_is_waited_for(void **state) {
    struct scene *s = *state;
    struct share *share cleanup(share_freep) = fixture_share(&s->kit.base);
    struct lock *lock cleanup(lock_freep) = NULL;
    struct waiting waiting = {.scene = s, .result = -1};
    struct err err = ERR_NONE;
    pthread_t thread;
    char name[HASH_ID_LEN + 3] = "v-";
    hash_id("a", 1, name + 2);
    assert_int_equal(lock_take(share, name, s->kit.base.ctx.deadline_ns, &lock, &err), 0);
    long before = faulty_nfs_count(s->kit.base.nfs, FAULTY_OP, NFS_LINK);
    assert_int_equal(pthread_create(&thread, NULL, take_snapshot, &waiting), 0);
    while (faulty_nfs_count(s->kit.base.nfs, FAULTY_OP, NFS_LINK) == before) // its record is made first
        (void)sched_yield();
    long tries = faulty_nfs_count(s->kit.base.nfs, FAULTY_OP, NFS_CREATE);
    for (int i = 0; i < 100000 && faulty_nfs_count(s->kit.base.nfs, FAULTY_OP, NFS_CREATE) < tries + 4; i++)
        (void)sched_yield();
    lock = lock_free(lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiting.result, 0);
}

// Another controller copies: the volume is pinned until that ends.
static void a_volume_stays_while_it_is_copied(void **state) {
    struct scene *s = *state;
    struct share *share cleanup(share_freep) = fixture_share(&s->kit.base);
    struct lock *lock cleanup(lock_freep) = NULL;
    struct err err = ERR_NONE;
    const struct call_context *ctx = &s->kit.base.ctx;
    char key[HASH_ID_LEN + 1], name[HASH_ID_LEN + 8];
    bool ready = true;
    hash_id("s", 1, key);
    (void)snprintf(name, sizeof name, "copy-s-%s", key);
    assert_int_equal(lock_take(share, name, ctx->deadline_ns, &lock, &err), 0);
    assert_int_equal(snapshot_kit_snapshot(&s->kit, "s", s->a, NULL, &ready, &err), 0);
    assert_false(ready);
    assert_int_equal(volume_ops.destroy(s->kit.base.volumes, ctx, s->a, &err), -EBUSY);
    lock = lock_free(lock);
    while (!ready)
        assert_int_equal(snapshot_kit_snapshot(&s->kit, "s", s->a, NULL, &ready, &err), 0);
    assert_int_equal(volume_ops.destroy(s->kit.base.volumes, ctx, s->a, &err), 0);
}

static void group_holds_one_of_each(void **state) {
    struct scene *s = *state;
    struct err err = ERR_NONE;
    const struct call_context *ctx = &s->kit.base.ctx;
    const char *ids[] = {s->a, s->b};
    char *id = NULL, *again = NULL;
    int64_t when = 0, then = 0;
    int made = 0, found = 0, left = 0;
    const struct snapshot_ops *ops = &snapshot_ops;
    assert_int_equal(ops->group_create(s->kit.snapshots, ctx, "g", ids, 2, NULL, &id, &when, emit_count, &made, &err),
                     0);
    assert_int_equal(
        ops->group_create(s->kit.snapshots, ctx, "g", ids, 2, NULL, &again, &then, emit_count, &made, &err), 0);
    assert_string_equal(id, again);
    assert_true(when == then);
    assert_int_equal(made, 4);
    free(again);
    assert_int_equal(
        ops->group_create(s->kit.snapshots, ctx, "g", ids, 1, NULL, &again, &then, emit_count, &made, &err), -EEXIST);
    assert_int_equal(ops->group_get(s->kit.snapshots, ctx, id, &then, emit_count, &found, &err), 0);
    assert_int_equal(found, 2);
    assert_int_equal(ops->group_destroy(s->kit.snapshots, ctx, id, &err), 0);
    assert_int_equal(ops->group_destroy(s->kit.snapshots, ctx, id, &err), 0);
    assert_int_equal(ops->list(s->kit.snapshots, ctx, NULL, NULL, emit_count, &left, &err), 0);
    assert_int_equal(left, 0);
    assert_int_equal(ops->group_get(s->kit.snapshots, ctx, id, &then, emit_count, &found, &err), -ENOENT);
    free(id);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(same_name_is_the_same_snapshot),
                                       T(missing_things_are_told),
                                       T(lists_by_source),
                                       T(a_share_of_two_names_is_listed_once),
                                       T(a_volume_being_pinned_is_waited_for),
                                       T(a_volume_stays_while_it_is_copied),
                                       T(group_holds_one_of_each)};
    log_init("test", LOG_LEVEL_ERROR + 1, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
