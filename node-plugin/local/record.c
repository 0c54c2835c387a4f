// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/record.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

int local_text_set(char *to, size_t size, const char *text) {
    size_t len = text ? strlen(text) : 0;
    if (len >= size)
        return -ENAMETOOLONG;
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
    return 0;
}

enum value { TEXT, NUMBER, TRUTH, CHOICE }; // CHOICE: an enum or int

#define ROW(key, type, member)                                                                                         \
    { key, type, offsetof(struct local_record, member), sizeof(((struct local_record *)0)->member) }
static const struct row {
    const char *key;
    enum value type;
    size_t offset, size;
} rows[] = {
    ROW("kind", CHOICE, kind),
    ROW("id", TEXT, id),
    ROW("name", TEXT, name),
    ROW("bytes", NUMBER, bytes),
    ROW("createdNs", NUMBER, created_ns),
    ROW("source", CHOICE, source),
    ROW("sourceId", TEXT, source_id),
    ROW("full", TRUTH, full),
    ROW("onDelete", CHOICE, on_delete),
    ROW("fsType", TEXT, fs_type),
    ROW("raw", TRUTH, raw),
    ROW("formatted", TEXT, formatted),
    ROW("fsBytes", NUMBER, fs_bytes),
    ROW("published", TRUTH, published),
    ROW("publishedReadOnly", TRUTH, published_read_only),
    ROW("inlineTarget", TEXT, inline_target),
    ROW("groupId", TEXT, group_id),
};

static int encode_row(const struct row *row, const char *at, struct json *json) {
    int64_t number = 0;
    int choice = 0;
    bool truth = false;
    switch (row->type) {
    case TEXT:
        return *at ? json_set_text(json, row->key, at) : 0;
    case NUMBER:
        memcpy(&number, at, sizeof number);
        return json_set_int(json, row->key, number);
    case CHOICE:
        memcpy(&choice, at, sizeof choice);
        return json_set_int(json, row->key, choice);
    default:
        memcpy(&truth, at, sizeof truth);
        return json_set_bool(json, row->key, truth);
    }
}

struct json *local_record_encode(const struct local_record *record) {
    struct json *json cleanup(json_freep) = json_object_new();
    int r = json ? json_set_int(json, "version", LOCAL_RECORD_VERSION) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
        r = encode_row(&rows[i], (const char *)record + rows[i].offset, json);
    return r < 0 ? NULL : take_ptr(json);
}

static int decode_row(const struct row *row, const struct json *json, char *at) {
    int64_t number = json_get_int(json, row->key, 0);
    int choice = (int)number;
    bool truth = json_get_bool(json, row->key, false);
    switch (row->type) {
    case TEXT:
        return local_text_set(at, row->size, json_get_text(json, row->key));
    case NUMBER:
        memcpy(at, &number, sizeof number);
        return number < 0 ? -ERANGE : 0;
    case CHOICE:
        memcpy(at, &choice, sizeof choice);
        return number < 0 || number > 255 ? -ERANGE : 0;
    default:
        memcpy(at, &truth, sizeof truth);
        return 0;
    }
}

int local_record_decode(const struct json *json, struct local_record *ret, struct err *err) {
    int64_t version = json_get_int(json, "version", 0);
    *ret = (struct local_record){0};
    if (version > LOCAL_RECORD_VERSION)
        return err_set(err, -EPROTONOSUPPORT, "it has version %lld, this program knows up to %d", (long long)version,
                       LOCAL_RECORD_VERSION);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (decode_row(&rows[i], json, (char *)ret + rows[i].offset) < 0)
            return err_set(err, -EBADMSG, "its field '%s' is out of bounds", rows[i].key);
    bool known = ret->kind == LOCAL_VOLUME || ret->kind == LOCAL_SNAPSHOT || ret->kind == LOCAL_GROUP;
    if (version < 1 || !known || str_empty(ret->id) || str_empty(ret->name))
        return err_set(err, -EBADMSG, "it lacks 'version', 'kind', 'id' or 'name'");
    return 0;
}
