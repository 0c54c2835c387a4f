// SPDX-License-Identifier: Apache-2.0
// What an errno is in HTTP: status and code word of the body {"code","message"}.
//
//   EINVAL, EBADMSG, ERANGE, ENAMETOOLONG … 400    EPERM 401 (who are you?)   EACCES, EROFS 403 (you may not)
//   ENOENT, ENXIO 404   EEXIST, EBUSY, ENOTEMPTY 409   ESTALE 412   E2BIG, EFBIG, EMSGSIZE 413   EAGAIN 429
//   EDQUOT 507 "quota_exceeded"   ENOSPC 507 "no_space"   EOPNOTSUPP, ENOSYS 501   ESHUTDOWN 503   ETIMEDOUT 504
//   ECONNREFUSED, ECONNRESET, EHOSTUNREACH 502   everything else 500
//
// A quota is 507 and not 403: the client may do this, there is no room for it; a retry after a deletion is right.
#pragma once

struct http_status {
    unsigned status;
    const char *code; // "not_found"
    int retry_after;  // seconds for Retry-After; 0: none
};
struct http_status http_status_of(int code);     // of an errno, positive or negative
const char *http_status_reason(unsigned status); // "Not Found"; "Unknown" for one that is not listed
