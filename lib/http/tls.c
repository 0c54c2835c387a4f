// SPDX-License-Identifier: Apache-2.0
#include "lib/http/tls.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/tls_session.h"

struct tls {
    struct http_tls ops; // first: what the server sees
    char *certificate_file;
    char *key_file;
    pthread_mutex_t lock; // protects what follows
    SSL_CTX *context;
    struct timespec changed[2]; // of both files, as they were read
    int64_t looked_ns;
};

static int file_time(const char *path, struct timespec *ret) {
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    *ret = st.st_mtim;
    return 0;
}

static int context_new(const struct tls *tls, SSL_CTX **ret, struct err *err) {
    SSL_CTX *context = http_tls_server_context();
    if (!context)
        return err_set(err, -ENOMEM, "out of memory");
    int r = 0;
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate_file) != 1)
        r = err_set(err, -EINVAL, "certificate '%s': %s", tls->certificate_file, http_tls_reason());
    else if (SSL_CTX_use_PrivateKey_file(context, tls->key_file, SSL_FILETYPE_PEM) != 1)
        r = err_set(err, -EINVAL, "key '%s': %s", tls->key_file, http_tls_reason());
    else if (SSL_CTX_check_private_key(context) != 1)
        r = err_set(err, -EINVAL, "key '%s' does not belong to certificate '%s'", tls->key_file, tls->certificate_file);
    if (r < 0)
        SSL_CTX_free(context);
    else
        *ret = context;
    return r;
}

static int load(struct tls *tls, struct err *err) {
    struct timespec changed[2];
    int r = file_time(tls->certificate_file, &changed[0]);
    if (r < 0)
        return err_set(err, r, "certificate '%s': %s", tls->certificate_file, err_name(r));
    r = file_time(tls->key_file, &changed[1]);
    if (r < 0)
        return err_set(err, r, "key '%s': %s", tls->key_file, err_name(r));
    if (memcmp(changed, tls->changed, sizeof changed) == 0)
        return 0;
    SSL_CTX *context = NULL;
    r = context_new(tls, &context, err);
    if (r < 0)
        return r;
    SSL_CTX_free(tls->context);
    tls->context = context;
    memcpy(tls->changed, changed, sizeof changed);
    return 0;
}

static void *session_open(struct http_tls *ops, int fd) {
    struct tls *tls = (struct tls *)ops;
    LOCK_SCOPE(&tls->lock);
    int64_t now = clock_monotonic(&clock_system);
    struct err err = ERR_NONE;
    if (now - tls->looked_ns >= NS_PER_S) {
        tls->looked_ns = now;
        if (load(tls, &err) < 0)
            log_warning("certificate not renewed", LOG_S("error", err.msg));
    }
    return http_tls_accept(tls->context, fd);
}

int http_tls_new(const char *certificate_file, const char *key_file, struct http_tls **ret, struct err *err) {
    struct tls *tls = mem_zalloc(sizeof *tls);
    if (!tls)
        return err_set(err, -ENOMEM, "out of memory");
    tls->ops = (struct http_tls){session_open, http_tls_read, http_tls_write, http_tls_close};
    (void)pthread_mutex_init(&tls->lock, NULL);
    tls->certificate_file = mem_strdup(certificate_file);
    tls->key_file = mem_strdup(key_file);
    int r = tls->certificate_file && tls->key_file ? load(tls, err) : err_set(err, -ENOMEM, "out of memory");
    if (r < 0) {
        (void)http_tls_free(&tls->ops);
        return r;
    }
    *ret = &tls->ops;
    return 0;
}

struct http_tls *http_tls_free(struct http_tls *ops) {
    struct tls *tls = (struct tls *)ops;
    if (tls) {
        SSL_CTX_free(tls->context);
        free(tls->certificate_file);
        free(tls->key_file);
        (void)pthread_mutex_destroy(&tls->lock);
    }
    free(tls);
    return NULL;
}
