// SPDX-License-Identifier: Apache-2.0
// The head of a request: request line and header fields, read strictly (RFC 9112).
//
// Why:     what a proxy before us could read differently is refused: bare LF, folded lines, NUL and other control characters,
//          a space before the colon, two different lengths, length and chunks at once, absolute targets, HTTP/0.9.
// Owns:    nothing; the fields point into the text, which is cut into C strings in place.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/http/request.h"
#include "lib/http/target.h"

#define HTTP_TARGET_MAX (128U * 1024) // a key of 32 KiB, every byte as %XX, and its path
#define HTTP_FIELDS_BYTES (32 * 1024)
#define HTTP_HEAD_MAX (HTTP_TARGET_MAX + HTTP_FIELDS_BYTES + 64U)
#define HTTP_FIELDS_MAX 64

// Looks for the end of the head as bytes arrive.
struct http_head_scan {
    size_t at;   // looked at up to here
    size_t line; // where the current line begins
    bool first;  // the request line is complete
    bool answer; // given: the head of an answer, with a status line
};
// > 0: length of the complete head; 0: more is needed; < 0: minus the HTTP status to refuse with.
long http_head_scan(struct http_head_scan *scan, const char *data, size_t len, struct err *err);

struct http_head {
    enum http_method method;
    bool known_method;
    bool http_1_0;
    bool keep_alive;
    bool expect_continue;
    bool chunked;
    int64_t content_length; // 0 where none is given
    struct http_slice target;
    struct {
        const char *name;
        const char *value;
    } fields[HTTP_FIELDS_MAX];
    size_t count;
};
// The head of an answer, as strictly: without a length, and no chunks, content_length is -1 (the end of the connection is
// the end); method and target stay empty. 0 or -EBADMSG.
int http_head_parse_answer(char *data, size_t len, struct http_head *ret, unsigned *ret_status,
                           struct err *err) must_check;
// Reads the complete head. 0, or minus the HTTP status to refuse with. `data` gets NULs.
int http_head_parse(char *data, size_t len, struct http_head *ret, struct err *err) must_check;
const char *http_head_field(const struct http_head *head, const char *name); // NULL: absent
const char *http_method_name(enum http_method method);
