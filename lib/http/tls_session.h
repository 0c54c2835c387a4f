// SPDX-License-Identifier: Apache-2.0
// Inside the HTTP server: what both sides of TLS do with a session, as struct http_tls wants it.
#pragma once

#include <openssl/types.h>

#include "lib/http/loop.h"

ssize_t http_tls_read(void *session, void *data, size_t len);
ssize_t http_tls_write(void *session, const void *data, size_t len);
void http_tls_close(void *session);
const char *http_tls_reason(void); // of the last failure of the library

// Of servers: what every context has in common, without a certificate; a session of a client that has connected. NULL: out of memory.
SSL_CTX *http_tls_server_context(void);
void *http_tls_accept(SSL_CTX *context, int fd);
