// SPDX-License-Identifier: Apache-2.0
// kill -9 of a controller on a real NFS server, before and after every call that changes the share, in every operation.
// The killed controller is another process: this program, started again. Then a new controller on the same share
// finds nothing half under a final name, and the same call completes what was begun.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/snapshot.h"
#include "controller/sweep.h"
#include "controller/tree_remove.h"
#include "controller/tree_work.h"
#include "controller/volume.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/fakes/faulty_nfs.h"
#include "tests/support/cm.h"
#include "tests/support/nfs_server.h"
#include "tests/support/tree_kit.h"

#define CALLS_MAX 100 // an operation that needs more changing calls than this is broken
#define LIMIT_NS (30 * NS_PER_S)

static struct nfs_server server;
static struct nfs_share *probe; // looks at the share beside the controllers
static char *whole;             // the tree that every filled volume holds

struct controller {
    struct shares *shares;
    struct tree_worker *worker;
    struct volumes *volumes;
    struct snapshots *snapshots;
    long kill_at; // 0: lives
    bool kill_after;
    atomic_long calls;
};

struct scene { // of one death
    char volume[64], copy[64], snapshot[64];
    char volume_id[CSI_ID_MAX + 1], copy_id[CSI_ID_MAX + 1], snapshot_id[CSI_ID_MAX + 1];
    char data[64]; // path of the snapshot's tree
};

static struct call_context soon(void) {
    return (struct call_context){.deadline_ns = clock_monotonic(&clock_system) + LIMIT_NS, .request_id = "test"};
}

// ---- looking at the share ---------------------------------------------------------------------------------------

static int find(const char *path, struct nfs_fh *ret) {
    *ret = nfs_share_info(probe)->root;
    for (size_t len; *path; path += len + (path[len] == '/')) {
        char name[NFS_NAME_MAX + 1] = {0};
        struct nfs_fh dir = *ret;
        len = strcspn(path, "/");
        memcpy(name, path, len);
        if (kit_lookup(probe, &dir, name, ret) < 0)
            return -ENOENT;
    }
    return 0;
}

static size_t entries(const char *path) {
    struct nfs_call page = {.op = NFS_READDIR, .deadline_ns = soon().deadline_ns};
    size_t count = 0;
    if (find(path, &page.fh) < 0)
        return 0;
    while (!page.eof) {
        assert_int_equal(nfs_run(probe, &page), 0);
        count += page.entry_count;
        free(take_ptr(page.entries));
    }
    return count;
}

static bool exists(const char *path) {
    struct nfs_fh fh;
    return find(path, &fh) == 0;
}

static bool is_whole(const char *path) {
    struct nfs_fh fh;
    if (find(path, &fh) < 0)
        return false;
    char *now cleanup_free = kit_describe(probe, &fh);
    return strcmp(now, whole) == 0;
}

static void fill(const char *path) {
    struct nfs_fh fh;
    assert_int_equal(find(path, &fh), 0);
    struct nfs_fh sub = kit_mkdir(probe, &fh, "sub"), file = kit_file(probe, &fh, "file", "content");
    kit_link(probe, &file, &sub, "again");
    kit_symlink(probe, &sub, "link", "../file");
    struct nfs_setattr then = {.mask = NFS_SET_MTIME, .mtime = {.tv_sec = 1000}};
    kit_set(probe, &file, &then);
    kit_set(probe, &sub, &then);
    kit_set(probe, &fh, &then);
    if (!whole)
        whole = kit_describe(probe, &fh);
}

static void drain(const char *path) {
    for (int64_t end = soon().deadline_ns; entries(path) > 0; (void)sched_yield())
        assert_true(clock_monotonic(&clock_system) < end);
}

// Everything in a directory of .stowage was last touched long ago: leases have run out.
static void age(const char *path) {
    struct nfs_call page = {.op = NFS_READDIR, .deadline_ns = soon().deadline_ns};
    assert_int_equal(find(path, &page.fh), 0);
    assert_int_equal(nfs_run(probe, &page), 0);
    for (size_t i = 0; i < page.entry_count; i++) {
        struct nfs_fh fh;
        if (kit_lookup(probe, &page.fh, page.entries[i].name, &fh) == 0)
            kit_set(probe, &fh, &(struct nfs_setattr){.mask = NFS_SET_MTIME, .mtime = {.tv_sec = 1000}});
    }
    free(page.entries);
}

// ---- a controller -----------------------------------------------------------------------------------------------

static void die(const struct nfs_call *call, void *arg) {
    struct controller *c = arg;
    if (atomic_fetch_add(&c->calls, 1) + 1 != c->kill_at)
        return;
    if (c->kill_after) { // by way of the other connection, so that it is done for sure
        struct nfs_call done = *call;
        (void)nfs_run(probe, &done);
    }
    (void)kill(getpid(), SIGKILL);
}

