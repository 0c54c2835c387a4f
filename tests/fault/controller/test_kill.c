// SPDX-License-Identifier: Apache-2.0
// kill -9 of a controller on a real NFS server, before and after every call that changes the share, in every operation.
// The killed controller is another process: this program, started again. Then a new controller on the same share
// finds nothing half under a final name, and the same call completes what was begun.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/sweep.h"
#include "controller/tree_remove.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/real_controller.h"

#define CALLS_MAX 100 // an operation that needs more changing calls than this is broken

struct scene { // of one death
    char volume[64], copy[64], snapshot[64];
    char volume_id[CSI_ID_MAX + 1], copy_id[CSI_ID_MAX + 1], snapshot_id[CSI_ID_MAX + 1];
    char data[64]; // path of the snapshot's tree
};

// ---- the operations -----------------------------------------------------------------------------------------------

static int create(struct real_controller *c, struct scene *s, struct err *err) {
    return real_make_volume(c, s->volume, s->volume_id, CONTENT_EMPTY, NULL, "delete", err);
}

static int create_archived(struct real_controller *c, struct scene *s, struct err *err) {
    return real_make_volume(c, s->volume, s->volume_id, CONTENT_EMPTY, NULL, "archive", err);
}

static int clone_volume(struct real_controller *c, struct scene *s, struct err *err) {
    return real_make_volume(c, s->copy, s->copy_id, CONTENT_VOLUME, s->volume_id, "delete", err);
}

static int restore(struct real_controller *c, struct scene *s, struct err *err) {
    return real_make_volume(c, s->copy, s->copy_id, CONTENT_SNAPSHOT, s->snapshot_id, "delete", err);
}

static int destroy(struct real_controller *c, struct scene *s, struct err *err) {
    struct call_context ctx = real_soon();
    return volume_ops.destroy(c->volumes, &ctx, s->volume_id, err);
}

static int snapshot(struct real_controller *c, struct scene *s, struct err *err) {
    struct snapshot_info info = {0};
    struct call_context ctx = real_soon();
    int r = snapshot_ops.create(c->snapshots, &ctx, s->snapshot, s->volume_id, NULL, &info, err);
    if (r == 0)
        assert_string_equal(info.id, s->snapshot_id);
    r = r == 0 && !info.ready ? -EAGAIN : r;
    snapshot_info_done(&info);
    return r;
}

static int destroy_snapshot(struct real_controller *c, struct scene *s, struct err *err) {
    struct call_context ctx = real_soon();
    return snapshot_ops.destroy(c->snapshots, &ctx, s->snapshot_id, err);
}

static int expand(struct real_controller *c, struct scene *s, struct err *err) {
    struct call_context ctx = real_soon();
    int64_t bytes = 0;
    int r = volume_ops.expand(c->volumes, &ctx, s->volume_id, 2 * VOLUME_BYTES_DEFAULT, 0, &bytes, err);
    if (r == 0)
        assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    return r;
}

typedef int (*act_fn)(struct real_controller *c, struct scene *s, struct err *err);

static void until_done(struct real_controller *c, struct scene *s, act_fn act) {
    struct err err = ERR_NONE;
    int64_t end = real_soon().deadline_ns;
    int r = -EAGAIN;
    while (r == -EAGAIN && clock_monotonic(&clock_system) < end) {
        err = ERR_NONE;
        r = act(c, s, &err);
    }
    if (r != 0)
        fail_msg("%s: %d, %s", s->volume, r, err_text(&err));
}

// ---- what must hold ---------------------------------------------------------------------------------------------

static int get(struct real_controller *c, const char *id, struct volume_info *ret) {
    struct call_context ctx = real_soon();
    struct err err = ERR_NONE;
    return volume_ops.get(c->volumes, &ctx, id, ret, &err);
}

static bool is_volume(struct real_controller *c, const char *id) {
    struct volume_info info = {0};
    int r = get(c, id, &info);
    bool abnormal = info.abnormal;
    volume_info_done(&info);
    return r == 0 && !abnormal;
}

static void volumes_have_directories(struct real_controller *c, struct scene *s) {
    if (is_volume(c, s->volume_id))
        assert_true(real_exists(s->volume));
}

static void created(struct real_controller *c, struct scene *s) {
    assert_true(is_volume(c, s->volume_id));
    assert_true(real_exists(s->volume));
}

static void not_half_deleted(struct real_controller *c, struct scene *s) {
    (void)c;
    if (real_exists(s->volume))
        assert_true(real_is_whole(s->volume));
}

static void deleted(struct real_controller *c, struct scene *s) {
    assert_false(is_volume(c, s->volume_id));
    assert_false(real_exists(s->volume));
    real_drain(".stowage/trash");
}

