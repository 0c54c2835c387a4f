// SPDX-License-Identifier: Apache-2.0
// getxattr, setxattr and ioctl on cached mounts: what lib/cache/control.h says.
//
// The attributes are not listed, so that copies of files do not take them along. Every other name is EOPNOTSUPP, as on a mount
// without these operations: programs then ask once a file system. Not ENOSYS, after which the kernel would ask for ours neither.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/cache/control.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/ops.h"
#include "node-plugin/cachefs/warm.h"

enum xattr { XATTR_WARM, XATTR_PIN, XATTR_EVICT, XATTR_STATUS, XATTR_COUNT };
static const char *const names[XATTR_COUNT] = {"warm", "pin", "evict", "status"};

static bool find(const char *name, enum xattr *ret) {
    if (!str_starts(name, CACHE_XATTR))
        return false;
    for (int i = 0; i < XATTR_COUNT; i++)
        if (str_eq(name + sizeof CACHE_XATTR - 1, names[i])) {
            *ret = (enum xattr)i;
            return true;
        }
    return false;
}

// The attributes of op->id; the server is not asked where the mount may be behind it.
static void with_attr(struct op *op, void (*step)(struct op *op)) {
    struct fs *fs = op->fs;
    int64_t age = (int64_t)(fs->timeout_s * (double)NS_PER_S);
    op_prepare(op, NFS_GETATTR, &op->fh);
    if (fs->copies.trust == TRUST_STRICT ||
        !nodes_known(fs->nodes, op->id, clock_monotonic(fs->clock) - age, &op->call.attr))
        op_call(op, step);
    else
        step(op);
}

// ---- setxattr

// What the value asks for; -EINVAL when it asks for nothing.
static int kind_of(enum xattr xattr, const char *value, size_t size) {
    bool on = size == 1 && value[0] == '1', off = size == 1 && value[0] == '0';
    if (xattr == XATTR_WARM && (on || off))
        return WARM_FETCH;
    if (xattr == XATTR_PIN && (on || off))
        return on ? WARM_PIN : WARM_UNPIN;
    return xattr == XATTR_EVICT && on ? WARM_EVICT : -EINVAL;
}

// An ioctl has an answer of its own form.
static void reply_told(struct op *op, int result) {
    if (result == 0 && op->by_ioctl) {
        (void)fuse_reply_ioctl(op->req, 0, NULL, 0);
        op_end(op);
    } else {
        op_reply_error(op, result);
    }
}

static void set_done(struct op *op) {
    if (op->result == -EINTR) // nobody waits for it any more
        (void)warm_cancel(op->fs, (enum warm_kind)op->flags, &op->fh, 0);
    reply_told(op, op->result);
}

static void set_allowed(struct op *op) {
    const struct nfs_attr *attr = &op->call.attr;
    enum warm_kind kind = (enum warm_kind)op->flags;
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    if (op->cred.uid != 0 && op->cred.uid != attr->uid) {
        op_reply_error(op, -EPERM);
        return;
    }
    struct warm_request request = {.kind = kind, .fh = op->fh, .attr = *attr, .cred = op->cred};
    if (kind == WARM_FETCH) {
        reply_told(op, warm_start(op->fs, &request));
        return;
    }
    request.waiter = op;
    op_begin_wait(op, set_done);
    int r = warm_start(op->fs, &request);
    if (r < 0)
        op_resume(op, r);
}

static void tell(fuse_req_t req, fuse_ino_t id, enum xattr xattr, const char *value, size_t size, bool by_ioctl) {
    int kind = kind_of(xattr, value, size);
    if (kind < 0) {
        (void)fuse_reply_err(req, EINVAL);
        return;
    }
    struct op *op = op_for(req, id);
    if (!op)
        return;
    op->by_ioctl = by_ioctl;
    op->flags = (unsigned)kind;
    if (xattr == XATTR_WARM && value[0] == '0')
        reply_told(op, warm_cancel(op->fs, WARM_FETCH, &op->fh, op->cred.uid));
    else
        with_attr(op, set_allowed);
}