static int open_killing(void *arg, const struct nfs_options *options, struct nfs_share **ret, struct err *err) {
    struct controller *c = arg;
    struct nfs_share *inner;
    int r = nfs_share_open(options, &inner, err);
    if (r < 0)
        return r;
    *ret = faulty_nfs_new(inner);
    if (c->kill_at)
        faulty_nfs_hook(*ret, die, c);
    return 0;
}

static void location(struct share_location *ret, char server_text[32], char path[16]) {
    struct nfs_options options = nfs_server_options(&server, 3, 1);
    (void)snprintf(server_text, 32, "%s", options.server);
    (void)snprintf(path, 16, "%s", options.path);
    *ret = (struct share_location){.server = server_text,
                                   .path = path,
                                   .nfs_port = options.nfs_port,
                                   .mount_port = options.mount_port,
                                   .version = 3};
}

static struct share *open_share(struct controller *c) {
    struct share_location at;
    char name[32], path[16];
    struct share *share = NULL;
    struct err err = ERR_NONE;
    location(&at, name, path);
    if (shares_get(c->shares, &at, true, soon().deadline_ns, &share, &err) < 0)
        fail_msg("%s", err_text(&err));
    return share;
}

static void start(struct controller *c) {
    struct err err = ERR_NONE;
    struct shares_options shares = {.open = open_killing, .open_arg = c};
    assert_int_equal(shares_new(&shares, &c->shares, &err), 0);
    assert_int_equal(tree_worker_new(&(struct tree_worker_options){0}, &c->worker, &err), 0);
    struct tree_work work = tree_worker_ops(c->worker);
    struct volumes_options volumes = {.shares = c->shares, .work = work};
    assert_int_equal(volumes_new(&volumes, &c->volumes, &err), 0);
    struct snapshots_options snapshots = {.shares = c->shares, .work = work};
    assert_int_equal(snapshots_new(&snapshots, &c->snapshots, &err), 0);
}

static void stop(struct controller *c) {
    c->worker = tree_worker_free(c->worker);
    c->snapshots = snapshots_free(c->snapshots);
    c->volumes = volumes_free(c->volumes);
    c->shares = shares_free(c->shares);
}

static void resume(struct controller *c) {
    struct share *share cleanup(share_freep) = open_share(c);
    assert_int_equal(volumes_resume(c->volumes, share, soon().deadline_ns, NULL), 0);
    assert_int_equal(snapshots_resume(c->snapshots, share, soon().deadline_ns, NULL), 0);
    tree_worker_share_opened(c->worker, share);
}

// ---- the operations ---------------------------------------------------------------------------------------------

static int make_volume(struct controller *c, const char *name, const char *id, enum content_source source,
                       const char *source_id, const char *on_delete, struct err *err) {
    struct share_location at;
    char text[32], path[16], port[8], mount_port[8];
    location(&at, text, path);
    (void)snprintf(port, sizeof port, "%u", at.nfs_port);
    (void)snprintf(mount_port, sizeof mount_port, "%u", at.mount_port);
    struct string_pair pairs[] = {{"server", text},          {"share", path},
                                  {"nfsVersion", "3"},       {"nfsPort", port},
                                  {"mountPort", mount_port}, {"onDelete", (char *)(uintptr_t)on_delete}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = name,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, ARRAY_SIZE(pairs)},
                                            .source = source,
                                            .source_id = source_id};
    struct volume_info info = {0};
    struct call_context ctx = soon();
    int r = volume_ops.create(c->volumes, &ctx, &request, &info, err);
    if (r == 0)
        assert_string_equal(info.id, id); // the same at every repetition
    volume_info_done(&info);
    return r;
}

static int create(struct controller *c, struct scene *s, struct err *err) {
    return make_volume(c, s->volume, s->volume_id, CONTENT_EMPTY, NULL, "delete", err);
}

static int create_archived(struct controller *c, struct scene *s, struct err *err) {
    return make_volume(c, s->volume, s->volume_id, CONTENT_EMPTY, NULL, "archive", err);
}

static int clone_volume(struct controller *c, struct scene *s, struct err *err) {
    return make_volume(c, s->copy, s->copy_id, CONTENT_VOLUME, s->volume_id, "delete", err);
}

static int restore(struct controller *c, struct scene *s, struct err *err) {
    return make_volume(c, s->copy, s->copy_id, CONTENT_SNAPSHOT, s->snapshot_id, "delete", err);
}

static int destroy(struct controller *c, struct scene *s, struct err *err) {
    struct call_context ctx = soon();
    return volume_ops.destroy(c->volumes, &ctx, s->volume_id, err);
}

