// SPDX-License-Identifier: Apache-2.0
#include "lib/http/authority.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/http/tls_session.h"

#define SERIAL_BITS 127 // positive, in at most 20 octets (RFC 5280 section 4.1.2.2)

static void x509_freep(X509 **x) {
    X509_free(*x);
}
static void key_freep(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}
static void bio_freep(BIO **bio) {
    (void)BIO_free(*bio);
}

void http_pair_done(struct http_pair *pair) {
    free(take_ptr(pair->certificate));
    if (pair->key)
        explicit_bzero(pair->key, strlen(pair->key));
    free(take_ptr(pair->key));
}

static int library_failed(struct err *err, const char *what) {
    return err_set(err, -EIO, "%s: %s", what, http_tls_reason());
}

// ---- PEM --------------------------------------------------------------------------------------------------------------

static X509 *read_certificate(const char *pem) {
    BIO *bio cleanup(bio_freep) = BIO_new_mem_buf(pem ? pem : "", -1);
    return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *read_key(const char *pem) {
    BIO *bio cleanup(bio_freep) = BIO_new_mem_buf(pem ? pem : "", -1);
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
}

static char *text_of(BIO *bio) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    return len > 0 ? mem_strndup(data, (size_t)len) : NULL;
}

static char *write_certificate(X509 *x) {
    BIO *bio cleanup(bio_freep) = BIO_new(BIO_s_mem());
    return bio && PEM_write_bio_X509(bio, x) == 1 ? text_of(bio) : NULL;
}

static char *write_key(EVP_PKEY *key) {
    BIO *bio cleanup(bio_freep) = BIO_new(BIO_s_secmem());
    return bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? text_of(bio) : NULL;
}

static int write_pair(X509 *x, EVP_PKEY *key, struct http_pair *ret, struct err *err) {
    struct http_pair pair cleanup(http_pair_done) = {.certificate = write_certificate(x), .key = write_key(key)};
    if (!pair.certificate || !pair.key)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = pair;
    pair = (struct http_pair){0};
    return 0;
}

char *http_certificate_first(const char *pem) {
    X509 *x cleanup(x509_freep) = read_certificate(pem);
    return x ? write_certificate(x) : NULL;
}

// ---- making -----------------------------------------------------------------------------------------------------------

static bool set_serial(X509 *x) {
    BIGNUM *n = BN_new();
    bool ok = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return ok;
}

static bool set_basics(X509 *x, EVP_PKEY *key, const char *name, struct http_period period) {
    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && X509_set_pubkey(x, key) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(x), (time_t)period.from_s) &&
           ASN1_TIME_set(X509_getm_notAfter(x), (time_t)period.until_s) &&
           X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) == 1;
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = extension && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

int http_authority_make(const char *name, struct http_period period, struct http_pair *ret, struct err *err) {
    EVP_PKEY *key cleanup(key_freep) = EVP_EC_gen("P-256");
    X509 *x cleanup(x509_freep) = X509_new();
    bool ok = key && x && set_basics(x, key, name, period) && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
              add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()) > 0;
    return ok ? write_pair(x, key, ret, err) : library_failed(err, "a certificate authority cannot be made");
}

int http_authority_sign(const struct http_pair *authority, const char *dns_name, struct http_period period,
                        struct http_pair *ret, struct err *err) {
    X509 *issuer cleanup(x509_freep) = read_certificate(authority->certificate);
    EVP_PKEY *issuer_key cleanup(key_freep) = read_key(authority->key);
    if (!issuer || !issuer_key)
        return err_set(err, -EINVAL, "the certificate authority cannot be read: %s", http_tls_reason());
    char *names cleanup_free = mem_printf("DNS:%s", dns_name);
    if (!names)
        return err_set(err, -ENOMEM, "out of memory");
    EVP_PKEY *key cleanup(key_freep) = EVP_EC_gen("P-256");
    X509 *x cleanup(x509_freep) = X509_new();
    // A subject has at most 64 characters (RFC 5280, ub-common-name); clients look at the names alone.
    bool ok = key && x && set_basics(x, key, "stowage", period) &&
              X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
              add_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(x, issuer, NID_key_usage, "critical,digitalSignature") &&
              add_extension(x, issuer, NID_ext_key_usage, "serverAuth") &&
              add_extension(x, issuer, NID_subject_key_identifier, "hash") &&
              add_extension(x, issuer, NID_authority_key_identifier, "keyid") &&
              add_extension(x, issuer, NID_subject_alt_name, names) && X509_sign(x, issuer_key, EVP_sha256()) > 0;
    return ok ? write_pair(x, key, ret, err) : library_failed(err, "a certificate cannot be signed");
}

// ---- looking ----------------------------------------------------------------------------------------------------------

static int seconds_of(const ASN1_TIME *time, int64_t *ret) {
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return -EINVAL;
    *ret = (int64_t)timegm(&tm);
    return 0;
}

static int read_pair(const struct http_pair *pair, X509 **ret, struct http_period *ret_period, struct err *err) {
    X509 *x cleanup(x509_freep) = read_certificate(pair->certificate);
    EVP_PKEY *key cleanup(key_freep) = pair->key ? read_key(pair->key) : NULL;
    if (!x || (pair->key && !key))
        return err_set(err, -EINVAL, "no certificate with its key: %s", http_tls_reason());
    if (key && X509_check_private_key(x, key) != 1)
        return err_set(err, -EINVAL, "the key is not the certificate's: %s", http_tls_reason());
    if (seconds_of(X509_get0_notBefore(x), &ret_period->from_s) < 0 ||
        seconds_of(X509_get0_notAfter(x), &ret_period->until_s) < 0)
        return err_set(err, -EINVAL, "the certificate does not say when it is good");
    *ret = x;
    x = NULL;
    return 0;
}

int http_authority_check(const struct http_pair *authority, struct http_period *ret, struct err *err) {
    X509 *x cleanup(x509_freep) = NULL;
    int r = read_pair(authority, &x, ret, err);
    if (r == 0 && X509_check_ca(x) != 1)
        r = err_set(err, -EINVAL, "the certificate is no authority's");
    return r;
}

int http_certificate_check(const struct http_pair *server, const char *authority, const char *dns_name,
                           struct http_period *ret, struct err *err) {
    X509 *x cleanup(x509_freep) = NULL, *issuer cleanup(x509_freep) = read_certificate(authority);
    if (!issuer)
        return err_set(err, -EINVAL, "the certificate authority cannot be read: %s", http_tls_reason());
    int r = read_pair(server, &x, ret, err);
    if (r < 0)
        return r;
    if (X509_check_issued(issuer, x) != X509_V_OK || X509_verify(x, X509_get0_pubkey(issuer)) != 1) {
        (void)http_tls_reason();
        return err_set(err, -EINVAL, "the certificate is signed by another authority");
    }
    if (X509_check_host(x, dns_name, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) != 1)
        return err_set(err, -EINVAL, "the certificate is not for '%.100s'", dns_name);
    return 0;
}
