// SPDX-License-Identifier: Apache-2.0
#include "sidecar/object.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/str.h"

const char *object_bucket(const struct http_request *request) {
    return strstr(http_request_route(request)->pattern, "/public") ? "public" : "private";
}

int object_check_key(struct blob key, struct err *err) {
    if (key.len == 0)
        return err_set(err, -EINVAL, "the key is empty");
    if (key.len > OBJECT_KEY_MAX)
        return err_set(err, -E2BIG, "the key has %zu bytes; the limit is %d", key.len, OBJECT_KEY_MAX);
    size_t from = key.data[0] == '/' ? 1 : 0; // clients upload "/dir/file" under that very name
    for (size_t i = from; i <= key.len; i++) {
        if (i < key.len && key.data[i] != '/')
            continue;
        if (!str_is_path_component(key.data + from, i - from))
            return err_set(
                err, -EINVAL,
                "the key '%.*s' cannot be a path: give UTF-8 without control characters, and between slashes "
                "1 to 255 bytes other than '.' and '..'",
                key.len < 100 ? (int)key.len : 100, key.data);
        from = i + 1;
    }
    return 0;
}

// ---- conditions (RFC 9110, 13) ----

static bool list_has_tag(const char *list, const char *etag) {
    char quoted[64];
    if (str_eq(list, "*"))
        return true;
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    return strstr(list, quoted) != NULL; // no quotes inside a tag: a longer one cannot hold this one
}

static bool parse_http_date(const char *text, int64_t *ret_s) {
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;
    if (!end || *end)
        return false;
    *ret_s = timegm(&tm);
    return true;
}

static bool may_be_a_part(const struct http_request *request, const struct object_info *info) {
    const char *if_range = http_request_header(request, "If-Range");
    int64_t at;
    if (!if_range)
        return true;
    if (parse_http_date(if_range, &at))
        return at == info->modified_ms / 1000;
    return if_range[0] == '"' && list_has_tag(if_range, info->etag);
}

enum object_answer object_parse_range(const char *text, int64_t size, int64_t *ret_offset, int64_t *ret_len) {
    char first_text[24] = "", last_text[24] = "";
    int64_t first = 0, last = INT64_MAX;
    if (strncmp(text, "bytes=", 6) != 0)
        return OBJECT_FULL;
    text += 6;
    const char *dash = strchr(text, '-');
    if (!dash || dash - text >= (ptrdiff_t)sizeof first_text || strlen(dash + 1) >= sizeof last_text)
        return OBJECT_FULL;
    (void)snprintf(first_text, sizeof first_text, "%.*s", (int)(dash - text), text);
    (void)snprintf(last_text, sizeof last_text, "%s", dash + 1);
    if ((*first_text && str_to_i64(first_text, 0, INT64_MAX, &first) < 0) ||
        (*last_text && str_to_i64(last_text, 0, INT64_MAX, &last) < 0) || (!*first_text && !*last_text))
        return OBJECT_FULL;
    if (!*first_text) { // the last so many bytes
        if (last == 0 || size == 0)
            return OBJECT_BAD_RANGE;
        first = last >= size ? 0 : size - last;
        last = size - 1;
    }
    if (last < first)
        return OBJECT_FULL;
    if (first >= size)
        return OBJECT_BAD_RANGE;
    *ret_offset = first;
    *ret_len = (last >= size ? size - 1 : last) - first + 1;
    return OBJECT_PART;
}

enum object_answer object_evaluate(const struct http_request *request, const struct object_info *info,
                                   int64_t *ret_offset, int64_t *ret_len) {
    const char *match = http_request_header(request, "If-Match"), *none = http_request_header(request, "If-None-Match");
    const char *range = http_request_header(request, "Range");
    int64_t at, modified_s = info->modified_ms / 1000;
    *ret_offset = 0;
    *ret_len = info->size;
    if (match ? !list_has_tag(match, info->etag)
              : parse_http_date(http_request_header(request, "If-Unmodified-Since"), &at) && modified_s > at)
        return OBJECT_FAILED_CONDITION;
    if (none ? list_has_tag(none, info->etag)
             : parse_http_date(http_request_header(request, "If-Modified-Since"), &at) && modified_s <= at)
        return OBJECT_NOT_MODIFIED;
    if (!range || !may_be_a_part(request, info))
        return OBJECT_FULL;
    return object_parse_range(range, info->size, ret_offset, ret_len);
}

static int read_tag(const char *name, const char *header, char ret[static 64], const char **ret_text, struct err *err) {
    if (!header)
        return 0;
    size_t len = strlen(header);
    bool quoted =
        len > 2 && len < 64 && header[0] == '"' && header[len - 1] == '"' && !memchr(header + 1, '"', len - 2);
    if (!quoted && !str_eq(header, "*"))
        return err_set(err, -EINVAL, "%s: %.80s is neither one ETag in quotes nor *", name, header);
    (void)snprintf(ret, 64, "%.*s", quoted ? (int)len - 2 : (int)len, quoted ? header + 1 : header);
    *ret_text = ret;
    return 0;
}

int object_read_condition(const struct http_request *request, struct object_condition_text *texts,
                          struct object_condition *ret, struct err *err) {
    int r = read_tag("If-Match", http_request_header(request, "If-Match"), texts->match, &ret->if_match, err);
    if (r == 0)
        r = read_tag("If-None-Match", http_request_header(request, "If-None-Match"), texts->none_match,
                     &ret->if_none_match, err);
    return r;
}

void object_reply_headers(struct http_request *request, const struct object_info *info) {
    char text[64];
    struct tm tm;
    time_t modified = (time_t)(info->modified_ms / 1000);
    (void)snprintf(text, sizeof text, "\"%s\"", info->etag);
    reply_header(request, "ETag", text);
    if (gmtime_r(&modified, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        reply_header(request, "Last-Modified", text);
    reply_header(request, "Accept-Ranges", "bytes");
    reply_header(request, "X-Content-Type-Options", "nosniff"); // what people upload is data, not a part of this site
}
