// SPDX-License-Identifier: Apache-2.0
#include "lib/http/multipart.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/http/target.h"

// ---- parameters of a header value ---------------------------------------------------------------------------------

// Reads the value at `*at`, quoted or a token, into `ret`, and moves `*at` behind it.
static int value_read(const char **at, char *ret, size_t size) {
    const char *c = *at;
    size_t len = 0;
    bool quoted = *c == '"';
    for (c += quoted; *c && (quoted ? *c != '"' : !strchr("; \t", *c)); c++) {
        // Browsers send a backslash of a Windows path as it is: only a quote and a backslash are escaped by one.
        if (quoted && *c == '\\' && (c[1] == '"' || c[1] == '\\'))
            c++;
        if (len + 1 >= size)
            return -ENAMETOOLONG;
        ret[len++] = *c;
    }
    if (quoted && *c != '"')
        return -EBADMSG;
    ret[len] = '\0';
    *at = c + quoted;
    return 0;
}

// "UTF-8''a%20b" in place → "a b".
static int extended_decode(char *text) {
    char *mark = strchr(text, '\'');
    mark = mark ? strchr(mark + 1, '\'') : NULL;
    if (!mark || strncasecmp(text, "UTF-8'", 6) != 0)
        return -EBADMSG;
    long len = http_percent_decode((struct http_slice){mark + 1, strlen(mark + 1)}, false, text);
    if (len < 0)
        return -EBADMSG;
    text[len] = '\0';
    return strlen(text) == (size_t)len && str_is_utf8(text, (size_t)len) ? 0 : -EBADMSG;
}

int http_header_parameter(const char *value, const char *name, char *ret, size_t size) {
    char other[1024];
    int result = -ENOENT;
    for (const char *at = strchr(value, ';'); at && *at == ';';) {
        at += 1 + strspn(at + 1, " \t");
        size_t len = strcspn(at, "=; \t");
        const char *key = at;
        at += len;
        if (*at != '=') {
            if (len)
                return -EBADMSG;
            continue;
        }
        at++;
        bool plain = len == strlen(name) && strncasecmp(key, name, len) == 0;
        bool extended = len == strlen(name) + 1 && key[len - 1] == '*' && strncasecmp(key, name, len - 1) == 0;
        extended = extended && result == -ENOENT;
        int r = value_read(&at, plain ? ret : other, plain ? size : sizeof other);
        if (r == 0 && extended)
            r = extended_decode(other);
        if (r == 0 && extended && strlen(other) >= size)
            r = -ENAMETOOLONG;
        if (r < 0)
            return r;
        if (extended)
            memcpy(ret, other, strlen(other) + 1);
        if (plain || extended)
            result = 0;
        at += strspn(at, " \t");
        if (*at && *at != ';')
            return -EBADMSG;
    }
    return result;
}

// ---- parts ----------------------------------------------------------------------------------------------------------

int http_multipart_init(struct http_multipart *m, const char *content_type) {
    *m = (struct http_multipart){0};
    static const char type[] = "multipart/form-data";
    if (!content_type || strncasecmp(content_type, type, sizeof type - 1) != 0)
        return -EBADMSG;
    char boundary[HTTP_BOUNDARY_MAX + 1];
    if (http_header_parameter(content_type, "boundary", boundary, sizeof boundary) < 0 || !*boundary)
        return -EBADMSG;
    m->len = strlen(boundary) + 4;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, m->len - 3);
    return 0;
}

static int event(struct http_multipart_event *ret, enum http_multipart_kind kind, size_t used) {
    *ret = (struct http_multipart_event){.kind = kind, .used = used};
    return 0;
}

// A delimiter is one only when the line goes on as RFC 2046 says; *ret_at is where one may begin, or `len`.
static bool find_delimiter(const struct http_multipart *m, const char *data, size_t len, size_t *ret_at) {
    for (size_t from = 0; from < len;) {
        const char *hit = memmem(data + from, len - from, m->delimiter, m->len);
        if (!hit) {
            size_t keep = len - from < m->len ? len - from : m->len - 1; // the begin of one may have come
            const char *cr = keep ? memchr(data + len - keep, '\r', keep) : NULL;
            *ret_at = cr ? (size_t)(cr - data) : len;
            return false;
        }
        *ret_at = (size_t)(hit - data);
        size_t after = *ret_at + m->len;
        if (after >= len)
            return false;
        if (strchr("-\r \t", data[after]) && data[after])
            return true;
        from = *ret_at + 1;
    }
    *ret_at = len;
    return false;
}

