// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/controller_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"

static int64_t soon(void) {
    return clock_monotonic(&clock_system) + 20 * NS_PER_S;
}

static int open_fake(void *arg, const struct nfs_options *options, struct nfs_share **ret, struct err *err) {
    struct fixture *f = arg;
    if (strcmp(options->server, FIXTURE_SERVER) != 0)
        return err_set(err, -EHOSTUNREACH, "NFS server %s does not answer", options->server);
    f->nfs = faulty_nfs_new(fake_nfs_open(f->store));
    if (f->nfs && f->die_at)
        faulty_nfs_die(f->nfs, f->die_at, f->die_applied);
    *ret = f->nfs;
    return f->nfs ? 0 : err_set(err, -ENOMEM, "out of memory");
}

// ---- tree work ------------------------------------------------------------------------------------------------

static int call(struct share *share, struct nfs_call c, struct nfs_fh *ret) {
    c.deadline_ns = soon();
    int r = share_call(share, &c, "copy", NULL);
    if (ret)
        *ret = c.out_fh;
    return r;
}

static int fake_copy_start(void *self, const struct copy_order *order, struct err *err) {
    struct fake_work *work = self;
    struct nfs_fh dir;
    int r = 0;
    work->copies++;
    if (!work->hold) {
        r = call(order->target,
                 (struct nfs_call){.op = NFS_MKDIR,
                                   .fh = order->target->dirs[SHARE_DIR_WORK],
                                   .name = order->name,
                                   .set = {.mask = NFS_SET_MODE, .mode = 0755}},
                 &dir);
        if (r == -EEXIST)
            r = call(
                order->target,
                (struct nfs_call){.op = NFS_LOOKUP, .fh = order->target->dirs[SHARE_DIR_WORK], .name = order->name},
                &dir);
        if (r == 0)
            r = call(order->target,
                     (struct nfs_call){
                         .op = NFS_CREATE, .fh = dir, .name = "copied", .set = {.mask = NFS_SET_MODE, .mode = 0644}},
                     NULL);
        if (r == 0)
            r = order->finish(order->arg, order->target, order->name, err);
    }
    if (order->release)
        order->release(order->arg);
    return r;
}

static int fake_copy_wait(void *self, struct share *target, const char *name, int64_t deadline_ns,
                          struct copy_progress *ret, struct err *err) {
    struct fake_work *work = self;
    struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    (void)target, (void)name, (void)err;
    work->waits++;
    if (work->slow)
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    *ret = (struct copy_progress){.bytes_done = 43, .bytes_total = 100};
    return work->hold ? -EAGAIN : -ENOENT;
}

static int fake_copy_cancel(void *self, struct share *target, const char *name, int64_t deadline_ns, struct err *err) {
    (void)self, (void)target, (void)name, (void)deadline_ns, (void)err;
    return 0;
}

static void fake_trash_added(void *self, struct share *share, const char *name) {
    struct fake_work *work = self;
    (void)share, (void)name;
    work->trashed++;
}

static const struct tree_work_ops fake_ops = {fake_copy_start, fake_copy_wait, fake_copy_cancel, fake_trash_added};

// ---- the fixture ------------------------------------------------------------------------------------------------

void fixture_start(struct fixture *f, struct fake_nfs_store *store, const struct volumes_options *options) {
    struct volumes_options copy = options ? *options : (struct volumes_options){0};
    struct shares_options shares = {.open = open_fake, .open_arg = f};
    struct share_location location = {.server = (char *)(uintptr_t)FIXTURE_SERVER,
                                      .path = (char *)(uintptr_t)FIXTURE_SHARE};
    struct err err = ERR_NONE;
    *f = (struct fixture){.store = store, .ctx = {.deadline_ns = soon() + 40 * NS_PER_S, .request_id = "test"}};
    assert_int_equal(shares_new(&shares, &f->shares, &err), 0);
    assert_int_equal(shares_add(f->shares, &location, &err), 0);
    copy.shares = f->shares;
    copy.work = (struct tree_work){&fake_ops, &f->work};
    assert_int_equal(volumes_new(&copy, &f->volumes, &err), 0);
}

void fixture_stop(struct fixture *f) {
    f->volumes = volumes_free(f->volumes);
    f->shares = shares_free(f->shares);
    f->nfs = NULL;
}

void fixture_restart(struct fixture *f) {
    struct fake_nfs_store *store = f->store;
    fixture_stop(f);
    fixture_start(f, store, NULL);
}

struct share *fixture_share(struct fixture *f) {
    struct share_location location = {.server = (char *)(uintptr_t)FIXTURE_SERVER,
                                      .path = (char *)(uintptr_t)FIXTURE_SHARE};
    struct share *share = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(shares_get(f->shares, &location, true, soon(), &share, &err), 0);
    return share;
}

int fixture_create(struct fixture *f, const char *name, const char *key, const char *value, struct volume_info *ret,
                   struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}, {key, value}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {
        .name = name,
        .capabilities = &capability,
        .capability_count = 1,
        .parameters = {pairs, key ? 3 : 2},
    };
    return volume_ops.create(f->volumes, &f->ctx, &request, ret, err);
}

// Walks to `path` on a connection of its own; `make`: what is missing becomes directories, the last one a file.
static int walk(struct nfs_share *nfs, const char *path, bool make, struct nfs_fh *ret) {
    *ret = nfs_share_info(nfs)->root;
    while (*path) {
        char name[256] = {0};
        size_t len = strcspn(path, "/");
        bool last = path[len] == '\0';
        memcpy(name, path, len);
        struct nfs_call look = {.op = NFS_LOOKUP, .fh = *ret, .name = name, .deadline_ns = soon()};
        int r = nfs_run(nfs, &look);
        if (r == -ENOENT && make) {
            look.op = last ? NFS_CREATE : NFS_MKDIR;
            look.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = 0755};
            r = nfs_run(nfs, &look);
        }
        if (r < 0)
            return r;
        *ret = look.out_fh;
        path += len + !last;
    }
    return 0;
}

bool fixture_exists(struct fixture *f, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(f->store);
    struct nfs_fh fh;
    return walk(nfs, path, false, &fh) == 0;
}

void fixture_make_file(struct fixture *f, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(f->store);
    struct nfs_fh fh;
    assert_int_equal(walk(nfs, path, true, &fh), 0);
}

void fixture_write_file(struct fixture *f, const char *path, const char *text) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(f->store);
    struct nfs_fh fh;
    assert_int_equal(walk(nfs, path, true, &fh), 0);
    struct nfs_call cut = {.op = NFS_SETATTR, .fh = fh, .set = {.mask = NFS_SET_SIZE}, .deadline_ns = soon()};
    assert_int_equal(nfs_run(nfs, &cut), 0);
    struct nfs_call write = {.op = NFS_WRITE,
                             .fh = fh,
                             .data = (void *)(uintptr_t)text,
                             .count = (uint32_t)strlen(text),
                             .stable = true,
                             .deadline_ns = soon()};
    if (write.count)
        assert_int_equal(nfs_run(nfs, &write), 0);
}

size_t fixture_entries(struct fixture *f, const char *path) {
    struct nfs_share *nfs cleanup(nfs_share_freep) = fake_nfs_open(f->store);
    struct nfs_call page = {.op = NFS_READDIR, .deadline_ns = soon()};
    size_t count = 0;
    if (walk(nfs, path, false, &page.fh) < 0)
        return 0;
    while (!page.eof) {
        assert_int_equal(nfs_run(nfs, &page), 0);
        count += page.entry_count;
        free(take_ptr(page.entries));
    }
    return count;
}