static int snapshot(struct controller *c, struct scene *s, struct err *err) {
    struct snapshot_info info = {0};
    struct call_context ctx = soon();
    int r = snapshot_ops.create(c->snapshots, &ctx, s->snapshot, s->volume_id, NULL, &info, err);
    if (r == 0)
        assert_string_equal(info.id, s->snapshot_id);
    r = r == 0 && !info.ready ? -EAGAIN : r;
    snapshot_info_done(&info);
    return r;
}

static int destroy_snapshot(struct controller *c, struct scene *s, struct err *err) {
    struct call_context ctx = soon();
    return snapshot_ops.destroy(c->snapshots, &ctx, s->snapshot_id, err);
}

static int expand(struct controller *c, struct scene *s, struct err *err) {
    struct call_context ctx = soon();
    int64_t bytes = 0;
    int r = volume_ops.expand(c->volumes, &ctx, s->volume_id, 2 * VOLUME_BYTES_DEFAULT, 0, &bytes, err);
    if (r == 0)
        assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    return r;
}

typedef int (*act_fn)(struct controller *c, struct scene *s, struct err *err);

static void until_done(struct controller *c, struct scene *s, act_fn act) {
    struct err err = ERR_NONE;
    int64_t end = soon().deadline_ns;
    int r = -EAGAIN;
    while (r == -EAGAIN && clock_monotonic(&clock_system) < end) {
        err = ERR_NONE;
        r = act(c, s, &err);
    }
    if (r != 0)
        fail_msg("%s: %d, %s", s->volume, r, err_text(&err));
}

// ---- what must hold ---------------------------------------------------------------------------------------------

static int get(struct controller *c, const char *id, struct volume_info *ret) {
    struct call_context ctx = soon();
    struct err err = ERR_NONE;
    return volume_ops.get(c->volumes, &ctx, id, ret, &err);
}

static bool is_volume(struct controller *c, const char *id) {
    struct volume_info info = {0};
    int r = get(c, id, &info);
    bool abnormal = info.abnormal;
    volume_info_done(&info);
    return r == 0 && !abnormal;
}

static void volumes_have_directories(struct controller *c, struct scene *s) {
    if (is_volume(c, s->volume_id))
        assert_true(exists(s->volume));
}

static void created(struct controller *c, struct scene *s) {
    assert_true(is_volume(c, s->volume_id));
    assert_true(exists(s->volume));
}

static void not_half_deleted(struct controller *c, struct scene *s) {
    (void)c;
    if (exists(s->volume))
        assert_true(is_whole(s->volume));
}

static void deleted(struct controller *c, struct scene *s) {
    assert_false(is_volume(c, s->volume_id));
    assert_false(exists(s->volume));
    drain(".stowage/trash");
}

static void archive_path(const struct scene *s, char ret[96]) {
    (void)snprintf(ret, 96, "archived-%s", s->volume);
}

static void one_whole(struct controller *c, struct scene *s) {
    char archived[96];
    (void)c;
    archive_path(s, archived);
    assert_int_equal(is_whole(s->volume) + is_whole(archived), 1);
    assert_int_equal(exists(s->volume) + exists(archived), 1);
}

static void archived(struct controller *c, struct scene *s) {
    char path[96];
    struct nfs_fh root = nfs_share_info(probe)->root;
    archive_path(s, path);
    assert_true(is_whole(path));
    deleted(c, s);
    assert_int_equal(tree_remove(probe, &root, path, NULL, NULL, NULL), 0);
}

static void still_whole(struct controller *c, struct scene *s) {
    assert_true(is_volume(c, s->volume_id));
    assert_true(is_whole(s->volume));
}

static void expanded(struct controller *c, struct scene *s) {
    struct volume_info info = {0};
    assert_int_equal(get(c, s->volume_id, &info), 0);
    assert_int_equal(info.capacity_bytes, 2 * VOLUME_BYTES_DEFAULT);
    volume_info_done(&info);
    still_whole(c, s);
}

static void no_half_copy(struct controller *c, struct scene *s) {
    still_whole(c, s);
    if (exists(s->data))
        assert_true(is_whole(s->data));
    if (exists(s->copy) && !is_whole(s->copy)) // until its content comes, the directory is empty
        assert_int_equal(entries(s->copy), 0);
}

static void snapshot_is_whole(struct controller *c, struct scene *s) {
    still_whole(c, s);
    assert_true(is_whole(s->data));
}

static void copy_is_whole(struct controller *c, struct scene *s) {
    still_whole(c, s);
    assert_true(is_volume(c, s->copy_id));
    assert_true(is_whole(s->copy));
}

static void snapshot_gone(struct controller *c, struct scene *s) {
    still_whole(c, s);
    assert_false(exists(s->data));
}

