// SPDX-License-Identifier: Apache-2.0
#include "controller/volume_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/directory.h"
#include "controller/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define MODE_DEFAULT 0755

static struct nfs_setattr wanted(const struct record *record) {
    struct nfs_setattr set = {.mask = NFS_SET_MODE,
                              .mode = record->mount_permissions ? record->mount_permissions : MODE_DEFAULT};
    if (record->uid >= 0) {
        set.mask |= NFS_SET_UID;
        set.uid = (uint32_t)record->uid;
    }
    if (record->gid >= 0) {
        set.mask |= NFS_SET_GID;
        set.gid = (uint32_t)record->gid;
    }
    return set;
}

int volume_dir_set(struct share *share, const struct record *record, const struct nfs_fh *dir,
                   const struct nfs_attr *attr, int64_t deadline_ns, struct err *err) {
    struct nfs_setattr set = wanted(record);
    if (!record->mount_permissions || (attr && (attr->mode & 07777) == set.mode))
        set.mask &= ~(unsigned)NFS_SET_MODE;
    if (attr && attr->uid == set.uid)
        set.mask &= ~(unsigned)NFS_SET_UID;
    if (attr && attr->gid == set.gid)
        set.mask &= ~(unsigned)NFS_SET_GID;
    if (!set.mask)
        return 0;
    struct nfs_call call = {.op = NFS_SETATTR, .fh = *dir, .set = set, .deadline_ns = deadline_ns};
    int r = share_call(share, &call, "set mode and owner of a volume's directory", err);
    return r == -ENOENT ? err_set(err, -EAGAIN, "the directory '%.100s' on %s was removed; try again", record->sub_dir,
                                  share->text)
                        : r;
}

// One component: LOOKUP, or MKDIR when it is not there. The last one is tried the other way round: it is new mostly.
static int enter(struct share *share, const struct record *record, const char *name, bool last, int64_t deadline_ns,
                 struct nfs_fh *dir, struct nfs_attr *ret_attr, bool *ret_fresh, struct err *err) {
    struct nfs_setattr plain = {.mask = NFS_SET_MODE, .mode = MODE_DEFAULT};
    for (int attempt = last ? 1 : 0; attempt < 4; attempt++) {
        struct nfs_call call = {
            .op = attempt % 2 ? NFS_MKDIR : NFS_LOOKUP, .fh = *dir, .name = name, .deadline_ns = deadline_ns};
        if (call.op == NFS_MKDIR)
            call.set = last ? wanted(record) : plain;
        int r = share_call(share, &call, "make a volume's directory", err);
        if (r < 0 && r != (call.op == NFS_MKDIR ? -EEXIST : -ENOENT))
            return r;
        if (r < 0)
            continue;
        if (!S_ISDIR(call.attr.mode))
            return err_set(err, -EEXIST, "'%.60s' of subDir '%.100s' on %s is no directory; move it away", name,
                           record->sub_dir, share->text);
        *dir = call.out_fh;
        *ret_attr = call.attr;
        *ret_fresh = call.op == NFS_MKDIR;
        return 0;
    }
    return err_set(err, -EAGAIN, "'%.60s' on %s comes and goes; try again", name, share->text);
}

int volume_dir_make(struct share *share, const struct record *record, int64_t deadline_ns, struct nfs_fh *ret,
                    bool *ret_fresh, struct err *err) {
    struct nfs_attr attr = {0};
    char path[1025];
    *ret = share->root;
    (void)snprintf(path, sizeof path, "%s", record->sub_dir);
    for (char *at = path;;) {
        size_t len = strcspn(at, "/");
        bool last = at[len] == '\0';
        at[len] = '\0'; // `path` is now the path up to here
        int r = enter(share, record, at, last, deadline_ns, ret, &attr, ret_fresh, err);
        if (r == 0 && !*ret_fresh)
            r = store_mark_shared(share, path, deadline_ns, err);
        if (r < 0)
            return r;
        if (last)
            return volume_dir_set(share, record, ret, &attr, deadline_ns, err);
        at[len] = '/';
        at += len + 1;
    }
}

void volume_dir_unmake(struct share *share, const struct record *record, int64_t deadline_ns) {
    struct nfs_call call = {.op = NFS_RMDIR, .deadline_ns = deadline_ns};
    struct err why = ERR_NONE;
    int r = share_walk_parent(share, record->sub_dir, deadline_ns, &call.fh, &call.name, &why);
    if (r == 0)
        r = share_call(share, &call, "remove a directory made in vain", &why);
    if (r < 0)
        log_debug("directory left", LOG_S("subDir", record->sub_dir), LOG_S("error", err_text(&why)));
}

