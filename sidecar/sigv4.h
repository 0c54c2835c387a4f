// SPDX-License-Identifier: Apache-2.0
// Presigned URLs: AWS Signature Version 4 in query parameters ("Authenticating Requests: Using Query Parameters", Amazon
// S3 API reference), for the header `host` only and with the payload unsigned, as every S3 client makes them.
//
// Why:     a URL with its own right, bound to method, host and key, good for a while; made and checked by one server.
// Threads: all functions are pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#define SIGV4_EXPIRES_S 900          // of our URLs
#define SIGV4_EXPIRES_MAX_S 604800   // of any: a week, as S3
#define SIGV4_SKEW_S 900             // how far in the future a signature may be dated, as S3
#define SIGV4_HEX 64                 // characters of a signature
#define SIGV4_TARGET_MAX (64 * 1024) // bytes

struct signer { // the server's secret; each workspace signs with its own, derived from it
    unsigned char key[32];
};

struct sigv4_request {
    const char *method, *host;
    const char *path; // as sent or to be sent, percent-encoded; its encoding is normalised for signing
    size_t path_len;
};

// "X-Amz-Algorithm=…&…&X-Amz-Signature=…" to be put behind "?".
int sigv4_presign(const struct signer *signer, const char *workspace, const struct sigv4_request *request,
                  int64_t now_s, int64_t expires_s, struct str *ret) must_check;
// `query` as received. -EPERM: not signed like this, altered, or over; the message says which.
int sigv4_verify(const struct signer *signer, const char *workspace, const struct sigv4_request *request,
                 const char *query, size_t query_len, int64_t now_s, struct err *err) must_check;

// ---- the parts, for tests ----

// Percent-encodes as S3 does: A-Z a-z 0-9 - . _ ~ stay, and '/' when `keep_slash`.
int sigv4_encode(struct str *out, const void *data, size_t len, bool keep_slash);
// The signature of a request with these query parameters (X-Amz-Signature is left out), signed at `date`
// ("20130524T000000Z") for `scope` ("20130524/us-east-1/s3/aws4_request").
int sigv4_sign(const char *secret, const struct sigv4_request *request, const char *query, size_t query_len,
               const char *date, const char *scope, char ret[static SIGV4_HEX + 1]) must_check;
