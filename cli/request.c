// SPDX-License-Identifier: Apache-2.0
#include "cli/request.h"

#include <errno.h>
#include <string.h>

#include "cli/call.h"
#include "lib/base/mem.h"

static int no_memory(struct err *err) {
    return err_set(err, -ENOMEM, "out of memory");
}

static int set_pair(struct json *map, const char *pair, struct err *err) {
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return err_set(err, -EINVAL, "'%.80s' is no NAME=VALUE", pair);
    char *name cleanup_free = mem_strndup(pair, (size_t)(equals - pair));
    if (!name)
        return no_memory(err);
    if (json_get(map, name))
        return err_set(err, -EINVAL, "'%.80s' is given twice", name);
    int r = json_set_text(map, name, equals + 1);
    return r < 0 ? err_wrap(err, r, "'%.80s'", pair) : 0;
}

int request_set_map(struct json *request, const char *key, const struct field_list *pairs, struct err *err) {
    struct json *map cleanup(json_freep) = json_object_new();
    int r = map ? 0 : no_memory(err);
    for (size_t i = 0; r == 0 && i < pairs->count; i++)
        r = set_pair(map, pairs->items[i], err);
    if (r == 0 && pairs->count && json_set(request, key, take_ptr(map)) < 0)
        r = no_memory(err);
    return r;
}

int request_set_capacity(struct json *request, const struct options *options, struct err *err) {
    if (!options->size && !options->limit)
        return 0;
    if (options->limit && options->limit < options->size)
        return err_set(err, -EINVAL, "--limit is below --size; give a limit of at least the size");
    struct json *range cleanup(json_freep) = json_object_new();
    if (!range || json_set_int(range, "required_bytes", options->size) < 0 ||
        json_set_int(range, "limit_bytes", options->limit) < 0 ||
        json_set(request, "capacity_range", take_ptr(range)) < 0)
        return no_memory(err);
    return 0;
}

static struct json *capability(const struct options *options) {
    static const char *const MODES[] = {"MULTI_NODE_MULTI_WRITER", "SINGLE_NODE_MULTI_WRITER", "MULTI_NODE_READER_ONLY",
                                        "SINGLE_NODE_SINGLE_WRITER"};
    struct json *json cleanup(json_freep) = json_object_new();
    struct json *mount cleanup(json_freep) = json_object_new();
    struct json *flags cleanup(json_freep) = json_array_new();
    struct json *mode cleanup(json_freep) = json_object_new();
    if (!json || !mount || !flags || !mode || json_set_text(mode, "mode", MODES[options->access]) < 0)
        return NULL;
    for (size_t i = 0; i < options->mount_option.count; i++)
        if (json_append_text(flags, options->mount_option.items[i]) < 0)
            return NULL;
    if (json_set(mount, "mount_flags", take_ptr(flags)) < 0 || json_set(json, "mount", take_ptr(mount)) < 0 ||
        json_set(json, "access_mode", take_ptr(mode)) < 0)
        return NULL;
    return take_ptr(json);
}

int request_set_capability(struct json *request, const struct options *options, struct err *err) {
    struct json *one = capability(options);
    return one && json_set(request, "volume_capability", one) == 0 ? 0 : no_memory(err);
}

int request_add_capability(struct json *request, const struct options *options, struct err *err) {
    struct json *list cleanup(json_freep) = json_array_new();
    struct json *one = capability(options);
    if (!list || !one || json_append(list, one) < 0 || json_set(request, "volume_capabilities", take_ptr(list)) < 0)
        return no_memory(err);
    return 0;
}

struct context_copy {
    struct json *target;
};

static int copy_pair(const char *key, const char *text, void *arg) {
    return json_set_text(((struct context_copy *)arg)->target, key, text);
}

int request_set_context(struct cli *cli, struct json *request, const char *volume_id, struct err *err) {
    if (cli->options.context.count)
        return request_set_map(request, "volume_context", &cli->options.context, err);
    struct json *ask cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!ask || json_set_text(ask, "volume_id", volume_id) < 0)
        return no_memory(err);
    int r = call(cli, "ControllerGetVolume", ask, &reply, err);
    if (r < 0)
        return r;
    const struct json *context = json_get(json_get(reply, "volume"), "volume_context");
    struct context_copy copy = {json_object_new()};
    if (!copy.target)
        return no_memory(err);
    r = context ? json_each_text(context, copy_pair, &copy) : 0;
    if (json_set(request, "volume_context", copy.target) < 0 || r < 0)
        return no_memory(err);
    return 0;
}

int request_check_path(const char *flag, const char *path, struct err *err) {
    if (path && path[0] != '/')
        return err_set(err, -EINVAL, "--%s '%.100s' is no absolute path", flag, path);
    return 0;
}

int request_set_path(struct json *request, const char *key, const char *flag, const char *path, struct err *err) {
    int r = request_check_path(flag, path, err);
    if (r == 0 && json_set_text(request, key, path) < 0)
        r = err_set(err, -EINVAL, "--%s is no UTF-8 text", flag);
    return r;
}