static void archive_path(const struct scene *s, char ret[96]) {
    (void)snprintf(ret, 96, "archived-%s", s->volume);
}

static void one_whole(struct real_controller *c, struct scene *s) {
    char archived[96];
    (void)c;
    archive_path(s, archived);
    assert_int_equal(real_is_whole(s->volume) + real_is_whole(archived), 1);
    assert_int_equal(real_exists(s->volume) + real_exists(archived), 1);
}

static void archived(struct real_controller *c, struct scene *s) {
    char path[96];
    struct nfs_fh root = nfs_share_info(real_probe)->root;
    archive_path(s, path);
    assert_true(real_is_whole(path));
    deleted(c, s);
    assert_int_equal(tree_remove(real_probe, &root, path, NULL, NULL, NULL), 0);
}

static void still_whole(struct real_controller *c, struct scene *s) {
    assert_true(is_volume(c, s->volume_id));
    assert_true(real_is_whole(s->volume));
}

static void expanded(struct real_controller *c, struct scene *s) {
    struct volume_info info = {0};
    assert_int_equal(get(c, s->volume_id, &info), 0);
    assert_int_equal(info.capacity_bytes, 2 * VOLUME_BYTES_DEFAULT);
    volume_info_done(&info);
    still_whole(c, s);
}

static void no_half_copy(struct real_controller *c, struct scene *s) {
    still_whole(c, s);
    if (real_exists(s->data))
        assert_true(real_is_whole(s->data));
    if (real_exists(s->copy) && !real_is_whole(s->copy)) // until its content comes, the directory is empty
        assert_int_equal(real_entries(s->copy), 0);
}

static void snapshot_is_whole(struct real_controller *c, struct scene *s) {
    still_whole(c, s);
    assert_true(real_is_whole(s->data));
}

static void copy_is_whole(struct real_controller *c, struct scene *s) {
    still_whole(c, s);
    assert_true(is_volume(c, s->copy_id));
    assert_true(real_is_whole(s->copy));
}

static void snapshot_gone(struct real_controller *c, struct scene *s) {
    still_whole(c, s);
    assert_false(real_exists(s->data));
}

static const struct operation {
    const char *name;
    act_fn prepare, prepare_more; // NULL: nothing; the volume of the first is filled
    act_fn act;
    void (*after_death)(struct real_controller *c, struct scene *s);
    void (*at_end)(struct real_controller *c, struct scene *s);
} operations[] = {
    {"create", NULL, NULL, create, volumes_have_directories, created},
    {"delete", create, NULL, destroy, not_half_deleted, deleted},
    {"archive", create_archived, NULL, destroy, one_whole, archived},
    {"expand", create, NULL, expand, still_whole, expanded},
    {"snapshot", create, NULL, snapshot, no_half_copy, snapshot_is_whole},
    {"restore", create, snapshot, restore, no_half_copy, copy_is_whole},
    {"clone", create, NULL, clone_volume, no_half_copy, copy_is_whole},
    {"delete-snapshot", create, snapshot, destroy_snapshot, no_half_copy, snapshot_gone},
};

// ---- the deaths -------------------------------------------------------------------------------------------------

static void name_object(enum shared_kind kind, const char *name, char ret[static CSI_ID_MAX + 1]) {
    struct share_location at;
    char text[32], path[16], key[HASH_ID_LEN + 1];
    real_location(&at, text, path);
    hash_id(name, strlen(name), key);
    assert_int_equal(shared_id_format(kind, key, &at, ret, NULL), 0);
}

static void name_scene(struct scene *s, const struct operation *op, long n, bool after) {
    char key[HASH_ID_LEN + 1];
    (void)snprintf(s->volume, sizeof s->volume, "%s-%ld-%d", op->name, n, after);
    (void)snprintf(s->copy, sizeof s->copy, "%s-copy", s->volume);
    (void)snprintf(s->snapshot, sizeof s->snapshot, "%s-snapshot", s->volume);
    name_object(SHARED_VOLUME, s->volume, s->volume_id);
    name_object(SHARED_VOLUME, s->copy, s->copy_id);
    name_object(SHARED_SNAPSHOT, s->snapshot, s->snapshot_id);
    hash_id(s->snapshot, strlen(s->snapshot), key);
    (void)snprintf(s->data, sizeof s->data, ".stowage/snapshot-data/%s", key);
}

