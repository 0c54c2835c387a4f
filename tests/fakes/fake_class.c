// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/fakes/fake_class_private.h"

#define CAPACITY (INT64_C(1) << 40)

struct fake_object *fake_object_by_id(struct fake_object *list, const char *id) {
    for (size_t i = 0; i < FAKE_CLASS_MAX; i++)
        if (list[i].used && str_eq(list[i].id, id))
            return &list[i];
    return NULL;
}

struct fake_object *fake_object_by_name(struct fake_object *list, const char *name) {
    for (size_t i = 0; i < FAKE_CLASS_MAX; i++)
        if (list[i].used && str_eq(list[i].name, name))
            return &list[i];
    return NULL;
}

struct fake_object *fake_object_add(struct fake_class *fake, struct fake_object *list, const char *prefix,
                                    const char *name) {
    for (size_t i = 0; i < FAKE_CLASS_MAX; i++)
        if (!list[i].used) {
            list[i] = (struct fake_object){.used = true, .name = mem_strdup(name)};
            (void)snprintf(list[i].id, sizeof list[i].id, "%s-%06u", prefix, fake->next++);
            return &list[i];
        }
    return NULL;
}

int fake_full(struct err *err) {
    return err_set(err, -ENOSPC, "the fake is full");
}

void fake_object_drop(struct fake_object *object) {
    if (object)
        free(object->name);
    if (object)
        *object = (struct fake_object){0};
}

int fake_missing(const char *prefix, const char *id, struct err *err) {
    if (!str_starts(id, prefix))
        return err_set(err, -EINVAL, "'%.40s' is no id", id);
    return err_set(err, -ENOENT, "no '%s'", id);
}

int fake_enter(struct fake_class *fake, const struct call_context *ctx, struct err *err) {
    fake->deadline_ns = ctx->deadline_ns;
    return fake->fail ? err_set(err, fake->fail, "as the test asked") : 0;
}

// ---- volumes ----

static int describe(const struct fake_object *volume, struct volume_info *ret) {
    ret->id = mem_strdup(volume->id);
    ret->topology = mem_strdup(FAKE_TOPOLOGY);
    ret->capacity_bytes = volume->size;
    ret->source = volume->kind;
    ret->source_id = volume->kind == CONTENT_EMPTY ? NULL : mem_strdup(volume->source);
    if (volume->published) {
        ret->published_nodes = mem_array(1, sizeof(char *));
        ret->published_nodes[0] = mem_strdup(FAKE_NODE);
        ret->published_count = 1;
    }
    return volume_info_add_context(ret, "kind", "fake");
}

static int create(void *self, const struct call_context *ctx, const struct volume_create_request *request,
                  struct volume_info *ret, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    if (r < 0)
        return r;
    struct fake_object *volume = fake_object_by_name(fake->volumes, request->name);
    int64_t size = request->required_bytes ? request->required_bytes : 1 << 30;
    if (volume &&
        (volume->size < request->required_bytes || (request->limit_bytes && volume->size > request->limit_bytes)))
        return err_set(err, -EEXIST, "volume '%s' has another size", request->name);
    bool known =
        request->source == CONTENT_EMPTY ||
        fake_object_by_id(request->source == CONTENT_VOLUME ? fake->volumes : fake->snapshots, request->source_id);
    bool reachable = request->topology_count == 0;
    for (size_t i = 0; i < request->topology_count; i++)
        reachable = reachable || str_eq(request->topologies[i], FAKE_TOPOLOGY);
    if (!reachable)
        return err_set(err, -ENOSPC, "no space where the volume is wanted; first: '%s'", request->topologies[0]);
    if (!known)
        return err_set(err, -ENOENT, "no source '%s'", request->source_id);
    if (!volume) {
        volume = fake_object_add(fake, fake->volumes, "vol", request->name);
        if (!volume)
            return fake_full(err);
        volume->size = size;
        volume->kind = request->source;
        (void)snprintf(volume->source, sizeof volume->source, "%s", request->source_id ? request->source_id : "");
    }
    return describe(volume, ret);
}

static int destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    if (r == 0)
        fake_object_drop(fake_object_by_id(fake->volumes, id));
    return r;
}

static int get(void *self, const struct call_context *ctx, const char *id, struct volume_info *ret, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    const struct fake_object *volume = fake_object_by_id(fake->volumes, id);
    return r < 0 ? r : volume ? describe(volume, ret) : fake_missing("vol-", id, err);
}

static int emit_generated(const struct fake_class *fake, const char *after, volume_emit_fn emit, void *arg) {
    char id[32], value[1001];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    const struct string_pair context = {"filler", value};
    int r = 0;
    for (size_t i = 0; i < fake->generated && r == 0; i++) {
        (void)snprintf(id, sizeof id, "vol-z%06zu", i);
        const struct volume_info info = {
            .id = id, .context = (struct string_pair *)(uintptr_t)&context, .context_count = 1};
        if (!after || strcmp(id, after) > 0)
            r = emit(&info, arg);
    }
    return r;
}

