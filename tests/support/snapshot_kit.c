// SPDX-License-Identifier: Apache-2.0
#include "tests/support/snapshot_kit.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/support/tree_kit.h"

void snapshot_kit_start(struct snapshot_kit *kit, struct fake_nfs_store *store, long die_at, bool applied,
                        unsigned wait_ms) {
    *kit = (struct snapshot_kit){0};
    fixture_start(&kit->base, store, NULL);
    kit->base.volumes = volumes_free(kit->base.volumes);
    struct err err = ERR_NONE;
    assert_int_equal(tree_worker_new(&(struct tree_worker_options){0}, &kit->worker, &err), 0);
    struct tree_work work = tree_worker_ops(kit->worker);
    struct volumes_options volumes = {.shares = kit->base.shares, .work = work};
    assert_int_equal(volumes_new(&volumes, &kit->base.volumes, &err), 0);
    struct snapshots_options snapshots = {.shares = kit->base.shares, .work = work, .wait_ms = wait_ms};
    assert_int_equal(snapshots_new(&snapshots, &kit->snapshots, &err), 0);
    (void)share_free(fixture_share(&kit->base));
    if (die_at)
        faulty_nfs_die(kit->base.nfs, die_at, applied);
}

void snapshot_kit_stop(struct snapshot_kit *kit) {
    kit->worker = tree_worker_free(kit->worker);
    kit->snapshots = snapshots_free(kit->snapshots);
    fixture_stop(&kit->base);
}

void snapshot_kit_resume(struct snapshot_kit *kit) {
    struct share *share cleanup(share_freep) = fixture_share(&kit->base);
    int64_t deadline_ns = kit->base.ctx.deadline_ns;
    assert_int_equal(volumes_resume(kit->base.volumes, share, deadline_ns, NULL), 0);
    assert_int_equal(snapshots_resume(kit->snapshots, share, deadline_ns, NULL), 0);
    tree_worker_share_opened(kit->worker, share);
}

int snapshot_kit_volume(struct snapshot_kit *kit, const char *name, enum content_source source, const char *source_id,
                        char ret_id[CSI_ID_MAX + 1], struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}, {"subDir", name}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_info info = {0};
    struct volume_create_request request = {.name = name,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 3},
                                            .source = source,
                                            .source_id = source_id};
    int r = volume_ops.create(kit->base.volumes, &kit->base.ctx, &request, &info, err);
    if (r == 0 && ret_id)
        (void)snprintf(ret_id, CSI_ID_MAX + 1, "%s", info.id);
    volume_info_done(&info);
    return r;
}

int snapshot_kit_snapshot(struct snapshot_kit *kit, const char *name, const char *volume_id,
                          char ret_id[CSI_ID_MAX + 1], bool *ret_ready, struct err *err) {
    struct snapshot_info info = {0};
    int r = snapshot_ops.create(kit->snapshots, &kit->base.ctx, name, volume_id, NULL, &info, err);
    if (r == 0 && ret_id)
        (void)snprintf(ret_id, CSI_ID_MAX + 1, "%s", info.id);
    if (r == 0 && ret_ready)
        *ret_ready = info.ready;
    snapshot_info_done(&info);
    return r;
}

static int find(struct nfs_share *nfs, const char *path, struct nfs_fh *ret) {
    *ret = nfs_share_info(nfs)->root;
    while (*path) {
        char name[NFS_NAME_MAX + 1] = {0};
        size_t len = strcspn(path, "/");
        memcpy(name, path, len);
        struct nfs_fh dir = *ret;
        if (kit_lookup(nfs, &dir, name, ret) < 0)
            return -ENOENT;
        path += len + (path[len] == '/');
    }
    return 0;
}

char *snapshot_kit_describe(struct fake_nfs_store *store, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_fh fh;
    return find(nfs, path, &fh) < 0 ? NULL : kit_describe(nfs, &fh);
}

void snapshot_kit_fill(struct fake_nfs_store *store, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_fh fh;
    assert_int_equal(find(nfs, path, &fh), 0);
    struct nfs_fh sub = kit_mkdir(nfs, &fh, "sub"), file = kit_file(nfs, &fh, "file", "first name");
    kit_link(nfs, &file, &sub, "second name");
    kit_symlink(nfs, &sub, "link", "../file");
    (void)kit_sparse(nfs, &sub, "sparse", 1 << 20, 1 << 18, 1);
}

size_t snapshot_kit_entries(struct fake_nfs_store *store, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_fh fh;
    return find(nfs, path, &fh) < 0 ? 0 : kit_entries(nfs, &fh);
}

void snapshot_kit_age_locks(struct fake_nfs_store *store) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_call page = {.op = NFS_READDIR};
    assert_int_equal(find(nfs, ".stowage/locks", &page.fh), 0);
    assert_int_equal(nfs_run(nfs, &page), 0);
    for (size_t i = 0; i < page.entry_count; i++) {
        struct nfs_fh lock;
        if (kit_lookup(nfs, &page.fh, page.entries[i].name, &lock) == 0)
            kit_set(nfs, &lock, &(struct nfs_setattr){.mask = NFS_SET_MTIME, .mtime = {.tv_sec = 1}});
    }
    free(page.entries);
}

static int64_t drain_end(void) {
    return clock_monotonic(&clock_system) + 30 * NS_PER_S;
}

void snapshot_kit_drain(struct fake_nfs_store *store, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_fh fh;
    assert_int_equal(find(nfs, path, &fh), 0);
    for (int64_t end = drain_end(); kit_attr(nfs, &fh).nlink > 2 || kit_entries(nfs, &fh) > 0; (void)sched_yield())
        assert_true(clock_monotonic(&clock_system) < end);
}
