// SPDX-License-Identifier: Apache-2.0
// A certificate authority of our own, and the certificates of servers that it signs; by OpenSSL, P-256 and SHA-256.
//
// Why:     who calls a server inside a cluster is told which authority to believe; nobody has to make certificates for that.
// Owns:    texts (PEM) in struct http_pair: http_pair_done.
// Threads: any.
// Fails:   -EINVAL no PEM, not what it should be, does not belong together (with the reason); -ENOMEM; -EIO of the library.
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct http_pair {
    char *certificate, *key; // PEM
};
void http_pair_done(struct http_pair *pair);

struct http_period { // seconds since 1970
    int64_t from_s, until_s;
};

int http_authority_make(const char *name, struct http_period period, struct http_pair *ret, struct err *err) must_check;
// A server's certificate for a DNS name.
int http_authority_sign(const struct http_pair *authority, const char *dns_name, struct http_period period,
                        struct http_pair *ret, struct err *err) must_check;

// Is it an authority's certificate (the first, when there are more) with its key? When is it good? A key of NULL is not asked for, here and
// below.
int http_authority_check(const struct http_pair *authority, struct http_period *ret, struct err *err) must_check;
// Is it a server's certificate for `dns_name` with its key, signed by the first certificate of `authority`? When is it good?
int http_certificate_check(const struct http_pair *server, const char *authority, const char *dns_name,
                           struct http_period *ret, struct err *err) must_check;
// The first certificate of a PEM text, alone. NULL: there is none, or out of memory.
char *http_certificate_first(const char *pem) must_check;