static int list(void *self, const struct call_context *ctx, const char *after, volume_emit_fn emit, void *arg,
                struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    // Numbers only grow, so the smallest id behind the last one is the next.
    for (const char *last = after; r == 0;) {
        const struct fake_object *next = NULL;
        for (size_t i = 0; i < FAKE_CLASS_MAX; i++) {
            const struct fake_object *v = &fake->volumes[i];
            if (v->used && (!last || strcmp(v->id, last) > 0) && (!next || strcmp(v->id, next->id) < 0))
                next = v;
        }
        if (!next)
            break;
        last = next->id;
        struct volume_info info cleanup(volume_info_done) = {0};
        r = describe(next, &info);
        r = r == 0 ? emit(&info, arg) : r;
    }
    return r == 0 ? emit_generated(fake, after, emit, arg) : r;
}

static int capacity(void *self, const struct call_context *ctx, const struct string_map *parameters,
                    const char *topology, struct capacity_info *ret, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)parameters;
    bool here = !topology || str_eq(topology, FAKE_TOPOLOGY);
    *ret = (struct capacity_info){.available_bytes = here ? CAPACITY : 0, .maximum_volume_bytes = CAPACITY / 2};
    return fake_enter(fake, ctx, err);
}

static int expand(void *self, const struct call_context *ctx, const char *id, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    struct fake_object *volume = fake_object_by_id(fake->volumes, id);
    if (r == 0 && !volume)
        r = err_set(err, -ENOENT, "no '%s'", id);
    if (r == 0 && required_bytes > CAPACITY)
        r = err_set(err, -ERANGE, "%lld bytes are too many", (long long)required_bytes);
    if (r < 0)
        return r;
    (void)limit_bytes;
    volume->size = volume->size > required_bytes ? volume->size : required_bytes;
    *ret_bytes = volume->size;
    return 0;
}

static int modify(void *self, const struct call_context *ctx, const char *id, const struct string_map *parameters,
                  struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)parameters;
    int r = fake_enter(fake, ctx, err);
    return r < 0 ? r : fake_object_by_id(fake->volumes, id) ? 0 : err_set(err, -ENOENT, "no '%s'", id);
}

static int publish(void *self, const struct call_context *ctx, const struct publish_request *request, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    int r = fake_enter(fake, ctx, err);
    struct fake_object *volume = fake_object_by_id(fake->volumes, request->volume_id);
    if (r == 0 && (!volume || !str_eq(request->node_id, FAKE_NODE)))
        r = err_set(err, -ENOENT, "no volume '%s' or node '%s'", request->volume_id, request->node_id);
    if (r == 0 && volume->published && volume->published_read_only != request->read_only)
        r = err_set(err, -EEXIST, "'%s' is published in another way", request->volume_id);
    size_t count = 0;
    for (size_t i = 0; i < FAKE_CLASS_MAX; i++)
        count += fake->volumes[i].published;
    if (r == 0 && !volume->published && count >= FAKE_NODE_VOLUMES)
        r = err_set(err, -EMFILE, "node '%s' is full", request->node_id);
    if (r < 0)
        return r;
    volume->published = true;
    volume->published_read_only = request->read_only;
    return 0;
}

static int unpublish(void *self, const struct call_context *ctx, const char *id, const char *node_id, struct err *err) {
    struct fake_class *fake = self;
    LOCK_SCOPE(&fake->lock);
    (void)node_id;
    int r = fake_enter(fake, ctx, err);
    struct fake_object *volume = fake_object_by_id(fake->volumes, id);
    if (volume)
        volume->published = false;
    return r;
}

static int supports(void *self, const struct volume_capability *capability, const struct string_map *parameters,
                    struct err *err) {
    (void)self, (void)parameters;
    return capability->block ? err_set(err, -EINVAL, "block access is not served; use volumeMode: Filesystem") : 0;
}

static const struct volume_ops volume_ops = {create, destroy, get,     list,      capacity,
                                             expand, modify,  publish, unpublish, supports};

void fake_class_init(struct fake_class *fake) {
    static const char *const mutable_parameters[] = {"tier", NULL};
    *fake = (struct fake_class){
        .class = {.driver_name = "fake.stowage.dev",
                  .topology_key = FAKE_TOPOLOGY_KEY,
                  .volumes = &volume_ops,
                  .volumes_self = fake,
                  .snapshots = &fake_snapshot_ops,
                  .snapshots_self = fake,
                  .node = &fake_node_ops,
                  .node_self = fake,
                  .mutable_parameters = mutable_parameters},
        .next = 1,
    };
    (void)pthread_mutex_init(&fake->lock, NULL);
}

void fake_class_done(struct fake_class *fake) {
    for (size_t i = 0; i < FAKE_CLASS_MAX; i++) {
        fake_object_drop(&fake->volumes[i]);
        fake_object_drop(&fake->snapshots[i]);
        fake_object_drop(&fake->groups[i]);
    }
    (void)pthread_mutex_destroy(&fake->lock);
}

size_t fake_class_volumes(struct fake_class *fake) {
    LOCK_SCOPE(&fake->lock);
    size_t count = 0;
    for (size_t i = 0; i < FAKE_CLASS_MAX; i++)
        count += fake->volumes[i].used;
    return count;
}

void fake_class_fail(struct fake_class *fake, int error) {
    LOCK_SCOPE(&fake->lock);
    fake->fail = error;
}

void fake_class_generate(struct fake_class *fake, size_t count) {
    LOCK_SCOPE(&fake->lock);
    fake->generated = count;
}

int64_t fake_class_deadline(struct fake_class *fake) {
    LOCK_SCOPE(&fake->lock);
    return fake->deadline_ns;
}
