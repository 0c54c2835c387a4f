// SPDX-License-Identifier: Apache-2.0
#include "sidecar/kv_entry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/mem.h"

int kv_check_key(struct blob key, struct err *err) {
    if (key.len == 0)
        return err_set(err, -EINVAL, "the key is empty");
    if (key.len > KV_KEY_MAX)
        return err_set(err, -E2BIG, "the key has %zu bytes; the limit is %d", key.len, KV_KEY_MAX);
    if (memchr(key.data, 0, key.len))
        return err_set(err, -EINVAL, "the key holds a NUL byte");
    return 0;
}

int kv_check_value(struct blob value, struct err *err) {
    if (value.len > KV_VALUE_MAX)
        return err_set(err, -E2BIG, "the value has %zu bytes; the limit is %d", value.len, KV_VALUE_MAX);
    return 0;
}

static int parse_version(const char *text, int64_t *ret) {
    char digits[24];
    size_t len = strlen(text);
    if (len < 3 || len > sizeof digits || text[0] != '"' || text[len - 1] != '"')
        return -EINVAL;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(len - 2), text + 1);
    return str_to_i64(digits, 1, INT64_MAX, ret);
}

int kv_read_conditions(const struct http_request *request, struct kv_change *ret, struct err *err) {
    const char *match = http_request_header(request, "If-Match"), *none = http_request_header(request, "If-None-Match");
    const char *ttl = http_request_header(request, "Stowage-TTL");
    int64_t seconds = 0;
    ret->if_version = -1;
    if (match && none)
        return err_set(err, -EINVAL, "give If-Match or If-None-Match, not both");
    if (none && !str_eq(none, "*"))
        return err_set(err, -EINVAL, "If-None-Match of a write can only be *: the key must not exist");
    if (match && parse_version(match, &ret->if_version) < 0)
        return err_set(err, -EINVAL, "If-Match: %.40s is no version as GET tells it in ETag, such as \"17\"", match);
    if (none)
        ret->if_version = 0;
    if (ttl && str_to_i64(ttl, 1, KV_TTL_MAX_S, &seconds) < 0)
        return err_set(err, -EINVAL, "Stowage-TTL: %.40s is no whole number of seconds from 1 to %" PRId64, ttl,
                       KV_TTL_MAX_S);
    ret->ttl_ms = seconds * 1000;
    return 0;
}

bool kv_is_known(const struct http_request *request, int64_t version) {
    const char *none = http_request_header(request, "If-None-Match");
    char tag[32];
    (void)snprintf(tag, sizeof tag, "\"%" PRId64 "\"", version);
    return none && (str_eq(none, "*") || strstr(none, tag));
}

void kv_reply_version(struct http_request *request, int64_t version) {
    char tag[32];
    (void)snprintf(tag, sizeof tag, "\"%" PRId64 "\"", version);
    reply_header(request, "ETag", tag);
}

int kv_set_bytes(struct json *object, const char *name, const char *data, size_t len) {
    if (json_set_bytes(object, name, data, len) == 0)
        return 0;
    char in_base64[48];
    char *text cleanup_free = base64_encode(data, len);
    (void)snprintf(in_base64, sizeof in_base64, "%s_base64", name);
    return text ? json_set_text(object, in_base64, text) : -ENOMEM;
}

int kv_get_bytes(const struct json *object, const char *name, struct blob *ret, char **keep, struct err *err) {
    char in_base64[48];
    size_t len = 0;
    (void)snprintf(in_base64, sizeof in_base64, "%s_base64", name);
    ret->data = json_get_bytes(object, name, &ret->len);
    if (ret->data)
        return 0;
    const char *text = json_get_bytes(object, in_base64, &len);
    if (!text)
        return err_set(err, -ENOENT, "'%s' or '%s' is missing or no text", name, in_base64);
    int r = base64_decode(text, len, keep, &ret->len);
    if (r < 0)
        return err_set(err, r == -ENOMEM ? r : -EINVAL, "'%s' is no base64", in_base64);
    ret->data = *keep;
    return 0;
}
