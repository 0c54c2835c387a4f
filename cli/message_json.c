// SPDX-License-Identifier: Apache-2.0
#include "cli/message_json.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

static bool is_map_entry(const ProtobufCMessageDescriptor *type) {
    return type->n_fields == 2 && str_eq(type->fields[0].name, "key") && str_eq(type->fields[1].name, "value") &&
           type->fields[0].type == PROTOBUF_C_TYPE_STRING && type->fields[1].type == PROTOBUF_C_TYPE_STRING &&
           strlen(type->name) > 5 && str_eq(type->name + strlen(type->name) - 5, "Entry");
}

static bool is_map(const ProtobufCFieldDescriptor *field) {
    return field->label == PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_MESSAGE &&
           is_map_entry(field->descriptor);
}

static void *member(const ProtobufCMessage *message, unsigned offset) {
    return (char *)(uintptr_t)message + offset;
}

// --- to JSON ---

static int no_memory(struct err *err) {
    return err_set(err, -ENOMEM, "out of memory");
}

static int set_scalar(struct json *object, const ProtobufCFieldDescriptor *field, const void *at, struct err *err) {
    int r = 0;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        r = json_set_text(object, field->name, *(char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        r = json_set_bool(object, field->name, *(const protobuf_c_boolean *)at != 0);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
        r = json_set_int(object, field->name, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        r = json_set_int(object, field->name, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
        r = json_set_int(object, field->name, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at);
        r = value ? json_set_text(object, field->name, value->name)
                  : json_set_int(object, field->name, *(const int *)at);
        break;
    }
    default:
        return err_set(err, -EOPNOTSUPP, "field '%s' has a type that cannot be shown", field->name);
    }
    return r < 0 ? err_wrap(err, r, "field '%s'", field->name) : 0;
}

static int set_message(struct json *object, const ProtobufCFieldDescriptor *field, const void *at, struct err *err) {
    const ProtobufCMessage *inner = *(ProtobufCMessage *const *)at;
    struct json *json = NULL;
    if (!inner)
        return 0;
    int r = message_to_json(inner, &json, err);
    return r < 0 ? r : json_set(object, field->name, json);
}

static int set_map(struct json *object, const ProtobufCFieldDescriptor *field, ProtobufCMessage *const *items,
                   size_t count, struct err *err) {
    struct json *map = json_object_new();
    for (size_t i = 0; map && i < count; i++) {
        const ProtobufCFieldDescriptor *pair = field->descriptor == NULL ? NULL : items[i]->descriptor->fields;
        if (json_set_text(map, *(char **)member(items[i], pair[0].offset), *(char **)member(items[i], pair[1].offset)) <
            0) {
            (void)json_free(map);
            return no_memory(err);
        }
    }
    return map ? json_set(object, field->name, map) : no_memory(err);
}

static int set_repeated(struct json *object, const ProtobufCFieldDescriptor *field, const void *at, size_t count,
                        struct err *err) {
    void *const *items = *(void *const *const *)at;
    if (is_map(field))
        return set_map(object, field, (ProtobufCMessage *const *)items, count, err);
    struct json *array cleanup(json_freep) = json_array_new();
    int r = array ? 0 : no_memory(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (field->type == PROTOBUF_C_TYPE_STRING) {
            r = json_append_text(array, items[i]);
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            struct json *item = NULL;
            r = message_to_json(items[i], &item, err);
            if (r == 0)
                r = json_append(array, item);
        } else {
            r = err_set(err, -EOPNOTSUPP, "field '%s' has a type that cannot be shown", field->name);
        }
    }
    return r < 0 ? r : json_set(object, field->name, take_ptr(array));
}

static int set_field(struct json *object, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                     struct err *err) {
    const void *at = member(message, field->offset);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return set_repeated(object, field, at, *(size_t *)member(message, field->quantifier_offset), err);
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(uint32_t *)member(message, field->quantifier_offset) != field->id)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return set_message(object, field, at, err);
    return set_scalar(object, field, at, err);
}

int message_to_json(const ProtobufCMessage *message, struct json **ret, struct err *err) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = object ? 0 : no_memory(err);
    for (unsigned i = 0; r == 0 && i < message->descriptor->n_fields; i++)
        r = set_field(object, message, &message->descriptor->fields[i], err);
    if (r == 0)
        *ret = take_ptr(object);
    return r;
}

// --- from JSON ---

static int fill(ProtobufCMessage *message, const struct json *json, struct err *err);

static int wrong(const ProtobufCFieldDescriptor *field, const char *want, struct err *err) {
    return err_set(err, -EINVAL, "field '%s' wants %s", field->name, want);
}

static int take_text(char **at, const char *text, struct err *err) {
    char *copy = mem_strdup(text);
    if (!copy)
        return no_memory(err);
    *at = copy;
    return 0;
}

static int take_enum(const ProtobufCFieldDescriptor *field, int *at, const struct json *json, const char *text,
                     struct err *err) {
    const ProtobufCEnumValue *value =
        text ? protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, text) : NULL;
    if (text && !value)
        return err_set(err, -EINVAL, "field '%s' has no value '%.60s'", field->name, text);
    if (!text && !json_has_int(json, field->name))
        return wrong(field, "the name of a value", err);
    *at = value ? value->value : (int)json_get_int(json, field->name, 0);
    return 0;
}

