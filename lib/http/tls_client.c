// SPDX-License-Identifier: Apache-2.0
// TLS towards an upstream: its certificate must be for the host and lead to a known authority.
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>

#include "lib/base/mem.h"
#include "lib/http/tls.h"
#include "lib/http/tls_session.h"

struct tls_client {
    struct http_tls ops; // first
    SSL_CTX *context;
    char *host;
    bool numeric;
};

static void *open_session(struct http_tls *ops, int fd) {
    struct tls_client *tls = (struct tls_client *)ops;
    SSL *session = SSL_new(tls->context);
    if (!session)
        return NULL;
    X509_VERIFY_PARAM *param = SSL_get0_param(session);
    int ok = tls->numeric ? X509_VERIFY_PARAM_set1_ip_asc(param, tls->host)
                          : SSL_set1_host(session, tls->host) == 1 && SSL_set_tlsext_host_name(session, tls->host) == 1;
    if (ok != 1 || SSL_set_fd(session, fd) != 1) {
        SSL_free(session);
        return NULL;
    }
    SSL_set_connect_state(session);
    return session;
}

static bool is_numeric(const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

int http_tls_client_new(const char *ca_file, const char *host, struct http_tls **ret, struct err *err) {
    struct tls_client *tls = mem_zalloc(sizeof *tls);
    if (!tls)
        return err_set(err, -ENOMEM, "out of memory");
    tls->ops = (struct http_tls){open_session, http_tls_read, http_tls_write, http_tls_close};
    tls->host = mem_strdup(host);
    tls->numeric = is_numeric(host);
    tls->context = SSL_CTX_new(TLS_client_method());
    int r = tls->host && tls->context ? 0 : err_set(err, -ENOMEM, "out of memory");
    if (r == 0) {
        (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
        SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
        (void)SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                                 SSL_MODE_RELEASE_BUFFERS);
        int known = ca_file ? SSL_CTX_load_verify_locations(tls->context, ca_file, NULL)
                            : SSL_CTX_set_default_verify_paths(tls->context);
        if (known != 1)
            r = err_set(err, -EINVAL, "certificates '%.120s': %s", ca_file ? ca_file : "of the system",
                        http_tls_reason());
    }
    *ret = &tls->ops;
    if (r < 0)
        *ret = http_tls_client_free(*ret);
    return r;
}

struct http_tls *http_tls_client_free(struct http_tls *ops) {
    struct tls_client *tls = (struct tls_client *)ops;
    if (tls) {
        SSL_CTX_free(tls->context);
        free(tls->host);
    }
    free(tls);
    return NULL;
}
