// SPDX-License-Identifier: Apache-2.0
// The file format of records. Members that hold their default are left out, so that a volume takes about 250 bytes.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controller/record.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

static const char *const state_names[] = {"ready", "copying", "deleting", NULL};
static const char *const on_delete_names[] = {"delete", "retain", "archive", NULL};
static const char *const mount_mode_names[] = {"auto", "kernel", "fuse", NULL};
static const char *const source_names[] = {"empty", "snapshot", "volume", NULL};

static const char *kind_name(enum shared_kind kind) {
    return kind == SHARED_VOLUME ? "volume" : kind == SHARED_SNAPSHOT ? "snapshot" : "group";
}

static int set_number(struct json *json, const char *key, int64_t value, int64_t usual) {
    return value == usual ? 0 : json_set_int(json, key, value);
}

static int set_choice(struct json *json, const char *key, const char *const *names, int value) {
    return value == 0 ? 0 : json_set_text(json, key, names[value]);
}

static int set_list(struct json *json, const char *key, char **list, size_t count) {
    if (count == 0)
        return 0;
    struct json *array cleanup(json_freep) = json_array_new();
    int r = array ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = json_append_text(array, list[i]);
    return r < 0 ? r : json_set(json, key, take_ptr(array));
}

static int set_nodes(struct json *json, const struct record *record) {
    if (record->node_count == 0)
        return 0;
    struct json *array cleanup(json_freep) = json_array_new();
    int r = array ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < record->node_count; i++) {
        struct json *node cleanup(json_freep) = json_object_new();
        if (!node || json_set_text(node, "node", record->nodes[i].node) < 0 ||
            json_set_int(node, "mode", record->nodes[i].mode) < 0 ||
            (record->nodes[i].read_only && json_set_bool(node, "readOnly", true) < 0))
            return -ENOMEM;
        r = json_append(array, take_ptr(node));
    }
    return r < 0 ? r : json_set(json, "nodes", take_ptr(array));
}

static int set_setting(const char *name, const char *value, void *arg) {
    return json_set_text(arg, name, value);
}

static int set_group(struct json *json, const struct node_group *group) {
    struct json *settings cleanup(json_freep) = group->name ? json_object_new() : NULL;
    if (!group->name)
        return 0;
    if (!settings || node_group_each(group, set_setting, settings) < 0)
        return -ENOMEM;
    return json_set(json, "group", take_ptr(settings));
}

static int set_all(struct json *json, const struct record *r) {
    if (json_set_int(json, "version", r->group.name ? RECORD_VERSION : 1) < 0 ||
        json_set_text(json, "kind", kind_name(r->kind)) < 0 || json_set_text(json, "name", r->name) < 0 ||
        json_set_text(json, "state", state_names[r->state]) < 0 || json_set_int(json, "created", r->created_ns) < 0 ||
        json_set_int(json, "bytes", r->bytes) < 0 || json_set_text(json, "location", r->location) < 0 ||
        json_set_text(json, "subDir", r->sub_dir) < 0)
        return -ENOMEM;
    if (set_choice(json, "onDelete", on_delete_names, r->on_delete) < 0 ||
        set_choice(json, "mountMode", mount_mode_names, r->mount_mode) < 0 ||
        set_number(json, "permissions", r->mount_permissions, 0) < 0 || set_number(json, "uid", r->uid, -1) < 0 ||
        set_number(json, "gid", r->gid, -1) < 0 || set_number(json, "connections", r->connections, 0) < 0)
        return -ENOMEM;
    if (set_choice(json, "source", source_names, (int)r->source) < 0 ||
        json_set_text(json, "sourceId", r->source_id) < 0 || json_set_text(json, "groupId", r->group_id) < 0 ||
        set_group(json, &r->group) < 0 || set_nodes(json, r) < 0 ||
        set_list(json, "members", r->members, r->member_count) < 0 || set_list(json, "pins", r->pins, r->pin_count) < 0)
        return -ENOMEM;
    return 0;
}

char *record_encode(const struct record *record) {
    struct json *json cleanup(json_freep) = json_object_new();
    return json && set_all(json, record) == 0 ? json_dump(json, false) : NULL;
}

// ---- reading ------------------------------------------------------------------------------------------------

