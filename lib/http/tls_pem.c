// SPDX-License-Identifier: Apache-2.0
// TLS for the HTTP server with a certificate that is handed over as text.
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "lib/base/mem.h"
#include "lib/http/tls.h"
#include "lib/http/tls_session.h"

struct tls_pem {
    struct http_tls ops;  // first: what the server sees
    pthread_mutex_t lock; // protects what follows
    SSL_CTX *context;     // NULL: there is no certificate yet
};

static void *session_open(struct http_tls *ops, int fd) {
    struct tls_pem *tls = (struct tls_pem *)ops;
    LOCK_SCOPE(&tls->lock);
    return tls->context ? http_tls_accept(tls->context, fd) : NULL;
}

static int use_pair(SSL_CTX *context, const char *certificate, const char *key, struct err *err) {
    BIO *in[2] = {BIO_new_mem_buf(certificate, -1), BIO_new_mem_buf(key, -1)};
    X509 *x = in[0] ? PEM_read_bio_X509(in[0], NULL, NULL, NULL) : NULL;
    EVP_PKEY *private_key = in[1] ? PEM_read_bio_PrivateKey(in[1], NULL, NULL, NULL) : NULL;
    bool ok = x && private_key && SSL_CTX_use_certificate(context, x) == 1 &&
              SSL_CTX_use_PrivateKey(context, private_key) == 1 && SSL_CTX_check_private_key(context) == 1;
    X509_free(x);
    EVP_PKEY_free(private_key);
    (void)BIO_free(in[0]);
    (void)BIO_free(in[1]);
    return ok ? 0 : err_set(err, -EINVAL, "certificate and key: %s", http_tls_reason());
}

int http_tls_pem_set(struct http_tls *ops, const char *certificate, const char *key, struct err *err) {
    struct tls_pem *tls = (struct tls_pem *)ops;
    SSL_CTX *context = http_tls_server_context();
    int r = context ? use_pair(context, certificate, key, err) : err_set(err, -ENOMEM, "out of memory");
    if (r == 0) {
        LOCK_SCOPE(&tls->lock);
        SSL_CTX *before = tls->context;
        tls->context = context;
        context = before; // sessions that are open keep it
    }
    SSL_CTX_free(context);
    return r;
}

int http_tls_pem_new(struct http_tls **ret, struct err *err) {
    struct tls_pem *tls = mem_zalloc(sizeof *tls);
    if (!tls)
        return err_set(err, -ENOMEM, "out of memory");
    tls->ops = (struct http_tls){session_open, http_tls_read, http_tls_write, http_tls_close};
    (void)pthread_mutex_init(&tls->lock, NULL);
    *ret = &tls->ops;
    return 0;
}

struct http_tls *http_tls_pem_free(struct http_tls *ops) {
    struct tls_pem *tls = (struct tls_pem *)ops;
    if (tls) {
        SSL_CTX_free(tls->context);
        (void)pthread_mutex_destroy(&tls->lock);
    }
    free(tls);
    return NULL;
}
