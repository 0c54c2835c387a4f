// SPDX-License-Identifier: Apache-2.0
#include "lib/http/tls_session.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

const char *http_tls_reason(void) {
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text ? text : "unknown reason";
}

SSL_CTX *http_tls_server_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    return context;
}

void *http_tls_accept(SSL_CTX *context, int fd) {
    SSL *session = SSL_new(context);
    if (session && SSL_set_fd(session, fd) != 1) {
        SSL_free(session);
        session = NULL;
    }
    if (session)
        SSL_set_accept_state(session);
    return session;
}

static ssize_t result(SSL *session, int n) {
    if (n > 0)
        return n;
    int error = SSL_get_error(session, n);
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -ECONNRESET;
    }
}

ssize_t http_tls_read(void *session, void *data, size_t len) {
    return result(session, SSL_read(session, data, len > INT_MAX ? INT_MAX : (int)len));
}
ssize_t http_tls_write(void *session, const void *data, size_t len) {
    ssize_t n = len ? result(session, SSL_write(session, data, len > INT_MAX ? INT_MAX : (int)len)) : 0;
    return n || !len ? n : -ECONNRESET;
}
void http_tls_close(void *session) {
    (void)SSL_shutdown(session);
    ERR_clear_error();
    SSL_free(session);
}