static bool get_choice(const struct json *json, const char *key, const char *const *names, int *ret) {
    const char *text = json_get_text(json, key);
    *ret = 0;
    if (!text)
        return json_get(json, key) == NULL;
    for (int i = 0; names[i]; i++) {
        if (str_eq(names[i], text)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static int get_text(const struct json *json, const char *key, char **ret) {
    return record_set_text(ret, json_get_text(json, key));
}

static int get_list(const struct json *json, const char *key, char ***list, size_t *count) {
    const struct json *array = json_get(json, key);
    for (size_t i = 0; array && i < json_length(array); i++) {
        const char *text = json_text(json_at(array, i));
        int r = text ? record_list_add(list, count, text) : -EBADMSG;
        if (r < 0)
            return r;
    }
    return 0;
}

static int get_nodes(const struct json *json, struct record *record) {
    const struct json *array = json_get(json, "nodes");
    size_t count = array ? json_length(array) : 0;
    record->nodes = count ? mem_array(count, sizeof *record->nodes) : NULL;
    if (count && !record->nodes)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct json *item = json_at(array, i);
        const char *name = json_get_text(item, "node");
        struct record_node *node = &record->nodes[record->node_count];
        node->node = mem_strdup(name);
        if (!node->node)
            return name ? -ENOMEM : -EBADMSG;
        node->mode = (int)json_get_int(item, "mode", 0);
        node->read_only = json_get_bool(item, "readOnly", false);
        record->node_count++;
    }
    return 0;
}

// What this controller does not know of a group, or takes for wrong, was written by somebody else.
static int get_setting(const char *name, const char *value, void *arg) {
    int r = node_group_set(arg, name, value, NULL);
    return r == -EINVAL ? -EBADMSG : r;
}

static int get_group(const struct json *json, struct node_group *group) {
    const struct json *settings = json_get(json, "group");
    if (!settings)
        return 0;
    int r = json_is_an_object(settings) ? json_each_text(settings, get_setting, group) : -EBADMSG;
    return r == 0 && (!group->name || node_group_check(group, NULL) < 0) ? -EBADMSG : r;
}

static int get_owner(const struct json *json, struct record *record) {
    record->uid = json_get_int(json, "uid", -1);
    record->gid = json_get_int(json, "gid", -1);
    int64_t permissions = json_get_int(json, "permissions", 0);
    int64_t connections = json_get_int(json, "connections", 0);
    if (record->uid < -1 || record->uid > UINT32_MAX || record->gid < -1 || record->gid > UINT32_MAX ||
        permissions < 0 || permissions > 07777 || connections < 0 || connections > 16)
        return -EBADMSG;
    record->mount_permissions = (uint32_t)permissions;
    record->connections = (uint32_t)connections;
    return 0;
}

static int get_all(const struct json *json, struct record *record) {
    int state, source;
    if (!json_has_int(json, "created") || !json_has_int(json, "bytes") || !json_get_text(json, "state") ||
        !get_choice(json, "state", state_names, &state) || !get_choice(json, "source", source_names, &source) ||
        !get_choice(json, "onDelete", on_delete_names, &record->on_delete) ||
        !get_choice(json, "mountMode", mount_mode_names, &record->mount_mode))
        return -EBADMSG;
    record->state = (enum record_state)state;
    record->source = (enum content_source)source;
    record->created_ns = json_get_int(json, "created", 0);
    record->bytes = json_get_int(json, "bytes", 0);
    if (record->bytes < 0 || (record->kind == SHARED_VOLUME && !json_get_text(json, "subDir")))
        return -EBADMSG;
    int r = get_owner(json, record);
    if (r == 0)
        r = get_group(json, &record->group);
    if (r == 0)
        r = get_text(json, "subDir", &record->sub_dir);
    if (r == 0)
        r = get_text(json, "location", &record->location);
    if (r == 0)
        r = get_text(json, "sourceId", &record->source_id);
    if (r == 0)
        r = get_text(json, "groupId", &record->group_id);
    if (r == 0)
        r = get_nodes(json, record);
    if (r == 0)
        r = get_list(json, "members", &record->members, &record->member_count);
    return r < 0 ? r : get_list(json, "pins", &record->pins, &record->pin_count);
}

static int damaged(const char *where, const char *why, struct err *err) {
    return err_set(err, -EBADMSG, "%s is damaged (%.60s); restore it from a backup, or remove it to give the object up",
                   where, why);
}

int record_decode(const char *text, size_t len, enum shared_kind kind, const char *key, const char *where,
                  struct record **ret, struct err *err) {
    struct err why = ERR_NONE;
    struct json *json cleanup(json_freep) = NULL;
    int r = json_parse(text, len, RECORD_SIZE_MAX, &json, &why);
    if (r == -ENOMEM)
        return err_set(err, r, "out of memory");
    if (r < 0)
        return damaged(where, len ? err_text(&why) : "it is empty", err);
    int64_t version = json_get_int(json, "version", 0);
    if (version > RECORD_VERSION)
        return err_set(err, -EPROTO,
                       "%s was written by a newer stowage-controller (format %" PRId64 ", this one knows %d); upgrade "
                       "this one",
                       where, version, RECORD_VERSION);
    const char *name = json_get_text(json, "name");
    if (version < 1 || !name || !str_eq(json_get_text(json, "kind"), kind_name(kind)))
        return damaged(where, "version, kind or name is missing", err);
    struct record *record cleanup(record_freep) = record_new(kind, name);
    if (!record)
        return err_set(err, -ENOMEM, "out of memory");
    if (!str_eq(record->key, key))
        return damaged(where, "it holds another object's name", err);
    r = get_all(json, record);
    if (r == -EBADMSG)
        return damaged(where, "a member is missing or out of its limits", err);
    if (r < 0)
        return err_set(err, r, "out of memory");
    *ret = take_ptr(record);
    return 0;
}
