// SPDX-License-Identifier: Apache-2.0
// multipart/form-data (RFC 7578), read piece by piece without holding a part.
//
// Owns:  nothing of the data: events point into it.
// Limits: boundary 1..200 bytes, part header 8 KiB, part name 255 bytes.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

#define HTTP_BOUNDARY_MAX 200
#define HTTP_PART_HEADER_MAX 8192

enum http_multipart_state {
    HTTP_MULTIPART_START,
    HTTP_MULTIPART_PREAMBLE,
    HTTP_MULTIPART_DELIMITER, // just after "--boundary"
    HTTP_MULTIPART_HEADER,
    HTTP_MULTIPART_DATA,
    HTTP_MULTIPART_DONE
};
struct http_multipart {
    enum http_multipart_state state;
    size_t len;                            // of `delimiter`
    char delimiter[HTTP_BOUNDARY_MAX + 5]; // "\r\n--boundary"
    char name[256];                        // of the part
};

enum http_multipart_kind {
    HTTP_MULTIPART_MORE,  // needs more bytes after those not used yet
    HTTP_MULTIPART_BEGIN, // of the part `name`
    HTTP_MULTIPART_BYTES,
    HTTP_MULTIPART_END,  // of the part
    HTTP_MULTIPART_CLOSE // after the last part; what follows is ignored
};
struct http_multipart_event {
    enum http_multipart_kind kind;
    const char *data;
    size_t len;
    size_t used; // bytes of the input that need not come again
};

// -EBADMSG: `content_type` is not multipart/form-data with a boundary.
int http_multipart_init(struct http_multipart *m, const char *content_type) must_check;
// The next event of the input. -EBADMSG: malformed.
int http_multipart_next(struct http_multipart *m, const char *data, size_t len,
                        struct http_multipart_event *ret) must_check;
// A parameter of a header value: quoted or not, `name*` in RFC 8187 form when only that is there. -ENOENT: absent;
// -EBADMSG: malformed, -ENAMETOOLONG: does not fit.
int http_header_parameter(const char *value, const char *name, char *ret, size_t size) must_check;
