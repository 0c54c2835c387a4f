// SPDX-License-Identifier: Apache-2.0
#include "lib/http/head.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

static const char *const method_names[] = {
    [HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",     [HTTP_PUT] = "PUT",
    [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
};

const char *http_method_name(enum http_method method) {
    return method_names[method];
}

// "GET /x HTTP/1.1", looked at when its CRLF is there.
static long check_version(const char *line, size_t len, struct err *err) {
    if (len > HTTP_TARGET_MAX + 32)
        return err_set(err, -414, "the request target exceeds %u bytes", HTTP_TARGET_MAX);
    if (len < 9 || memcmp(line + len - 9, " HTTP/", 6) != 0)
        return err_set(err, -400, "the request line is not 'METHOD /target HTTP/1.1'");
    if (memcmp(line + len - 3, "1.1", 3) != 0 && memcmp(line + len - 3, "1.0", 3) != 0)
        return err_set(err, -505, "only HTTP/1.1 and HTTP/1.0 are spoken");
    return 0;
}

static long check_first_line(const struct http_head_scan *scan, const char *line, size_t len, struct err *err) {
    if (!scan->answer)
        return check_version(line, len, err);
    bool known = len >= 12 && (memcmp(line, "HTTP/1.1 ", 9) == 0 || memcmp(line, "HTTP/1.0 ", 9) == 0);
    return known ? 0 : err_set(err, -502, "the answer does not begin with 'HTTP/1.1'");
}

long http_head_scan(struct http_head_scan *scan, const char *data, size_t len, struct err *err) {
    while (scan->at < len) {
        const char *lf = memchr(data + scan->at, '\n', len - scan->at);
        if (!lf) {
            scan->at = len;
            break;
        }
        size_t at = (size_t)(lf - data);
        if (at == scan->line || lf[-1] != '\r')
            return err_set(err, -400, "a line of the head ends in LF without CR");
        scan->at = at + 1;
        if (at - 1 == scan->line)
            return scan->first ? (long)(at + 1) : err_set(err, -400, "the request begins with an empty line");
        long r = scan->first ? 0 : check_first_line(scan, data + scan->line, at - 1 - scan->line, err);
        if (r < 0)
            return r;
        scan->first = true;
        scan->line = at + 1;
    }
    if (!scan->first && len > HTTP_TARGET_MAX + 32)
        return err_set(err, -414, "the request target exceeds %u bytes", HTTP_TARGET_MAX);
    if (len > HTTP_HEAD_MAX || (scan->first && len - scan->line > HTTP_FIELDS_BYTES))
        return err_set(err, -431, "the header fields exceed %d bytes", HTTP_FIELDS_BYTES);
    return 0;
}

static bool is_token_char(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c && strchr("!#$%&'*+-.^_`|~", c);
}

static int parse_request_line(char *line, size_t len, struct http_head *head, struct err *err) {
    char *space = memchr(line, ' ', len);
    if (!space || space == line)
        return err_set(err, -400, "the request line is not 'METHOD /target HTTP/1.1'");
    for (const char *c = line; c < space; c++)
        if (!is_token_char(*c))
            return err_set(err, -400, "the method has a forbidden character");
    *space = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(method_names); i++)
        if (str_eq(line, method_names[i])) {
            head->method = (enum http_method)i;
            head->known_method = true;
        }
    line[len - 9] = '\0'; // the space before "HTTP/1.x", checked by the scan
    if (line + len - 9 <= space)
        return err_set(err, -400, "the request line has no target");
    head->http_1_0 = line[len - 1] == '0';
    head->target = http_slice(space + 1, line + len - 9);
    if (head->target.len > HTTP_TARGET_MAX)
        return err_set(err, -414, "the request target exceeds %u bytes", HTTP_TARGET_MAX);
    bool asterisk = head->target.len == 1 && head->target.data[0] == '*' && head->method == HTTP_OPTIONS;
    if (asterisk && head->known_method)
        return 0;
    struct http_slice path, query;
    bool has_query;
    return http_target_split(head->target, &path, &query, &has_query, err) < 0 ? -400 : 0;
}

static int parse_field(char *line, size_t len, struct http_head *head, struct err *err) {
    if (line[0] == ' ' || line[0] == '\t')
        return err_set(err, -400, "a header field is folded over two lines");
    if (head->count == HTTP_FIELDS_MAX)
        return err_set(err, -431, "more than %d header fields", HTTP_FIELDS_MAX);
    char *colon = memchr(line, ':', len);
    if (!colon || colon == line)
        return err_set(err, -400, "a header field has no name");
    for (const char *c = line; c < colon; c++)
        if (!is_token_char(*c))
            return err_set(err, -400, "the name of a header field has a forbidden character");
    char *value = colon + 1;
    char *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (const char *c = value; c < end; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7F)
            return err_set(err, -400, "the value of a header field has a control character");
    *colon = '\0';
    *end = '\0';
    head->fields[head->count].name = line;
    head->fields[head->count++].value = value;
    return 0;
}

const char *http_head_field(const struct http_head *head, const char *name) {
    for (size_t i = 0; i < head->count; i++)
        if (str_eq_nocase(head->fields[i].name, name))
            return head->fields[i].value;
    return NULL;
}

// Fields that two readers could choose differently from may stand once.
static int check_unique(const struct http_head *head, struct err *err) {
    static const char *const once[] = {"Host",         "Content-Length", "Transfer-Encoding",
                                       "Content-Type", "Authorization",  "Expect"};
    unsigned seen = 0;
    for (size_t i = 0; i < head->count; i++)
        for (size_t j = 0; j < ARRAY_SIZE(once); j++)
            if (str_eq_nocase(head->fields[i].name, once[j])) {
                if (seen & 1U << j)
                    return err_set(err, -400, "header field %s stands twice", once[j]);
                seen |= 1U << j;
            }
    return 0;
}

static int check_framing(struct http_head *head, struct err *err) {
    const char *length = http_head_field(head, "Content-Length");
    const char *encoding = http_head_field(head, "Transfer-Encoding");
    if (length && encoding)
        return err_set(err, -400, "Content-Length and Transfer-Encoding exclude each other");
    if (encoding && head->http_1_0)
        return err_set(err, -400, "HTTP/1.0 has no Transfer-Encoding");
    if (encoding && !str_eq_nocase(encoding, "chunked"))
        return err_set(err, -501, "the only Transfer-Encoding is chunked");
    head->chunked = encoding;
    if (length && length[strspn(length, "0123456789")] != '\0')
        return err_set(err, -400, "Content-Length is no number of bytes");
    if (length && str_to_i64(length, 0, INT64_MAX, &head->content_length) < 0)
        return err_set(err, -400, "Content-Length is no number of bytes");
    return 0;
}

static int check_fields(struct http_head *head, struct err *err) {
    int r = check_unique(head, err);
    if (r < 0)
        return r;
    r = check_framing(head, err);
    if (r < 0)
        return r;
    if (!head->http_1_0 && !http_head_field(head, "Host"))
        return err_set(err, -400, "HTTP/1.1 wants a Host header field");
    const char *expect = http_head_field(head, "Expect");
    if (expect && !str_eq_nocase(expect, "100-continue"))
        return err_set(err, -417, "the only expectation that is known is 100-continue");
    head->expect_continue = expect && !head->http_1_0;
    const char *connection = http_head_field(head, "Connection");
    bool close = connection && strcasestr(connection, "close");
    bool keep = connection && strcasestr(connection, "keep-alive");
    head->keep_alive = !close && (keep || !head->http_1_0);
    return 0;
}

typedef int first_line_fn(char *line, size_t len, struct http_head *head, struct err *err);

static int parse_lines(char *data, size_t len, first_line_fn *first, struct http_head *ret, struct err *err) {
    ret->method = HTTP_GET;
    ret->known_method = ret->chunked = ret->http_1_0 = false;
    ret->content_length = 0;
    ret->count = 0;
    char *end = data + len - 2; // before the empty line
    for (char *line = data; line < end;) {
        char *lf = memchr(line, '\n', (size_t)(end - line));
        if (!lf || lf == line)
            return err_set(err, -400, "a line of the head is malformed");
        size_t n = (size_t)(lf - line) - 1;
        int r = line == data ? first(line, n, ret, err) : parse_field(line, n, ret, err);
        if (r < 0)
            return r;
        if (line == data && end - lf > HTTP_FIELDS_BYTES)
            return err_set(err, -431, "the header fields exceed %d bytes", HTTP_FIELDS_BYTES);
        line = lf + 1;
    }
    return 0;
}

int http_head_parse(char *data, size_t len, struct http_head *ret, struct err *err) {
    int r = parse_lines(data, len, parse_request_line, ret, err);
    return r < 0 ? r : check_fields(ret, err);
}

// "HTTP/1.1 200 OK": the status goes where the target of a request is.
static int parse_status_line(char *line, size_t len, struct http_head *head, struct err *err) {
    head->http_1_0 = line[7] == '0';
    head->target = http_slice(line + 9, line + 12);
    bool digits = line[9] >= '1' && line[9] <= '5' && strspn(line + 9, "0123456789") >= 3;
    if (!digits || (len > 12 && line[12] != ' '))
        return err_set(err, -502, "the answer has no status");
    return 0;
}

int http_head_parse_answer(char *data, size_t len, struct http_head *ret, unsigned *ret_status, struct err *err) {
    int r = parse_lines(data, len, parse_status_line, ret, err);
    if (r == 0)
        r = check_unique(ret, err);
    if (r == 0)
        r = check_framing(ret, err);
    if (r < 0) {
        if (err)
            err->code = -EBADMSG; // a status to refuse with is for requests
        return -EBADMSG;
    }
    const char *status = ret->target.data, *connection = http_head_field(ret, "Connection");
    *ret_status = (unsigned)((status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0'));
    ret->keep_alive = !ret->http_1_0 && !(connection && strcasestr(connection, "close"));
    if (!ret->chunked && !http_head_field(ret, "Content-Length"))
        ret->content_length = -1;
    return 0;
}
