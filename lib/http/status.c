// SPDX-License-Identifier: Apache-2.0
#include "lib/http/status.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"

static const struct {
    int error;
    struct http_status status;
} table[] = {
    {EINVAL, {400, "invalid_argument", 0}},
    {EBADMSG, {400, "malformed", 0}},
    {ERANGE, {400, "out_of_range", 0}},
    {ENAMETOOLONG, {400, "name_too_long", 0}},
    {EILSEQ, {400, "invalid_encoding", 0}},
    {ENOTDIR, {400, "not_a_directory", 0}},
    {EISDIR, {400, "is_a_directory", 0}},
    {ELOOP, {400, "invalid_argument", 0}},
    {EPERM, {401, "unauthenticated", 0}},
    {EACCES, {403, "forbidden", 0}},
    {EROFS, {403, "read_only", 0}},
    {ENOENT, {404, "not_found", 0}},
    {ENXIO, {404, "not_found", 0}},
    {EEXIST, {409, "already_exists", 0}},
    {EBUSY, {409, "busy", 0}},
    {ENOTEMPTY, {409, "not_empty", 0}},
    {ESTALE, {412, "precondition_failed", 0}},
    {E2BIG, {413, "too_large", 0}},
    {EFBIG, {413, "too_large", 0}},
    {EMSGSIZE, {413, "too_large", 0}},
    {EAGAIN, {429, "too_many_requests", 1}},
    {EOPNOTSUPP, {501, "not_implemented", 0}},
    {ENOSYS, {501, "not_implemented", 0}},
    {ECONNREFUSED, {502, "bad_gateway", 0}},
    {ECONNRESET, {502, "bad_gateway", 0}},
    {EHOSTUNREACH, {502, "bad_gateway", 0}},
    {ESHUTDOWN, {503, "shutting_down", 1}},
    {EHOSTDOWN, {503, "unavailable", 1}},
    {ETIMEDOUT, {504, "timed_out", 0}},
    {EDQUOT, {507, "quota_exceeded", 0}},
    {ENOSPC, {507, "no_space", 0}},
};

struct http_status http_status_of(int code) {
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].error == abs(code))
            return table[i].status;
    return (struct http_status){500, "internal", 0};
}

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_reason(unsigned status) {
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
