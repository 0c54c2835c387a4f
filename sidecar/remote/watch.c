// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"

#define LINE_MAX_BYTES (4U << 20) // a value of 256 KiB, escaped
#define LINE_KEPT (16U << 10)

int watch_bytes_get(const struct json *event, const char *name, struct watch_bytes *ret) {
    char encoded_name[32];
    *ret = (struct watch_bytes){0};
    ret->data = json_get_bytes(event, name, &ret->len);
    if (ret->data)
        return 0;
    (void)snprintf(encoded_name, sizeof encoded_name, "%s_base64", name);
    const char *encoded = json_get_text(event, encoded_name);
    if (!encoded)
        return -ENOENT;
    int r = base64_decode(encoded, strlen(encoded), &ret->owned, &ret->len);
    ret->data = ret->owned;
    return r;
}

static int take_data(struct watch_reader *reader, const char *text, size_t len, const struct watch_ops *ops,
                     void *arg) {
    struct json *event cleanup(json_freep) = NULL;
    reader->has_data = true;
    if (reader->has_error) {
        (void)snprintf(reader->error, sizeof reader->error, "%.*s", (int)len, text);
        return -EPIPE;
    }
    if (json_parse_body(text, len, LINE_MAX_BYTES, &event, NULL) < 0)
        return -EBADMSG;
    return ops->change(arg, event);
}

static int end_event(struct watch_reader *reader, const struct watch_ops *ops, void *arg) {
    bool settled = reader->has_id && !reader->has_data;
    reader->has_id = reader->has_data = reader->has_error = false;
    return settled && ops->settled ? ops->settled(arg, reader->id) : 0;
}

static int take_line(struct watch_reader *reader, const char *line, size_t len, const struct watch_ops *ops,
                     void *arg) {
    static const char error[] = "event: error", data[] = "data: ", id[] = "id: ";
    if (len == 0)
        return end_event(reader, ops, arg);
    if (len == sizeof error - 1 && memcmp(line, error, len) == 0)
        reader->has_error = true;
    else if (len >= sizeof data && memcmp(line, data, sizeof data - 1) == 0)
        return take_data(reader, line + sizeof data - 1, len - (sizeof data - 1), ops, arg);
    else if (len >= sizeof id && memcmp(line, id, sizeof id - 1) == 0) {
        reader->has_id = true;
        (void)snprintf(reader->id, sizeof reader->id, "%.*s", (int)(len - (sizeof id - 1)), line + sizeof id - 1);
    }
    return 0;
}

int watch_read(struct watch_reader *reader, const char *data, size_t len, const struct watch_ops *ops, void *arg) {
    struct str *text = &reader->line;
    if (text->len + len > LINE_MAX_BYTES || str_append_bytes(text, data, len) < 0)
        return -EMSGSIZE;
    size_t at = 0;
    int r = 0;
    for (char *end; r == 0 && (end = memchr(text->data + at, '\n', text->len - at));) {
        size_t n = (size_t)(end - text->data) - at;
        r = take_line(reader, text->data + at, n, ops, arg);
        at += n + 1;
    }
    text->len -= at;
    memmove(text->data, text->data + at, text->len);
    if (!text->len && text->cap > LINE_KEPT)
        str_done(text);
    return r;
}

void watch_reader_done(struct watch_reader *reader) {
    str_done(&reader->line);
    *reader = (struct watch_reader){0};
}
