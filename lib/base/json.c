// SPDX-License-Identifier: Apache-2.0
#include "lib/base/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

// `struct json` is never defined: a value is a json_t behind another name.
static json_t *raw(const struct json *json) {
    return (json_t *)(uintptr_t)json;
}
static struct json *wrap(json_t *json) {
    return (struct json *)json;
}

struct json *json_free(struct json *json) {
    json_decref(raw(json));
    return NULL;
}

struct json *json_ref(const struct json *json) {
    return wrap(json_incref(raw(json)));
}

struct json *json_object_new(void) {
    return wrap(json_object());
}

struct json *json_array_new(void) {
    return wrap(json_array());
}

struct json *json_null_new(void) {
    return wrap(json_null());
}

static int set_new(struct json *object, const char *key, json_t *value) {
    return value && json_object_set_new(raw(object), key, value) == 0 ? 0 : -ENOMEM;
}

int json_set_text(struct json *object, const char *key, const char *text) {
    if (!text)
        return 0;
    if (!str_is_utf8(text, strlen(text)))
        return -EINVAL;
    return set_new(object, key, json_string(text));
}

int json_set_int(struct json *object, const char *key, int64_t value) {
    return set_new(object, key, json_integer(value));
}

int json_set_bool(struct json *object, const char *key, bool value) {
    return set_new(object, key, json_boolean(value));
}

int json_set(struct json *object, const char *key, struct json *value) {
    return set_new(object, key, raw(value));
}

int json_append(struct json *array, struct json *value) {
    return value && json_array_append_new(raw(array), raw(value)) == 0 ? 0 : -ENOMEM;
}

int json_append_text(struct json *array, const char *text) {
    return json_append(array, wrap(json_string(text)));
}

const char *json_get_text(const struct json *object, const char *key) {
    return json_string_value(json_object_get(raw(object), key));
}

int64_t json_get_int(const struct json *object, const char *key, int64_t fallback) {
    json_t *value = json_object_get(raw(object), key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_get_bool(const struct json *object, const char *key, bool fallback) {
    json_t *value = json_object_get(raw(object), key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const struct json *json_get(const struct json *object, const char *key) {
    return wrap(json_object_get(raw(object), key));
}

bool json_has_int(const struct json *object, const char *key) {
    return json_is_integer(json_object_get(raw(object), key));
}

bool json_is_an_object(const struct json *value) {
    return json_is_object(raw(value));
}

size_t json_length(const struct json *value) {
    return json_is_array(raw(value)) ? json_array_size(raw(value)) : json_object_size(raw(value));
}

const struct json *json_at(const struct json *array, size_t index) {
    return wrap(json_array_get(raw(array), index));
}

const char *json_text(const struct json *value) {
    return json_string_value(raw(value));
}

bool json_same(const struct json *a, const struct json *b) {
    return a && b ? json_equal(raw(a), raw(b)) : a == b;
}

int json_each(const struct json *object, int (*fn)(const char *key, const struct json *value, void *arg), void *arg) {
    const char *key;
    json_t *value;
    json_object_foreach(raw(object), key, value) {
        int r = fn(key, wrap(value), arg);
        if (r)
            return r;
    }
    return 0;
}

bool json_scalar_text(const struct json *value, char buf[static 32], const char **ret) {
    const json_t *json = raw(value);
    *ret = json_is_boolean(json) ? (json_is_true(json) ? "true" : "false") : json_string_value(json);
    if (json_is_integer(json)) {
        (void)snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        *ret = buf;
    }
    return *ret != NULL;
}

bool json_is_an_array(const struct json *value) {
    return json_is_array(raw(value));
}

const char *json_get_bytes(const struct json *object, const char *key, size_t *ret_len) {
    json_t *value = json_object_get(raw(object), key);
    *ret_len = json_string_length(value);
    return json_string_value(value);
}

int json_set_bytes(struct json *object, const char *key, const char *data, size_t len) {
    json_t *value = json_stringn(data, len);
    return value ? set_new(object, key, value) : -EINVAL;
}

int json_append_bytes(struct json *array, const char *data, size_t len) {
    json_t *value = json_stringn(data, len);
    return value ? json_append(array, wrap(value)) : -EINVAL;
}

int json_each_text(const struct json *object, int (*fn)(const char *key, const char *text, void *arg), void *arg) {
    const char *key;
    json_t *value;
    json_object_foreach(raw(object), key, value) {
        const char *text = json_string_value(value);
        int r = text ? fn(key, text, arg) : 0;
        if (r)
            return r;
    }
    return 0;
}

static int parse(const char *text, size_t len, size_t max, size_t flags, struct json **ret, struct err *err) {
    if (len > max)
        return err_set(err, -EMSGSIZE, "JSON of %zu bytes is larger than the limit of %zu", len, max);
    json_error_t error;
    json_t *json = json_loadb(text, len, flags, &error);
    if (!json)
        return err_set(err, -EBADMSG, "no valid JSON: %s (line %d, column %d)", error.text, error.line, error.column);
    *ret = wrap(json);
    return 0;
}

int json_parse(const char *text, size_t len, size_t max, struct json **ret, struct err *err) {
    return parse(text, len, max, JSON_REJECT_DUPLICATES, ret, err);
}

int json_parse_body(const char *text, size_t len, size_t max, struct json **ret, struct err *err) {
    return parse(text, len, max, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, ret, err);
}

char *json_dump(const struct json *json, bool indented) {
    return json_dumps(raw(json), indented ? JSON_INDENT(2) | JSON_PRESERVE_ORDER : JSON_COMPACT | JSON_PRESERVE_ORDER);
}

static size_t sequence_length(const char *p, size_t left) {
    for (size_t n = 1; n <= 4 && n <= left; n++)
        if (str_is_utf8(p, n))
            return n;
    return 0;
}

int json_append_quoted(struct str *out, const char *text) {
    (void)str_append(out, "\"");
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = sequence_length(text + i, len - i);
        if (n == 0)
            (void)str_append(out, "\\ufffd");
        else if (c == '"' || c == '\\')
            (void)str_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            (void)str_printf(out, "\\u%04x", c);
        else
            (void)str_append_bytes(out, text + i, n);
        i += n ? n : 1;
    }
    return str_append(out, "\"");
}
