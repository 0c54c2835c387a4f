// SPDX-License-Identifier: Apache-2.0
#include "sidecar/sigv4.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"

#define REGION "stowage"
#define PARAMETERS_MAX 32

int sigv4_encode(struct str *out, const void *data, size_t len, bool keep_slash) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = bytes[i];
        bool plain =
            (c < 0x80 && isalnum(c)) || c == '-' || c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
        if (plain)
            (void)str_append_bytes(out, &c, 1);
        else
            (void)str_printf(out, "%%%02X", c);
    }
    return out->failed ? -ENOMEM : 0;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// One form for everything that decodes to the same bytes.
static int normalise(struct str *out, const char *text, size_t len, bool keep_slash) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1, low = high < 0 ? -1 : hex_digit(text[i + 2]);
            if (low < 0)
                return -EINVAL;
            c = (unsigned char)(high << 4 | low);
            i += 2;
        }
        if (sigv4_encode(out, &c, 1, keep_slash) < 0)
            return -ENOMEM;
    }
    return 0;
}

// ---- query parameters ----

struct parameter {
    struct str name, value; // normalised
};
struct parameters {
    struct parameter items[PARAMETERS_MAX];
    size_t count;
};

static void parameters_done(struct parameters *list) {
    for (size_t i = 0; i < list->count; i++) {
        str_done(&list->items[i].name);
        str_done(&list->items[i].value);
    }
}

static int compare_parameters(const void *a, const void *b) {
    const struct parameter *left = a, *right = b;
    int order = strcmp(str_text(&left->name), str_text(&right->name));
    return order ? order : strcmp(str_text(&left->value), str_text(&right->value));
}

static int parse_parameters(const char *query, size_t len, struct parameters *ret) {
    const char *end = query + len;
    while (query < end) {
        const char *next = memchr(query, '&', (size_t)(end - query));
        if (!next)
            next = end;
        const char *equals = memchr(query, '=', (size_t)(next - query));
        const char *name_end = equals ? equals : next;
        if (next > query) {
            if (ret->count == PARAMETERS_MAX)
                return -EINVAL;
            struct parameter *item = &ret->items[ret->count++];
            int r = normalise(&item->name, query, (size_t)(name_end - query), false);
            if (r == 0 && equals)
                r = normalise(&item->value, equals + 1, (size_t)(next - equals - 1), false);
            if (r < 0)
                return r;
        }
        query = next < end ? next + 1 : end;
    }
    qsort(ret->items, ret->count, sizeof *ret->items, compare_parameters);
    return 0;
}

// The one parameter of that name; NULL: none, or several.
static const char *find_parameter(const struct parameters *list, const char *name) {
    const char *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (!str_eq(str_text(&list->items[i].name), name))
            continue;
        if (found)
            return NULL;
        found = str_text(&list->items[i].value);
    }
    return found;
}

// ---- signing ----

static int canonical_request(const struct sigv4_request *request, const struct parameters *list, struct str *out) {
    (void)str_printf(out, "%s\n", request->method);
    int r = normalise(out, request->path, request->path_len, true);
    if (r < 0)
        return r;
    const char *separator = "\n";
    for (size_t i = 0; i < list->count; i++) {
        if (str_eq(str_text(&list->items[i].name), "X-Amz-Signature"))
            continue;
        (void)str_printf(out, "%s%s=%s", separator, str_text(&list->items[i].name), str_text(&list->items[i].value));
        separator = "&";
    }
    if (*separator == '\n')
        (void)str_append(out, "\n");
    (void)str_append(out, "\nhost:");
    for (const char *c = request->host; *c; c++)
        (void)str_printf(out, "%c", tolower((unsigned char)*c));
    (void)str_append(out, "\n\nhost\nUNSIGNED-PAYLOAD");
    return out->failed ? -ENOMEM : 0;
}

// The key of a day, region and service: HMAC over each piece of the scope in turn.
static int signing_key(const char *secret, const char *scope, unsigned char ret[static HASH_SHA256]) {
    char start[256];
    size_t start_len = (size_t)snprintf(start, sizeof start, "AWS4%s", secret);
    const void *key = start;
    size_t key_len = start_len;
    if (start_len >= sizeof start)
        return -EINVAL;
    for (const char *piece = scope; piece; piece = *piece ? piece + 1 : NULL) {
        size_t len = strcspn(piece, "/");
        unsigned char out[HASH_SHA256];
        hash_hmac_sha256(key, key_len, piece, len, out);
        memcpy(ret, out, sizeof out);
        key = ret;
        key_len = HASH_SHA256;
        piece += len;
        if (!*piece)
            break;
    }
    return 0;
}

static int sign(const char *secret, const struct sigv4_request *request, const struct parameters *list,
                const char *date, const char *scope, char ret[static SIGV4_HEX + 1]) {
    struct str canonical cleanup_str = {0}, to_sign cleanup_str = {0};
    unsigned char digest[HASH_SHA256], key[HASH_SHA256];
    char hex[SIGV4_HEX + 1];
    int r = canonical_request(request, list, &canonical);
    if (r == 0)
        r = signing_key(secret, scope, key);
    if (r < 0)
        return r;
    hash_sha256(str_text(&canonical), canonical.len, digest);
    hash_hex(digest, sizeof digest, hex);
    if (str_printf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex) < 0)
        return -ENOMEM;
    hash_hmac_sha256(key, sizeof key, to_sign.data, to_sign.len, digest);
    hash_hex(digest, sizeof digest, ret);
    return 0;
}

