// SPDX-License-Identifier: Apache-2.0
// JSON values over jansson, whose header is included in json.c only.
//
// Why:     records, logs, `--json` output and (later) HTTP bodies share one reader and one writer.
// Owns:    `struct json` is a reference-counted value; json_free drops one reference and accepts NULL.
// Threads: a value belongs to one thread at a time.
// Fails:   builders return NULL or -ENOMEM; the parser refuses what exceeds its size limit before it reads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

struct json; // opaque

struct json *json_free(struct json *json);
DEFINE_CLEANUP(json)

// One more reference to a value, also to one inside another; NULL in: NULL out.
struct json *json_ref(const struct json *json) must_check;

struct json *json_object_new(void) must_check;
struct json *json_array_new(void) must_check;
struct json *json_null_new(void) must_check; // in a merge patch: takes a member away

// Setters on an object return 0 or -ENOMEM (-EINVAL when text is no UTF-8). A NULL text is left out.
int json_set_text(struct json *object, const char *key, const char *text);
int json_set_int(struct json *object, const char *key, int64_t value);
int json_set_bool(struct json *object, const char *key, bool value);
int json_set(struct json *object, const char *key, struct json *value); // takes the reference, also on failure
int json_append(struct json *array, struct json *value);                // takes the reference, also on failure
int json_append_text(struct json *array, const char *text);

// Getters. Missing, or of another type: NULL / `fallback`. Returned pointers live as long as the value they are in.
const char *json_get_text(const struct json *object, const char *key);
int64_t json_get_int(const struct json *object, const char *key, int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);
const struct json *json_get(const struct json *object, const char *key);
bool json_has_int(const struct json *object, const char *key);
bool json_is_an_object(const struct json *value);
size_t json_length(const struct json *array_or_object);
const struct json *json_at(const struct json *array, size_t index);
const char *json_text(const struct json *value);            // of a string value, else NULL
bool json_same(const struct json *a, const struct json *b); // equal values; members in any order; NULL equals NULL only
// Walks an object's members in their order; stops when `fn` returns non-zero and returns that.
int json_each(const struct json *object, int (*fn)(const char *key, const struct json *value, void *arg), void *arg);
// A number or truth value as text ("10", "true"), a text as it is; false: something else. `buf` may be where it is put.
bool json_scalar_text(const struct json *value, char buf[static 32], const char **ret);
bool json_is_an_array(const struct json *value);
// Texts that may hold NUL: JSON's \u0000. -EINVAL when the bytes are no UTF-8.
const char *json_get_bytes(const struct json *object, const char *key, size_t *ret_len);
int json_set_bytes(struct json *object, const char *key, const char *data, size_t len);
int json_append_bytes(struct json *array, const char *data, size_t len);
// Walks an object whose values are strings; stops when `fn` returns non-zero and returns that.
int json_each_text(const struct json *object, int (*fn)(const char *key, const char *text, void *arg), void *arg);

// -EBADMSG with line and reason in `err`; -EMSGSIZE above `max` bytes; nothing but one object or array is accepted.
int json_parse(const char *text, size_t len, size_t max, struct json **ret, struct err *err) must_check;
// The same for what a client sent: \u0000 is allowed in texts, so these are read by json_get_bytes. A lone surrogate, which
// is no text in any encoding, is refused.
int json_parse_body(const char *text, size_t len, size_t max, struct json **ret, struct err *err) must_check;
char *json_dump(const struct json *json, bool indented) must_check; // to be freed; NULL: out of memory

// Appends `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
int json_append_quoted(struct str *out, const char *text);
