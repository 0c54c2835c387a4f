// SPDX-License-Identifier: Apache-2.0
// The node part of the fake class: directories instead of mounts.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/str.h"
#include "tests/fakes/fake_class_private.h"

static int enter(struct fake_class *fake, const struct call_context *ctx, const char *id, struct fake_object **ret,
                 struct err *err) {
    int r = fake_enter(fake, ctx, err);
    *ret = fake_object_by_id(fake->volumes, id);
    return r < 0 ? r : *ret ? 0 : err_set(err, -ENOENT, "no volume '%s'", id);
}

static int info(void *self, struct node_info *ret, struct err *err) {
    (void)self, (void)err;
    *ret = (struct node_info){.id = FAKE_NODE, .max_volumes = FAKE_NODE_VOLUMES, .topology = FAKE_TOPOLOGY};
    return 0;
}

static int stage(void *self, const struct call_context *ctx, const struct node_stage_request *request,
                 struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    struct fake_object *volume = NULL;
    int r = enter(fake, ctx, request->volume_id, &volume, err);
    if (r == 0)
        volume->staged = true;
    return r;
}

static int unstage(void *self, const struct call_context *ctx, const char *id, const char *staging_path,
                   struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)staging_path;
    struct fake_object *volume = NULL;
    int r = enter(fake, ctx, id, &volume, err);
    if (r == 0)
        volume->staged = false;
    return r;
}

static int publish(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                   struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    struct fake_object *volume = NULL;
    int r = enter(fake, ctx, request->volume_id, &volume, err);
    if (r < 0)
        return r;
    bool elsewhere = volume->target[0] && !str_eq(volume->target, request->target_path);
    if (elsewhere && request->capability.mode == ACCESS_SINGLE_NODE_SINGLE_WRITER)
        return err_set(err, -EBUSY, "volume '%s' is published elsewhere", request->volume_id);
    if (mkdir(request->target_path, 0755) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make '%s'", request->target_path);
    (void)snprintf(volume->target, sizeof volume->target, "%s", request->target_path);
    return 0;
}

static int unpublish(void *self, const struct call_context *ctx, const char *id, const char *target_path,
                     struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    struct fake_object *volume = NULL;
    int r = enter(fake, ctx, id, &volume, err);
    if (r == 0 && rmdir(target_path) < 0 && errno != ENOENT)
        r = err_set(err, -errno, "cannot remove '%s'", target_path);
    if (r == 0)
        volume->target[0] = '\0';
    return r;
}

static int at_path(struct fake_class *fake, const struct call_context *ctx, const char *id, const char *path,
                   struct fake_object **ret, struct err *err) {
    int r = enter(fake, ctx, id, ret, err);
    if (r == 0 && !str_eq((*ret)->target, path) && !(*ret)->staged)
        r = err_set(err, -ENOENT, "volume '%s' is not at '%s'", id, path);
    if (r == 0 && path[0] != '/')
        r = err_set(err, -ENOENT, "volume '%s' is not at '%s'", id, path);
    return r;
}

static int stats(void *self, const struct call_context *ctx, const char *id, const char *path, struct node_usage *ret,
                 struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    struct fake_object *volume = NULL;
    int r = at_path(fake, ctx, id, path, &volume, err);
    *ret = (struct node_usage){.total_bytes = 30,
                               .used_bytes = 10,
                               .available_bytes = 20,
                               .total_files = 3,
                               .used_files = 1,
                               .available_files = 2};
    return r;
}

static int expand(void *self, const struct call_context *ctx, const char *id, const char *path, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)limit_bytes;
    struct fake_object *volume = NULL;
    int r = at_path(fake, ctx, id, path, &volume, err);
    *ret_bytes = required_bytes;
    return r;
}

// Refuses in a way that no other call does, so that a test sees which one was made.
static int publish_inline(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                          struct err *err) {
    (void)self, (void)ctx;
    return err_set(err, -EACCES, "no inline volumes of '%s' here", string_map_get(&request->context, "server"));
}

const struct node_ops fake_node_ops = {
    .info = info,
    .stage = stage,
    .unstage = unstage,
    .publish = publish,
    .publish_inline = publish_inline,
    .unpublish = unpublish,
    .stats = stats,
    .expand = expand,
};