static int take_int(const ProtobufCFieldDescriptor *field, void *at, const struct json *json, struct err *err) {
    if (!json_has_int(json, field->name))
        return wrong(field, "a whole number", err);
    int64_t number = json_get_int(json, field->name, 0);
    bool wide = field->type == PROTOBUF_C_TYPE_INT64 || field->type == PROTOBUF_C_TYPE_SINT64;
    if (wide)
        *(int64_t *)at = number;
    else if (number >= INT32_MIN && number <= INT32_MAX)
        *(int32_t *)at = (int32_t)number;
    else
        return wrong(field, "a number of 32 bits", err);
    return 0;
}

static int take_scalar(const ProtobufCFieldDescriptor *field, void *at, const struct json *json, struct err *err) {
    const char *text = json_get_text(json, field->name);
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return text ? take_text(at, text, err) : wrong(field, "a string", err);
    case PROTOBUF_C_TYPE_BOOL:
        if (json_get_bool(json, field->name, true) != json_get_bool(json, field->name, false))
            return wrong(field, "true or false", err);
        *(protobuf_c_boolean *)at = json_get_bool(json, field->name, false);
        return 0;
    case PROTOBUF_C_TYPE_ENUM:
        return take_enum(field, at, json, text, err);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
        return take_int(field, at, json, err);
    default:
        return err_set(err, -EOPNOTSUPP, "field '%s' has a type that JSON cannot give", field->name);
    }
}

static ProtobufCMessage *message_new(const ProtobufCMessageDescriptor *type) {
    ProtobufCMessage *message = mem_zalloc(type->sizeof_message);
    if (message)
        type->message_init(message);
    return message;
}

struct map_builder {
    const ProtobufCFieldDescriptor *field;
    ProtobufCMessage **items;
    size_t *count;
    struct err *err;
};

static int add_pair(const char *key, const char *text, void *arg) {
    struct map_builder *map = arg;
    ProtobufCMessage *entry = message_new(map->field->descriptor);
    if (!entry)
        return no_memory(map->err);
    map->items[(*map->count)++] = entry;
    const ProtobufCFieldDescriptor *pair = entry->descriptor->fields;
    int r = take_text(member(entry, pair[0].offset), key, map->err);
    return r < 0 ? r : take_text(member(entry, pair[1].offset), text, map->err);
}

static int take_item(const ProtobufCFieldDescriptor *field, void **at, const struct json *item, struct err *err) {
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = json_text(item);
        return text ? take_text((char **)at, text, err) : wrong(field, "a list of strings", err);
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return err_set(err, -EOPNOTSUPP, "field '%s' has a type that JSON cannot give", field->name);
    *at = message_new(field->descriptor);
    return *at ? fill(*at, item, err) : no_memory(err);
}

// Every element is counted before it is filled, so that a failure half-way leaves a message that can be released.
static int take_repeated(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const struct json *value,
                         struct err *err) {
    size_t *count = member(message, field->quantifier_offset), length = json_length(value);
    void **items = mem_array(length, sizeof *items);
    if (!items)
        return no_memory(err);
    *(void ***)member(message, field->offset) = items;
    if (is_map(field)) {
        struct map_builder map = {field, (ProtobufCMessage **)items, count, err};
        int r = json_each_text(value, add_pair, &map);
        return r < 0 ? r : *count == length ? 0 : wrong(field, "an object of strings", err);
    }
    for (size_t i = 0; i < length; i++) {
        const struct json *item = json_at(value, i);
        if (!item)
            return wrong(field, "a list", err);
        int r = take_item(field, &items[i], item, err);
        if (items[i])
            *count = i + 1;
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const struct json *json,
                      struct err *err) {
    const struct json *value = json_get(json, field->name);
    void *at = member(message, field->offset);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return take_repeated(message, field, value, err);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t *chosen = member(message, field->quantifier_offset);
        if (*chosen)
            return wrong(field, "to be the only choice: another field of its kind is given too", err);
        // The member is a union: it is only named once it holds something of this kind.
        *(void **)at = NULL;
        *chosen = field->id;
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return take_scalar(field, at, json, err);
    ProtobufCMessage *inner = message_new(field->descriptor);
    if (!inner)
        return no_memory(err);
    *(ProtobufCMessage **)at = inner;
    return fill(inner, value, err);
}

static int fill(ProtobufCMessage *message, const struct json *json, struct err *err) {
    const ProtobufCMessageDescriptor *type = message->descriptor;
    size_t met = 0;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (!json_get(json, type->fields[i].name))
            continue;
        met++;
        int r = take_field(message, &type->fields[i], json, err);
        if (r < 0)
            return r;
    }
    if (met == json_length(json))
        return 0;
    struct str known cleanup_str = {0};
    for (unsigned i = 0; i < type->n_fields; i++)
        (void)str_printf(&known, "%s%s", i ? ", " : "", type->fields[i].name);
    return err_set(err, -EINVAL, "%s has no such field as one that was given; it has: %s", type->short_name,
                   type->n_fields ? str_text(&known) : "none");
}

int message_from_json(const struct json *json, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret,
                      struct err *err) {
    ProtobufCMessage *message = message_new(type);
    if (!message)
        return no_memory(err);
    int r = fill(message, json, err);
    if (r < 0)
        message = rpc_message_free(message);
    *ret = message;
    return r;
}