static const struct operation {
    const char *name;
    act_fn prepare, prepare_more; // NULL: nothing; the volume of the first is filled
    act_fn act;
    void (*after_death)(struct controller *c, struct scene *s);
    void (*at_end)(struct controller *c, struct scene *s);
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
    location(&at, text, path);
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

static int open_probe(void) {
    struct nfs_options options = nfs_server_options(&server, 3, 1);
    struct err err = ERR_NONE;
    int r = nfs_share_open(&options, &probe, &err);
    if (r < 0)
        (void)fprintf(stderr, "%s\n", err_text(&err));
    return r;
}

// The process that is to die: PROGRAM OPERATION N AFTER NFS-PORT MOUNT-PORT
static int victim(char **argv) {
    const struct operation *op = operations + atoi(argv[1]);
    struct controller c = {.kill_at = atol(argv[2]), .kill_after = atoi(argv[3]) != 0};
    struct scene scene;
    struct err err = ERR_NONE;
    server.nfs_port = (uint16_t)atoi(argv[4]);
    server.mount_port = (uint16_t)atoi(argv[5]);
    if (open_probe() < 0)
        return 1;
    name_scene(&scene, op, c.kill_at, c.kill_after);
    start(&c);
    int r = op->act(&c, &scene, &err);
    while (entries(".stowage/trash") + entries(".stowage/work") > 0) // the background work may be what dies
        (void)sched_yield();
    stop(&c);
    probe = nfs_share_free(probe);
    return r == 0 ? 0 : 1;
}

static bool is_killed(const struct operation *op, long n, bool after) {
    char text[5][16];
    pid_t pid;
    int status = 0;
    (void)snprintf(text[0], 16, "%d", (int)(op - operations));
    (void)snprintf(text[1], 16, "%ld", n);
    (void)snprintf(text[2], 16, "%d", after);
    (void)snprintf(text[3], 16, "%u", server.nfs_port);
    (void)snprintf(text[4], 16, "%u", server.mount_port);
    char *argv[] = {"test_kill", text[0], text[1], text[2], text[3], text[4], NULL};
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    assert_true(waitpid(pid, &status, 0) == pid);
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) != 0)
        fail_msg("%s, call %ld: it failed", op->name, n);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void prepare(const struct operation *op, struct scene *s) {
    struct controller c = {0};
    start(&c);
    if (op->prepare) {
        until_done(&c, s, op->prepare);
        fill(s->volume);
    }
    if (op->prepare_more)
        until_done(&c, s, op->prepare_more);
    stop(&c);
}

static void clean_up(struct controller *c, struct scene *s) {
    struct scene copy = *s;
    (void)snprintf(copy.volume_id, sizeof copy.volume_id, "%s", s->copy_id);
    until_done(c, s, destroy_snapshot);
    until_done(c, &copy, destroy);
    until_done(c, s, destroy);
    drain(".stowage/trash");
    drain(".stowage/work");
}

static bool die_once(const struct operation *op, long n, bool after) {
    struct scene scene;
    struct controller c = {0};
    name_scene(&scene, op, n, after);
    prepare(op, &scene);
    bool killed = is_killed(op, n, after);
    start(&c);
    op->after_death(&c, &scene);
    age(".stowage/locks");
    resume(&c);
    until_done(&c, &scene, op->act);
    op->at_end(&c, &scene);
    if (op->at_end != archived)
        until_done(&c, &scene, op->act);
    clean_up(&c, &scene);
    stop(&c);
    return killed;
}

static void make_layout(void) {
    struct controller c = {0};
    start(&c);
    (void)share_free(open_share(&c));
    stop(&c);
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
    struct controller c = {0};
    (void)state;
    start(&c);
    struct share *share = open_share(&c);
    age(".stowage/tmp");
    age(".stowage/locks");
    assert_int_equal(sweep_locks(share, soon().deadline_ns, NULL), 0);
    assert_int_equal(sweep_tmp(share, soon().deadline_ns, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
        char path[64];
        (void)snprintf(path, sizeof path, ".stowage/%s", empty[i]);
        if (entries(path) > 0)
            fail_msg("%s holds %zu", path, entries(path));
    }
    assert_int_equal(entries(""), 1);
    (void)share_free(share);
    stop(&c);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_may_be_the_last), cmocka_unit_test(nothing_is_left)};
    log_init("test", LOG_LEVEL_ERROR + 1, LOG_FORMAT_AUTO);
    if (argc == 6)
        return victim(argv);
    int r = nfs_server_start(&server);
    if (r == -ENOENT)
        return 77;
    int failed = r < 0 || open_probe() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    free(whole);
    probe = nfs_share_free(probe);
    nfs_server_stop(&server);
    return failed ? 1 : 0;
}
