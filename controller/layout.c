// SPDX-License-Identifier: Apache-2.0
#include "controller/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define FORMAT_NAME "format"
#define FORMAT_TEXT "{\"version\":1}\n"
#define FORMAT_SIZE_MAX 4096

const char *const layout_dir_names[SHARE_DIR_COUNT] = {
    [SHARE_DIR_VOLUMES] = "volumes", [SHARE_DIR_SNAPSHOTS] = "snapshots",
    [SHARE_DIR_GROUPS] = "groups",   [SHARE_DIR_SNAPSHOT_DATA] = "snapshot-data",
    [SHARE_DIR_WORK] = "work",       [SHARE_DIR_TRASH] = "trash",
    [SHARE_DIR_TMP] = "tmp",         [SHARE_DIR_LOCKS] = "locks",
    [SHARE_DIR_SHARED] = "shared",
};

// Finds a directory, or makes it. Another controller may make it at the same moment.
static int open_dir(struct share *share, const struct nfs_fh *parent, const char *name, bool create,
                    int64_t deadline_ns, struct nfs_fh *ret, struct err *err) {
    for (int attempt = 0; attempt < 2; attempt++) {
        struct nfs_call look = {.op = NFS_LOOKUP, .fh = *parent, .name = name, .deadline_ns = deadline_ns};
        int r = share_call(share, &look, "open the driver's directory .stowage", err);
        if (r == 0 && !S_ISDIR(look.attr.mode))
            return err_set(err, -ENOTDIR, "'%s' below .stowage on %s is no directory; move it away", name, share->text);
        if (r == 0)
            *ret = look.out_fh;
        if (r != -ENOENT || !create)
            return r;
        struct nfs_call make = {.op = NFS_MKDIR,
                                .fh = *parent,
                                .name = name,
                                .set = {.mask = NFS_SET_MODE, .mode = 0700},
                                .deadline_ns = deadline_ns};
        r = share_call(share, &make, "make the driver's directory .stowage", err);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return err_set(err, -EAGAIN, "the directory '%s' on %s comes and goes; try again", name, share->text);
}

static int check_format(struct share *share, const char *text, size_t len, struct err *err) {
    struct json *json cleanup(json_freep) = NULL;
    int r = json_parse(text, len, FORMAT_SIZE_MAX, &json, NULL);
    if (r == -ENOMEM)
        return err_set(err, r, "out of memory");
    int64_t version = r == 0 ? json_get_int(json, "version", 0) : 0;
    if (version > SHARE_LAYOUT_VERSION)
        return err_set(err, -EPROTO,
                       ".stowage on %s was made by a newer stowage-controller (format %" PRId64
                       ", this one knows %d); upgrade this one",
                       share->text, version, SHARE_LAYOUT_VERSION);
    if (version < 1)
        return err_set(err, -EBADMSG, ".stowage/format on %s is damaged; write {\"version\":%d} into it", share->text,
                       SHARE_LAYOUT_VERSION);
    return 0;
}

static int read_format(struct share *share, int64_t deadline_ns, struct err *err) {
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = share->layout, .name = FORMAT_NAME, .deadline_ns = deadline_ns};
    int r = share_call(share, &look, "open .stowage/format", err);
    if (r < 0)
        return r;
    char text[FORMAT_SIZE_MAX];
    struct nfs_call read = {
        .op = NFS_READ, .fh = look.out_fh, .data = text, .count = sizeof text, .deadline_ns = deadline_ns};
    r = share_call(share, &read, "read .stowage/format", err);
    return r < 0 ? r : check_format(share, text, read.count, err);
}

// The last step of making a layout: it appears whole, under its name, or not at all.
static int write_format(struct share *share, int64_t deadline_ns, struct err *err) {
    unsigned char bytes[16];
    char tmp[HASH_ID_LEN + 1];
    clock_random(share->clock, bytes, sizeof bytes);
    hash_encode(bytes, tmp);
    const struct nfs_fh *dir = &share->dirs[SHARE_DIR_TMP];
    struct nfs_call make = {.op = NFS_CREATE,
                            .fh = *dir,
                            .name = tmp,
                            .exclusive = true,
                            .set = {.mask = NFS_SET_MODE, .mode = 0600},
                            .deadline_ns = deadline_ns};
    char text[] = FORMAT_TEXT;
    int r = share_call(share, &make, "write .stowage/format", err);
    if (r < 0)
        return r;
    struct nfs_call write = {.op = NFS_WRITE,
                             .fh = make.out_fh,
                             .data = text,
                             .count = sizeof text - 1,
                             .stable = true,
                             .deadline_ns = deadline_ns};
    struct nfs_call link = {
        .op = NFS_LINK, .fh = make.out_fh, .fh2 = share->layout, .name = FORMAT_NAME, .deadline_ns = deadline_ns};
    struct nfs_call drop = {.op = NFS_REMOVE, .fh = *dir, .name = tmp, .deadline_ns = deadline_ns};
    r = share_call(share, &write, "write .stowage/format", err);
    if (r == 0 && write.count != sizeof text - 1)
        r = err_set(err, -EIO, "short write of .stowage/format on %s", share->text);
    if (r == 0)
        r = share_call(share, &link, "write .stowage/format", err);
    if (share_call(share, &drop, "remove a temporary file", NULL) < 0)
        log_debug("temporary file left", LOG_S("share", share->text), LOG_S("file", tmp));
    return r == -EEXIST ? 0 : r;
}

int layout_open(struct share *share, bool create, int64_t deadline_ns, struct err *err) {
    int r = open_dir(share, &share->root, SHARE_LAYOUT_NAME, create, deadline_ns, &share->layout, err);
    if (r < 0)
        return r;
    int format = read_format(share, deadline_ns, err);
    if (format < 0 && format != -ENOENT)
        return format;
    for (int i = 0; i < SHARE_DIR_COUNT; i++) {
        r = open_dir(share, &share->layout, layout_dir_names[i], true, deadline_ns, &share->dirs[i], err);
        if (r < 0)
            return r;
    }
    return format == 0 ? 0 : write_format(share, deadline_ns, err);
}
