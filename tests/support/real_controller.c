// SPDX-License-Identifier: Apache-2.0
#include "tests/support/real_controller.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "tests/fakes/faulty_nfs.h"
#include "tests/support/cm.h"
#include "tests/support/tree_kit.h"

#define LIMIT_NS (30 * NS_PER_S)

struct nfs_server real_server;
struct nfs_share *real_probe;
static char *whole; // the tree that every filled volume holds

struct call_context real_soon(void) {
    return (struct call_context){.deadline_ns = clock_monotonic(&clock_system) + LIMIT_NS, .request_id = "test"};
}

// ---- looking at the share ---------------------------------------------------------------------------------------

static int find(const char *path, struct nfs_fh *ret) {
    *ret = nfs_share_info(real_probe)->root;
    for (size_t len; *path; path += len + (path[len] == '/')) {
        char name[NFS_NAME_MAX + 1] = {0};
        struct nfs_fh dir = *ret;
        len = strcspn(path, "/");
        memcpy(name, path, len);
        if (kit_lookup(real_probe, &dir, name, ret) < 0)
            return -ENOENT;
    }
    return 0;
}

size_t real_entries(const char *path) {
    struct nfs_call page = {.op = NFS_READDIR, .deadline_ns = real_soon().deadline_ns};
    size_t count = 0;
    if (find(path, &page.fh) < 0)
        return 0;
    while (!page.eof) {
        int r = nfs_run(real_probe, &page);
        if (r == -ENOENT) { // an entry went while the server listed it
            page.cookie = count = 0;
            continue;
        }
        assert_int_equal(r, 0);
        count += page.entry_count;
        free(take_ptr(page.entries));
    }
    return count;
}

bool real_exists(const char *path) {
    struct nfs_fh fh;
    return find(path, &fh) == 0;
}

bool real_is_whole(const char *path) {
    struct nfs_fh fh;
    if (find(path, &fh) < 0)
        return false;
    char *now cleanup_free = kit_describe(real_probe, &fh);
    return strcmp(now, whole) == 0;
}

void real_fill(const char *path) {
    struct nfs_fh fh;
    assert_int_equal(find(path, &fh), 0);
    struct nfs_fh sub = kit_mkdir(real_probe, &fh, "sub"), file = kit_file(real_probe, &fh, "file", "content");
    kit_link(real_probe, &file, &sub, "again");
    kit_symlink(real_probe, &sub, "link", "../file");
    struct nfs_setattr then = {.mask = NFS_SET_MTIME, .mtime = {.tv_sec = 1000}};
    kit_set(real_probe, &file, &then);
    kit_set(real_probe, &sub, &then);
    kit_set(real_probe, &fh, &then);
    if (!whole)
        whole = kit_describe(real_probe, &fh);
}

void real_drain(const char *path) {
    for (int64_t end = real_soon().deadline_ns; real_entries(path) > 0; (void)sched_yield())
        assert_true(clock_monotonic(&clock_system) < end);
}

void real_age(const char *path) {
    struct nfs_call page = {.op = NFS_READDIR, .deadline_ns = real_soon().deadline_ns};
    assert_int_equal(find(path, &page.fh), 0);
    assert_int_equal(nfs_run(real_probe, &page), 0);
    for (size_t i = 0; i < page.entry_count; i++) {
        struct nfs_fh fh;
        if (kit_lookup(real_probe, &page.fh, page.entries[i].name, &fh) == 0)
            kit_set(real_probe, &fh, &(struct nfs_setattr){.mask = NFS_SET_MTIME, .mtime = {.tv_sec = 1000}});
    }
    free(page.entries);
}

// ---- a controller -----------------------------------------------------------------------------------------------

static void die(const struct nfs_call *call, void *arg) {
    struct real_controller *c = arg;
    if (atomic_fetch_add(&c->calls, 1) + 1 != c->kill_at)
        return;
    if (c->kill_after) { // by way of the other connection, so that it is done for sure
        struct nfs_call done = *call;
        (void)nfs_run(real_probe, &done);
    }
    (void)kill(getpid(), SIGKILL);
}

static int open_killing(void *arg, const struct nfs_options *options, struct nfs_share **ret, struct err *err) {
    struct real_controller *c = arg;
    struct nfs_share *inner;
    int r = nfs_share_open(options, &inner, err);
    if (r < 0)
        return r;
    *ret = faulty_nfs_new(inner);
    if (c->kill_at)
        faulty_nfs_hook(*ret, die, c);
    return 0;
}

void real_location(struct share_location *ret, char server_text[32], char path[16]) {
    struct nfs_options options = nfs_server_options(&real_server, 3, 1);
    (void)snprintf(server_text, 32, "%s", options.server);
    (void)snprintf(path, 16, "%s", options.path);
    *ret = (struct share_location){.server = server_text,
                                   .path = path,
                                   .nfs_port = options.nfs_port,
                                   .mount_port = options.mount_port,
                                   .version = 3};
}

struct share *real_open_share(struct real_controller *c) {
    struct share_location at;
    char name[32], path[16];
    struct share *share = NULL;
    struct err err = ERR_NONE;
    real_location(&at, name, path);
    if (shares_get(c->shares, &at, true, real_soon().deadline_ns, &share, &err) < 0)
        fail_msg("%s", err_text(&err));
    return share;
}

void real_start(struct real_controller *c) {
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

void real_stop(struct real_controller *c) {
    c->worker = tree_worker_free(c->worker);
    c->snapshots = snapshots_free(c->snapshots);
    c->volumes = volumes_free(c->volumes);
    c->shares = shares_free(c->shares);
}

void real_resume(struct real_controller *c) {
    struct share *share cleanup(share_freep) = real_open_share(c);
    assert_int_equal(volumes_resume(c->volumes, share, real_soon().deadline_ns, NULL), 0);
    assert_int_equal(snapshots_resume(c->snapshots, share, real_soon().deadline_ns, NULL), 0);
    tree_worker_share_opened(c->worker, share);
}

int real_make_volume(struct real_controller *c, const char *name, const char *id, enum content_source source,
                     const char *source_id, const char *on_delete, struct err *err) {
    struct share_location at;
    char text[32], path[16], port[8], mount_port[8];
    real_location(&at, text, path);
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
    struct call_context ctx = real_soon();
    int r = volume_ops.create(c->volumes, &ctx, &request, &info, err);
    if (r == 0)
        assert_string_equal(info.id, id); // the same at every repetition
    volume_info_done(&info);
    return r;
}

int real_open_probe(void) {
    struct nfs_options options = nfs_server_options(&real_server, 3, 1);
    struct err err = ERR_NONE;
    int r = nfs_share_open(&options, &real_probe, &err);
    if (r < 0)
        (void)fprintf(stderr, "%s\n", err_text(&err));
    return r;
}

void real_close_probe(void) {
    real_probe = nfs_share_free(real_probe);
    free(take_ptr(whole));
}