static void set_xattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size, int flags) {
    enum xattr xattr;
    (void)flags;
    if (find(name, &xattr) && xattr != XATTR_STATUS)
        tell(req, id, xattr, value, size, false);
    else
        (void)fuse_reply_err(req, EOPNOTSUPP);
}

static void tell_by_ioctl(fuse_req_t req, fuse_ino_t id, unsigned command, void *arg, struct fuse_file_info *fi,
                          unsigned flags, const void *in, size_t in_size, size_t out_size) {
    struct cache_tell told = {0};
    enum xattr xattr;
    char name[sizeof told.text + sizeof CACHE_XATTR];
    (void)arg;
    (void)fi;
    (void)flags;
    (void)out_size;
    if (command != CACHE_IOC_TELL || in_size != sizeof told) {
        (void)fuse_reply_err(req, ENOTTY);
        return;
    }
    memcpy(&told, in, sizeof told - 1);
    char *value = strchr(told.text, '=');
    if (value)
        *value++ = '\0';
    (void)snprintf(name, sizeof name, "%s%s", CACHE_XATTR, told.text);
    if (value && find(name, &xattr) && xattr != XATTR_STATUS)
        tell(req, id, xattr, value, strlen(value), true);
    else
        (void)fuse_reply_err(req, EINVAL);
}

// ---- getxattr

static void reply_json(struct op *op, struct json *json) {
    char *text cleanup_free = json ? json_dump(json, false) : NULL;
    size_t len = text ? strlen(text) : 0;
    (void)json_free(json);
    if (!text) {
        op_reply_error(op, -ENOMEM);
    } else if (op->size == 0) {
        (void)fuse_reply_xattr(op->req, len);
        op_end(op);
    } else if (op->size < len) {
        op_reply_error(op, -ERANGE);
    } else {
        op_reply_data(op, text, len);
    }
}

static void set_number(struct json *json, const char *key, uint64_t value) {
    (void)json_set_int(json, key, (int64_t)value); // without memory it is missing, and the rest still says something
}

static struct json *work_json(const struct warm_figures *figures) {
    static const char *const states[] = {
        [WARM_RUNNING] = "running", [WARM_DONE] = "done", [WARM_CANCELLED] = "cancelled", [WARM_FAILED] = "failed"};
    struct json *json = json_object_new();
    if (!json)
        return NULL;
    (void)json_set_text(json, "state", states[figures->state]);
    (void)json_set_bool(json, "counted", figures->counted);
    set_number(json, "files", figures->files);
    set_number(json, "files_done", figures->files_done);
    set_number(json, "bytes", figures->bytes);
    set_number(json, "bytes_done", figures->bytes_done);
    set_number(json, "skipped", figures->skipped);
    set_number(json, "errors", figures->errors);
    (void)json_set_text(json, "error", figures->error);
    return json;
}

static void get_work(struct op *op, enum xattr xattr) {
    struct warm_figures figures, unpin;
    bool there;
    switch (xattr) {
    case XATTR_WARM:
        there = warm_find(op->fs, WARM_FETCH, &op->fh, &figures);
        break;
    case XATTR_PIN:
        there = warm_find(op->fs, WARM_PIN, &op->fh, &figures);
        if (warm_find(op->fs, WARM_UNPIN, &op->fh, &unpin) && (!there || unpin.started > figures.started)) {
            figures = unpin;
            there = true;
        }
        break;
    default:
        there = warm_find(op->fs, WARM_EVICT, &op->fh, &figures);
    }
    if (there)
        reply_json(op, work_json(&figures));
    else
        op_reply_error(op, -ENODATA);
}

static struct json *file_json(struct op *op) {
    static const char *const uses[] = {
        [COPY_CLOSED] = "closed", [COPY_BY_DAEMON] = "daemon", [COPY_BY_KERNEL] = "passthrough"};
    struct json *json = json_object_new();
    struct cached *object = NULL;
    if (!json)
        return NULL;
    bool there = copy_peek(op->fs, &op->fh, &op->call.attr, &object) == 0;
    bool complete = there ? cached_complete(object) : op->call.attr.size == 0;
    uint64_t bytes = there ? cached_bytes(object) : 0;
    (void)json_set_text(json, "state", complete ? "complete" : bytes ? "partial" : "none");
    set_number(json, "bytes", bytes);
    set_number(json, "size", op->call.attr.size);
    (void)json_set_bool(json, "pinned", there && cached_is_pinned(object));
    (void)json_set_text(json, "mode", uses[copy_use(op->fs, &op->fh)]);
    (void)cached_put(object);
    return json;
}