static int next_preamble(struct http_multipart *m, const char *data, size_t len, struct http_multipart_event *ret) {
    if (m->state == HTTP_MULTIPART_START) {
        size_t n = m->len - 2;
        if (len < n && memcmp(data, m->delimiter + 2, len) == 0)
            return event(ret, HTTP_MULTIPART_MORE, 0);
        bool at_once = len >= n && memcmp(data, m->delimiter + 2, n) == 0;
        m->state = at_once ? HTTP_MULTIPART_DELIMITER : HTTP_MULTIPART_PREAMBLE;
        if (at_once)
            return http_multipart_next(m, data + n, len - n, ret) < 0 ? -EBADMSG : ((void)(ret->used += n), 0);
    }
    size_t at;
    if (!find_delimiter(m, data, len, &at))
        return event(ret, HTTP_MULTIPART_MORE, at);
    m->state = HTTP_MULTIPART_DELIMITER;
    at += m->len;
    return http_multipart_next(m, data + at, len - at, ret) < 0 ? -EBADMSG : ((void)(ret->used += at), 0);
}

static int next_delimiter(struct http_multipart *m, const char *data, size_t len, struct http_multipart_event *ret) {
    if (len < 2)
        return event(ret, HTTP_MULTIPART_MORE, 0);
    if (data[0] == '-') {
        m->state = HTTP_MULTIPART_DONE;
        return data[1] == '-' ? event(ret, HTTP_MULTIPART_CLOSE, len) : -EBADMSG;
    }
    size_t at = 0;
    while (at < len && (data[at] == ' ' || data[at] == '\t'))
        at++;
    if (at > HTTP_PART_HEADER_MAX)
        return -EBADMSG;
    if (len - at < 2)
        return event(ret, HTTP_MULTIPART_MORE, 0);
    if (data[at] != '\r' || data[at + 1] != '\n')
        return -EBADMSG;
    m->state = HTTP_MULTIPART_HEADER;
    at += 2;
    return http_multipart_next(m, data + at, len - at, ret) < 0 ? -EBADMSG : ((void)(ret->used += at), 0);
}

// The name in "Content-Disposition: form-data; name=..." of the lines of one part.
static int read_name(struct http_multipart *m, const char *data, size_t len) {
    static const char field[] = "Content-Disposition:";
    char line[1024];
    for (const char *at = data, *end = data + len; at < end;) {
        const char *lf = memmem(at, (size_t)(end - at), "\r\n", 2);
        size_t n = (size_t)((lf ? lf : end) - at);
        if (n >= sizeof field - 1 && strncasecmp(at, field, sizeof field - 1) == 0) {
            n -= sizeof field - 1;
            if (n >= sizeof line || memchr(at, '\0', n + sizeof field - 1))
                return -EBADMSG;
            memcpy(line, at + sizeof field - 1, n);
            line[n] = '\0';
            const char *value = line + strspn(line, " \t");
            if (strncasecmp(value, "form-data", 9) != 0)
                return -EBADMSG;
            return http_header_parameter(value, "name", m->name, sizeof m->name) < 0 ? -EBADMSG : 0;
        }
        at = lf ? lf + 2 : end;
    }
    return -EBADMSG;
}

static int next_header(struct http_multipart *m, const char *data, size_t len, struct http_multipart_event *ret) {
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end)
        return len > HTTP_PART_HEADER_MAX ? -EBADMSG : event(ret, HTTP_MULTIPART_MORE, 0);
    size_t n = (size_t)(end - data);
    if (n > HTTP_PART_HEADER_MAX || read_name(m, data, n) < 0)
        return -EBADMSG;
    m->state = HTTP_MULTIPART_DATA;
    return event(ret, HTTP_MULTIPART_BEGIN, n + 4);
}

static int next_data(struct http_multipart *m, const char *data, size_t len, struct http_multipart_event *ret) {
    size_t at;
    bool found = find_delimiter(m, data, len, &at);
    if (at) {
        *ret = (struct http_multipart_event){.kind = HTTP_MULTIPART_BYTES, .data = data, .len = at, .used = at};
        return 0;
    }
    if (!found)
        return event(ret, HTTP_MULTIPART_MORE, 0);
    m->state = HTTP_MULTIPART_DELIMITER;
    return event(ret, HTTP_MULTIPART_END, m->len);
}

int http_multipart_next(struct http_multipart *m, const char *data, size_t len, struct http_multipart_event *ret) {
    switch (m->state) {
    case HTTP_MULTIPART_START:
    case HTTP_MULTIPART_PREAMBLE:
        return next_preamble(m, data, len, ret);
    case HTTP_MULTIPART_DELIMITER:
        return next_delimiter(m, data, len, ret);
    case HTTP_MULTIPART_HEADER:
        return next_header(m, data, len, ret);
    case HTTP_MULTIPART_DATA:
        return next_data(m, data, len, ret);
    case HTTP_MULTIPART_DONE:
        break;
    }
    return event(ret, len ? HTTP_MULTIPART_CLOSE : HTTP_MULTIPART_MORE, len);
}