int sigv4_sign(const char *secret, const struct sigv4_request *request, const char *query, size_t query_len,
               const char *date, const char *scope, char ret[static SIGV4_HEX + 1]) {
    struct parameters list cleanup(parameters_done) = {0};
    int r = parse_parameters(query, query_len, &list);
    return r < 0 ? r : sign(secret, request, &list, date, scope, ret);
}

static void workspace_secret(const struct signer *signer, const char *workspace, char ret[static SIGV4_HEX + 1]) {
    char label[128];
    unsigned char secret[HASH_SHA256];
    int len = snprintf(label, sizeof label, "presigned URLs of %s", workspace);
    hash_hmac_sha256(signer->key, sizeof signer->key, label, (size_t)len, secret);
    hash_hex(secret, sizeof secret, ret);
}

int sigv4_presign(const struct signer *signer, const char *workspace, const struct sigv4_request *request,
                  int64_t now_s, int64_t expires_s, struct str *ret) {
    char date[32], scope[96], secret[SIGV4_HEX + 1], signature[SIGV4_HEX + 1];
    struct tm tm;
    time_t now = (time_t)now_s;
    if (!gmtime_r(&now, &tm) || strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm) == 0)
        return -EINVAL;
    (void)snprintf(scope, sizeof scope, "%.8s/" REGION "/s3/aws4_request", date);
    struct str query cleanup_str = {0};
    (void)str_printf(&query,
                     "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%.8s%%2F" REGION
                     "%%2Fs3%%2Faws4_request&X-Amz-Date=%s&X-Amz-Expires=%" PRId64 "&X-Amz-SignedHeaders=host",
                     workspace, date, date, expires_s);
    if (query.failed)
        return -ENOMEM;
    workspace_secret(signer, workspace, secret);
    int r = sigv4_sign(secret, request, query.data, query.len, date, scope, signature);
    if (r < 0)
        return r;
    return str_printf(ret, "%s&X-Amz-Signature=%s", query.data, signature);
}

// ---- checking ----

static int parse_date(const char *text, int64_t *ret_s) {
    struct tm tm = {0};
    if (!text || strlen(text) != 16)
        return -EINVAL;
    const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
    if (!end || *end)
        return -EINVAL;
    *ret_s = timegm(&tm);
    return 0;
}

static int check_time(const char *date, const char *expires, int64_t now_s, struct err *err) {
    int64_t signed_s, lives_s;
    if (parse_date(date, &signed_s) < 0 || !expires || str_to_i64(expires, 1, SIGV4_EXPIRES_MAX_S, &lives_s) < 0)
        return err_set(err, -EPERM, "the URL's X-Amz-Date or X-Amz-Expires is missing or wrong");
    if (signed_s > now_s + SIGV4_SKEW_S)
        return err_set(err, -EPERM, "the URL is dated in the future: the clocks differ by more than %d s",
                       SIGV4_SKEW_S);
    if (now_s >= signed_s + lives_s)
        return err_set(err, -EPERM, "the URL has expired; ask for a new one");
    return 0;
}

int sigv4_verify(const struct signer *signer, const char *workspace, const struct sigv4_request *request,
                 const char *query, size_t query_len, int64_t now_s, struct err *err) {
    struct parameters list cleanup(parameters_done) = {0};
    char credential[160], scope[96], secret[SIGV4_HEX + 1], wanted[SIGV4_HEX + 1];
    if (query_len > SIGV4_TARGET_MAX || parse_parameters(query, query_len, &list) < 0)
        return err_set(err, -EPERM, "the URL's query cannot be read");
    const char *signature = find_parameter(&list, "X-Amz-Signature"), *date = find_parameter(&list, "X-Amz-Date");
    const char *given = find_parameter(&list, "X-Amz-Credential");
    if (!str_eq(find_parameter(&list, "X-Amz-Algorithm"), "AWS4-HMAC-SHA256") ||
        !str_eq(find_parameter(&list, "X-Amz-SignedHeaders"), "host") || !signature || !date || !given)
        return err_set(err, -EPERM, "the URL is not signed as this server signs: AWS4-HMAC-SHA256 over the host");
    int r = check_time(date, find_parameter(&list, "X-Amz-Expires"), now_s, err);
    if (r < 0)
        return r;
    (void)snprintf(scope, sizeof scope, "%.8s/" REGION "/s3/aws4_request", date);
    (void)snprintf(credential, sizeof credential, "%s%%2F%.8s%%2F" REGION "%%2Fs3%%2Faws4_request", workspace, date);
    workspace_secret(signer, workspace, secret);
    if (!str_eq(given, credential) || sign(secret, request, &list, date, scope, wanted) < 0 ||
        strlen(signature) != SIGV4_HEX || !hash_equal(signature, wanted, SIGV4_HEX))
        return err_set(err, -EPERM, "the URL's signature does not fit this method, host, workspace and key");
    return 0;
}