static void add_volume(struct json *json, const struct cache_figures *f) {
    set_number(json, "limit", f->limit);
    set_number(json, "bytes", f->bytes);
    set_number(json, "objects", f->objects);
    set_number(json, "pinned_bytes", f->pinned_bytes);
    set_number(json, "opens", f->opens);
    set_number(json, "open_hits", f->open_hits);
    set_number(json, "cache_bytes", f->cache_bytes);
    set_number(json, "origin_bytes", f->origin_bytes);
    set_number(json, "evicted_bytes", f->evicted_bytes);
    set_number(json, "errors", f->errors);
}

static struct json *disk_json(const struct cache_disk *disk) {
    struct json *json = json_object_new();
    if (!json)
        return NULL;
    set_number(json, "total_bytes", disk->total_bytes);
    set_number(json, "free_bytes", disk->free_bytes);
    set_number(json, "total_inodes", disk->total_inodes);
    set_number(json, "free_inodes", disk->free_inodes);
    set_number(json, "cache_bytes", disk->cache_bytes);
    set_number(json, "cache_objects", disk->cache_objects);
    set_number(json, "memory_bytes", disk->memory_bytes);
    (void)json_set_bool(json, "sick", disk->sick);
    (void)json_set_text(json, "reason", disk->sick ? disk->reason : NULL);
    return json;
}

// Of other volumes nothing is said: a pod may ask this.
static struct json *volume_json(struct fs *fs) {
    static const char *const modes[] = {
        [TRUST_STRICT] = "strict", [TRUST_TTL] = "ttl", [TRUST_IMMUTABLE] = "immutable"};
    struct json *json = json_object_new();
    struct cache_disk disk;
    struct cache_figures *figures cleanup_free = NULL;
    size_t count = 0;
    if (!json)
        return NULL;
    (void)json_set_text(json, "volume", fs->copies.volume);
    (void)json_set_text(json, "mode", modes[fs->copies.trust]);
    (void)json_set_bool(json, "passthrough", fs->copies.passthrough);
    set_number(json, "warming", warm_running(fs));
    struct err err = ERR_NONE;
    if (cache_read_figures(fs->copies.dir, &disk, &figures, &count, &err) < 0) {
        disk.sick = true;
        (void)snprintf(disk.reason, sizeof disk.reason, "%s", err_text(&err));
    } else if (!disk.sick && (!fs->copies.cache || cache_lost(fs->copies.cache))) {
        disk.sick = true;
        (void)snprintf(disk.reason, sizeof disk.reason,
                       "the disk failed this mount; nothing is cached until its daemon is started again");
    }
    for (size_t i = 0; i < count; i++)
        if (str_eq(figures[i].volume, fs->copies.volume))
            add_volume(json, &figures[i]);
    (void)json_set(json, "disk", disk_json(&disk));
    return json;
}

static void get_status(struct op *op) {
    if (op->result < 0)
        op_reply_error(op, op->result);
    else if (S_ISDIR(op->call.attr.mode))
        reply_json(op, volume_json(op->fs));
    else if (S_ISREG(op->call.attr.mode))
        reply_json(op, file_json(op));
    else
        op_reply_error(op, -ENODATA);
}

static void get_xattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size) {
    enum xattr xattr;
    if (!find(name, &xattr)) {
        (void)fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    struct op *op = op_for(req, id);
    if (!op)
        return;
    op->size = size;
    if (xattr != XATTR_STATUS) {
        get_work(op, xattr);
        return;
    }
    if (id == NODES_ROOT) { // answered also while the server is away
        reply_json(op, volume_json(op->fs));
        return;
    }
    with_attr(op, get_status);
}

void ops_add_xattrs(struct fuse_lowlevel_ops *operations) {
    operations->getxattr = get_xattr;
    operations->setxattr = set_xattr;
    operations->ioctl = tell_by_ioctl;
}
