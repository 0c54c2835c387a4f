// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/process_json.h"

#define RECORD_KIND "stowage-node-volume"

struct staged *staged_new(const char *id, const char *staging_path) {
    struct staged *staged cleanup(staged_freep) = mem_zalloc(sizeof *staged);
    if (!staged)
        return NULL;
    staged->id = mem_strdup(id);
    staged->staging_path = mem_strdup(staging_path);
    return staged->id && staged->staging_path ? take_ptr(staged) : NULL;
}

static void free_context(struct string_pair *context, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)context[i].key);
        free((char *)(uintptr_t)context[i].value);
    }
    free(context);
}

static void free_texts(char **texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

struct staged *staged_free(struct staged *staged) {
    if (!staged)
        return NULL;
    for (size_t i = 0; i < staged->target_count; i++)
        free(staged->targets[i].path);
    free(staged->targets);
    free_context(staged->context, staged->context_count);
    free_texts(staged->flags, staged->flag_count);
    free(staged->source);
    free(staged->staging_path);
    free(staged->id);
    free(staged);
    return NULL;
}

static int add_context(struct staged *staged, const char *key, const char *value) {
    struct string_pair *grown = mem_realloc(staged->context, staged->context_count + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    staged->context = grown;
    grown[staged->context_count++] = (struct string_pair){mem_strdup(key), mem_strdup(value)};
    return grown[staged->context_count - 1].key && grown[staged->context_count - 1].value ? 0 : -ENOMEM;
}

int staged_set_context(struct staged *staged, const struct string_map *context) {
    int r = 0;
    for (size_t i = 0; i < context->count && r == 0; i++)
        r = add_context(staged, context->items[i].key, context->items[i].value);
    return r;
}

static int add_flag(struct staged *staged, const char *flag) {
    char **grown = mem_realloc(staged->flags, staged->flag_count + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    staged->flags = grown;
    grown[staged->flag_count++] = mem_strdup(flag);
    return grown[staged->flag_count - 1] ? 0 : -ENOMEM;
}

int staged_set_flags(struct staged *staged, const char *const *flags, size_t count) {
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = add_flag(staged, flags[i]);
    return r;
}

bool staged_flags_equal(const struct staged *staged, const char *const *flags, size_t count) {
    if (staged->flag_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!str_eq(staged->flags[i], flags[i]))
            return false;
    return true;
}

struct staged_target *staged_find_target(const struct staged *staged, const char *path) {
    for (size_t i = 0; i < staged->target_count; i++)
        if (str_eq(staged->targets[i].path, path))
            return &staged->targets[i];
    return NULL;
}

int staged_add_target(struct staged *staged, const char *path, bool read_only, enum access_mode access) {
    struct staged_target *grown = mem_realloc(staged->targets, staged->target_count + 1, sizeof *grown);
    char *copy = mem_strdup(path);
    if (grown)
        staged->targets = grown;
    if (!grown || !copy) {
        free(copy);
        return -ENOMEM;
    }
    grown[staged->target_count++] = (struct staged_target){copy, read_only, access};
    return 0;
}

void staged_remove_target(struct staged *staged, const char *path) {
    struct staged_target *target = staged_find_target(staged, path);
    if (!target)
        return;
    free(target->path);
    *target = staged->targets[--staged->target_count];
}

static struct json *encode_targets(const struct staged *staged) {
    struct json *array cleanup(json_freep) = json_array_new();
    for (size_t i = 0; array && i < staged->target_count; i++) {
        struct json *item = json_object_new();
        if (!item || json_set_text(item, "path", staged->targets[i].path) < 0 ||
            json_set_bool(item, "readOnly", staged->targets[i].read_only) < 0 ||
            json_set_int(item, "accessMode", staged->targets[i].access) < 0) {
            (void)json_free(item);
            return NULL;
        }
        if (json_append(array, item) < 0)
            return NULL;
    }
    return take_ptr(array);
}

static struct json *encode_flags(const struct staged *staged) {
    struct json *array cleanup(json_freep) = json_array_new();
    for (size_t i = 0; array && i < staged->flag_count; i++)
        if (json_append_text(array, staged->flags[i]) < 0)
            return NULL;
    return take_ptr(array);
}

static struct json *encode_context(const struct staged *staged) {
    struct json *object cleanup(json_freep) = json_object_new();
    for (size_t i = 0; object && i < staged->context_count; i++)
        if (json_set_text(object, staged->context[i].key, staged->context[i].value) < 0)
            return NULL;
    return take_ptr(object);
}

struct json *staged_encode(const struct staged *staged) {
    struct json *out cleanup(json_freep) = json_object_new();
    if (!out)
        return NULL;
    int r = json_set_text(out, "kind", RECORD_KIND);
    r = r < 0 ? r : json_set_int(out, "version", RECORD_VERSION);
    r = r < 0 ? r : json_set_text(out, "volume", staged->id);
    r = r < 0 ? r : json_set_text(out, "stagingPath", staged->staging_path);
    r = r < 0 ? r : json_set_text(out, "source", staged->source);
    r = r < 0 ? r : json_set_text(out, "mode", staged->mode == MOUNT_MODE_KERNEL ? "kernel" : "fuse");
    r = r < 0 ? r : json_set(out, "context", encode_context(staged));
    r = r < 0 ? r : json_set(out, "mountFlags", encode_flags(staged));
    if (staged->is_inline)
        r = r < 0 ? r : json_set_bool(out, "inline", true);
    if (staged->daemon.pid > 0)
        r = r < 0 ? r : json_set(out, "daemon", process_id_encode(&staged->daemon));
    r = r < 0 ? r : json_set(out, "targets", encode_targets(staged));
    return r < 0 ? NULL : take_ptr(out);
}

static int decode_pair(const char *key, const char *text, void *arg) {
    return add_context(arg, key, text);
}

static int decode_lists(const struct json *json, struct staged *staged) {
    const struct json *context = json_get(json, "context"), *flags = json_get(json, "mountFlags");
    const struct json *targets = json_get(json, "targets");
    int r = context ? json_each_text(context, decode_pair, staged) : 0;
    for (size_t i = 0; flags && i < json_length(flags) && r == 0; i++) {
        const char *flag = json_text(json_at(flags, i));
        r = flag ? add_flag(staged, flag) : -EBADMSG;
    }
    for (size_t i = 0; targets && i < json_length(targets) && r == 0; i++) {
        const struct json *item = json_at(targets, i);
        const char *path = json_get_text(item, "path");
        int64_t access = json_get_int(item, "accessMode", ACCESS_UNKNOWN);
        bool good = path && path[0] == '/' && access >= ACCESS_UNKNOWN && access <= ACCESS_SINGLE_NODE_MULTI_WRITER;
        r = good ? staged_add_target(staged, path, json_get_bool(item, "readOnly", true), (enum access_mode)access)
                 : -EBADMSG;
    }
    return r;
}

int staged_decode(const struct json *json, struct staged **ret, struct err *err) {
    if (!str_eq(json_get_text(json, "kind"), RECORD_KIND))
        return err_set(err, -EBADMSG, "no record of a staged volume");
    int64_t version = json_get_int(json, "version", 0);
    if (version > RECORD_VERSION)
        return err_set(err, -EPROTONOSUPPORT, "written by a newer stowage-node (record version %lld, known is %d)",
                       (long long)version, RECORD_VERSION);
    const char *id = json_get_text(json, "volume"), *path = json_get_text(json, "stagingPath");
    const char *source = json_get_text(json, "source"), *mode = json_get_text(json, "mode");
    bool kernel = str_eq(mode, "kernel");
    if (version < 1 || str_empty(id) || !path || path[0] != '/' || !source || (!kernel && !str_eq(mode, "fuse")))
        return err_set(err, -EBADMSG, "a member is missing or wrong");
    struct staged *staged cleanup(staged_freep) = staged_new(id, path);
    if (!staged || !(staged->source = mem_strdup(source)))
        return err_set(err, -ENOMEM, "out of memory");
    staged->mode = kernel ? MOUNT_MODE_KERNEL : MOUNT_MODE_FUSE;
    staged->is_inline = json_get_bool(json, "inline", false);
    // Without one, or with one that this version does not understand, the daemon counts as gone.
    (void)!process_id_decode(json_get(json, "daemon"), &staged->daemon);
    int r = decode_lists(json, staged);
    if (r < 0)
        return err_set(err, r, r == -ENOMEM ? "out of memory" : "a list holds something wrong");
    *ret = take_ptr(staged);
    return 0;
}