int volume_dir_is_empty(struct share *share, const struct nfs_fh *dir, int64_t deadline_ns, struct err *err) {
    struct directory volume cleanup(directory_done) = {0};
    directory_init(&volume, share, dir, "look into a volume's directory", deadline_ns);
    int r;
    while ((r = directory_next(&volume, err)) == 1)
        if (volume.page.entry_count > 0)
            return 0;
    return r < 0 ? r : 1;
}

// ---- moving away --------------------------------------------------------------------------------------------

struct use {
    const struct record *record;
    char other[NFS_NAME_MAX + 1]; // a volume that uses the directory, or one below it
};

static int find_use(void *arg, const char *key, const struct record *record, const struct err *damage) {
    struct use *use = arg;
    size_t len = strlen(use->record->sub_dir);
    if (strcmp(key, use->record->key) == 0)
        return 0;
    if (!record) { // what it uses is not known: nothing that is marked may be removed
        (void)snprintf(use->other, sizeof use->other, "%s", err_text(damage));
        return 1;
    }
    if (strncmp(record->sub_dir, use->record->sub_dir, len) != 0 ||
        (record->sub_dir[len] != '\0' && record->sub_dir[len] != '/'))
        return 0;
    (void)snprintf(use->other, sizeof use->other, "%s", record->name);
    return 1;
}

// 1: another volume uses it, and that was logged. 0: it may go. Or -errno.
static int is_used(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    int r = store_is_marked(share, record->sub_dir, deadline_ns, err);
    if (r <= 0)
        return r;
    struct use use = {.record = record};
    r = store_list(share, SHARED_VOLUME, NULL, deadline_ns, find_use, &use, err);
    if (r == 1)
        log_warning("data kept: another volume uses the directory", LOG_S("volume", record->name),
                    LOG_S("share", share->text), LOG_S("subDir", record->sub_dir), LOG_S("other", use.other));
    return r;
}

static int move(struct share *share, const struct nfs_fh *from, const char *name, const struct nfs_fh *to,
                const char *name2, int64_t deadline_ns, struct err *err) {
    struct nfs_call call = {
        .op = NFS_RENAME, .fh = *from, .name = name, .fh2 = *to, .name2 = name2, .deadline_ns = deadline_ns};
    return share_call(share, &call, "move a volume's directory away", err);
}

// nfs-ganesha (4.3) sleeps for a second in a RENAME between two directories when the second one is in use at that moment:
// of many deletes at once about one in seventy takes that long. Its answer is right, so it is waited for.
int volume_dir_trash(struct share *share, const struct record *record, int64_t deadline_ns,
                     char ret_name[static NFS_NAME_MAX + 1], struct err *err) {
    struct nfs_fh parent;
    const char *name;
    uint64_t random;
    ret_name[0] = '\0';
    int r = is_used(share, record, deadline_ns, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = share_walk_parent(share, record->sub_dir, deadline_ns, &parent, &name, err);
    clock_random(share->clock, &random, sizeof random);
    (void)snprintf(ret_name, NFS_NAME_MAX + 1, "%s-%016" PRIx64, record->key, random);
    if (r == 0)
        r = move(share, &parent, name, &share->dirs[SHARE_DIR_TRASH], ret_name, deadline_ns, err);
    // A volume that was made in this directory meanwhile has marked it before it looked whether it is still there:
    // one of the two notices the other.
    int used = r == 0 ? is_used(share, record, deadline_ns, err) : 0;
    if (used == 1)
        r = move(share, &share->dirs[SHARE_DIR_TRASH], ret_name, &parent, name, deadline_ns, err);
    if (r < 0 || used != 0)
        ret_name[0] = '\0';
    return used < 0 ? used : r == -ENOENT ? 0 : r;
}

int volume_dir_archive(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    struct nfs_fh parent;
    const char *name;
    char target[NFS_NAME_MAX + 32];
    int r = is_used(share, record, deadline_ns, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = share_walk_parent(share, record->sub_dir, deadline_ns, &parent, &name, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    size_t room = NFS_NAME_MAX - strlen("archived-") - strlen("-1234567890123456789");
    const char *base = strlen(name) <= room ? name : record->key;
    (void)snprintf(target, sizeof target, "archived-%s", base);
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = parent, .name = target, .deadline_ns = deadline_ns};
    r = share_call(share, &look, "archive a volume's directory", err);
    if (r == 0)
        (void)snprintf(target, sizeof target, "archived-%s-%" PRId64, base, clock_wall(share->clock));
    else if (r != -ENOENT)
        return r;
    r = move(share, &parent, name, &parent, target, deadline_ns, err);
    return r == -ENOENT ? 0 : r;
}
