// SPDX-License-Identifier: Apache-2.0
#include "tests/support/json_patch.h"
#include "tests/support/cm.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What `path` is a member or an item of; *ret_last is its last name.
static json_t *parent_of(json_t *document, char *path, char **ret_last) {
    json_t *at = document;
    char *last = strrchr(path, '/');
    assert_non_null(last);
    *last = '\0';
    *ret_last = last + 1;
    for (char *save = NULL, *name = strtok_r(path, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
        assert_non_null(at);
    }
    return at;
}

static void add(json_t *to, const char *name, json_t *value) {
    if (json_is_object(to)) {
        assert_int_equal(json_object_set(to, name, value), 0);
    } else if (strcmp(name, "-") == 0) {
        assert_int_equal(json_array_append(to, value), 0);
    } else {
        assert_int_equal(json_array_insert(to, strtoul(name, NULL, 10), value), 0);
    }
}

static void replace(json_t *in, const char *name, json_t *value) {
    if (json_is_object(in)) {
        assert_non_null(json_object_get(in, name));
        assert_int_equal(json_object_set(in, name, value), 0);
    } else {
        assert_int_equal(json_array_set(in, strtoul(name, NULL, 10), value), 0);
    }
}

struct json *json_patched(const struct json *document, const struct json *patch) {
    json_t *ret = json_deep_copy((const json_t *)document);
    for (size_t i = 0; i < json_length(patch); i++) {
        const struct json *op = json_at(patch, i);
        char path[256], *name;
        (void)snprintf(path, sizeof path, "%s", json_get_text(op, "path"));
        json_t *parent = parent_of(ret, path, &name);
        json_t *value = json_deep_copy((const json_t *)json_get(op, "value"));
        assert_non_null(value);
        if (strcmp(json_get_text(op, "op"), "add") == 0) {
            add(parent, name, value);
        } else {
            assert_string_equal(json_get_text(op, "op"), "replace");
            replace(parent, name, value);
        }
        json_decref(value);
    }
    return (struct json *)ret;
}
