// SPDX-License-Identifier: Apache-2.0
// TLS for the HTTP server, by OpenSSL; a program that does not call http_tls_new does not load the library.
//
// Owns:    the certificate and key; they are read again when a file changed (looked at when a connection comes, at most
//          once a second). A pair that cannot be read or does not fit is logged, and the old one stays.
// Threads: any. The program ignores SIGPIPE, which a write to a client that left would raise.
// Fails:   new: -errno with the file in the message.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct http_tls;
int http_tls_new(const char *certificate_file, const char *key_file, struct http_tls **ret, struct err *err) must_check;
struct http_tls *http_tls_free(struct http_tls *tls); // after the server that uses it
DEFINE_CLEANUP(http_tls)

// The same with a certificate and key that are handed over as texts (PEM), and again whenever there are newer ones. Connections that come
// before the first are closed; those that are open keep what they began with.
int http_tls_pem_new(struct http_tls **ret, struct err *err) must_check;
int http_tls_pem_set(struct http_tls *tls, const char *certificate, const char *key, struct err *err) must_check;
struct http_tls *http_tls_pem_free(struct http_tls *tls); // after the server that uses it

// For connections to an upstream: its certificate must be for `host` (a name or an address) and be signed by what is in
// `ca_file` (PEM; NULL: by an authority the system knows).
int http_tls_client_new(const char *ca_file, const char *host, struct http_tls **ret, struct err *err) must_check;
struct http_tls *http_tls_client_free(struct http_tls *tls); // after the upstream that uses it