// The process that is to die: PROGRAM OPERATION N AFTER NFS-PORT MOUNT-PORT
static int victim(char **argv) {
    const struct operation *op = operations + atoi(argv[1]);
    struct real_controller c = {.kill_at = atol(argv[2]), .kill_after = atoi(argv[3]) != 0};
    struct scene scene;
    struct err err = ERR_NONE;
    real_server.nfs_port = (uint16_t)atoi(argv[4]);
    real_server.mount_port = (uint16_t)atoi(argv[5]);
    if (real_open_probe() < 0)
        return 1;
    name_scene(&scene, op, c.kill_at, c.kill_after);
    real_start(&c);
    int r = op->act(&c, &scene, &err);
    while (real_entries(".stowage/trash") + real_entries(".stowage/work") > 0) // the background work may be what dies
        (void)sched_yield();
    real_stop(&c);
    real_close_probe();
    return r == 0 ? 0 : 1;
}

static bool is_killed(const struct operation *op, long n, bool after) {
    char text[5][16];
    pid_t pid;
    int status = 0;
    (void)snprintf(text[0], 16, "%d", (int)(op - operations));
    (void)snprintf(text[1], 16, "%ld", n);
    (void)snprintf(text[2], 16, "%d", after);
    (void)snprintf(text[3], 16, "%u", real_server.nfs_port);
    (void)snprintf(text[4], 16, "%u", real_server.mount_port);
    char *argv[] = {"test_kill", text[0], text[1], text[2], text[3], text[4], NULL};
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    assert_true(waitpid(pid, &status, 0) == pid);
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) != 0)
        fail_msg("%s, call %ld: it failed", op->name, n);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void prepare(const struct operation *op, struct scene *s) {
    struct real_controller c = {0};
    real_start(&c);
    if (op->prepare) {
        until_done(&c, s, op->prepare);
        real_fill(s->volume);
    }
    if (op->prepare_more)
        until_done(&c, s, op->prepare_more);
    real_stop(&c);
}

static void clean_up(struct real_controller *c, struct scene *s) {
    struct scene copy = *s;
    (void)snprintf(copy.volume_id, sizeof copy.volume_id, "%s", s->copy_id);
    until_done(c, s, destroy_snapshot);
    until_done(c, &copy, destroy);
    until_done(c, s, destroy);
    real_drain(".stowage/trash");
    real_drain(".stowage/work");
}

static bool die_once(const struct operation *op, long n, bool after) {
    struct scene scene;
    struct real_controller c = {0};
    name_scene(&scene, op, n, after);
    prepare(op, &scene);
    bool killed = is_killed(op, n, after);
    real_start(&c);
    op->after_death(&c, &scene);
    real_age(".stowage/locks");
    real_resume(&c);
    until_done(&c, &scene, op->act);
    op->at_end(&c, &scene);
    if (op->at_end != archived)
        until_done(&c, &scene, op->act);
    clean_up(&c, &scene);
    real_stop(&c);
    return killed;
}

static void make_layout(void) {
    struct real_controller c = {0};
    real_start(&c);
    (void)share_free(real_open_share(&c));
    real_stop(&c);
}

static void every_call_may_be_the_last(void **state) {
    (void)state;
    make_layout();
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
        for (int after = 0; after < 2; after++) {
            long n = 1;
            while (die_once(&operations[i], n, after))
                assert_in_range(++n, 1, CALLS_MAX);
            print_message("%s: killed %s each of %ld calls\n", operations[i].name, after ? "after" : "before", n - 1);
            assert_in_range(n, 4, CALLS_MAX);
        }
}

// Whatever was killed above, the share holds no more than a fresh one.
static void nothing_is_left(void **state) {
    static const char *const empty[] = {"volumes", "snapshots", "snapshot-data", "work", "trash", "locks", "tmp"};
    struct real_controller c = {0};
    (void)state;
    real_start(&c);
    struct share *share = real_open_share(&c);
    real_age(".stowage/tmp");
    real_age(".stowage/locks");
    assert_int_equal(sweep_locks(share, real_soon().deadline_ns, NULL), 0);
    assert_int_equal(sweep_tmp(share, real_soon().deadline_ns, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
        char path[64];
        (void)snprintf(path, sizeof path, ".stowage/%s", empty[i]);
        if (real_entries(path) > 0)
            fail_msg("%s holds %zu", path, real_entries(path));
    }
    assert_int_equal(real_entries(""), 1);
    (void)share_free(share);
    real_stop(&c);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_may_be_the_last), cmocka_unit_test(nothing_is_left)};
    log_init("test", LOG_LEVEL_ERROR + 1, LOG_FORMAT_AUTO);
    if (argc == 6)
        return victim(argv);
    int r = nfs_server_start(&real_server);
    if (r == -ENOENT)
        return 77;
    int failed = r < 0 || real_open_probe() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    real_close_probe();
    nfs_server_stop(&real_server);
    return failed ? 1 : 0;
}
