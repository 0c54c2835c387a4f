// SPDX-License-Identifier: Apache-2.0
// What a Secret holds so that the API server believes all replicas: an authority, and a certificate for them that it signed.
//
//     ca.crt   the authority, and behind it the one before, until that is over: what is signed by either is believed
//     ca.key   of the authority
//     tls.crt, tls.key   of the webhooks
//
// Why:     a function of what is there and what time it is, so that years pass in a test.
// Owns:    texts: certificates_done.
// Fails:   what is missing, broken or of somebody else is no failure, it is made anew. -ENOMEM; -EIO of the library.
#pragma once

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/http/authority.h"

#define CERTIFICATE_DAYS 90
#define CERTIFICATE_RENEW_DAYS 30 // before its end
#define AUTHORITY_DAYS (5 * 365)
#define AUTHORITY_RENEW_DAYS 365

struct certificates {
    struct http_pair authority; // its certificate: the bundle
    struct http_pair server;
    int64_t until_s; // of the server's certificate
};

// What is in `data` of a Secret, as far as it can be read.
int certificates_read(const struct json *secret, struct certificates *ret, struct err *err) must_check;
// Renews what is not good for `dns_name` or not for long enough; *ret_changed: something was.
int certificates_renew(struct certificates *certificates, const char *dns_name, const struct clock *clock,
                       bool *ret_changed, struct err *err) must_check;
struct json *certificates_data(const struct certificates *certificates) must_check; // NULL: out of memory
void certificates_done(struct certificates *certificates);
