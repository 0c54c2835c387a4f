// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/certificates.h"

#include <errno.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define DAY_S INT64_C(86400)
#define EARLIER_S INT64_C(3600) // clocks of machines differ
#define AUTHORITY_NAME "stowage webhooks"

struct member {
    const char *name;
    size_t offset;
};
static const struct member members[] = {
    {"ca.crt", offsetof(struct certificates, authority.certificate)},
    {"ca.key", offsetof(struct certificates, authority.key)},
    {"tls.crt", offsetof(struct certificates, server.certificate)},
    {"tls.key", offsetof(struct certificates, server.key)},
};

void certificates_done(struct certificates *certificates) {
    http_pair_done(&certificates->authority);
    http_pair_done(&certificates->server);
}

int certificates_read(const struct json *secret, struct certificates *ret, struct err *err) {
    struct certificates read cleanup(certificates_done) = {0};
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const char *encoded = json_get_text(json_get(secret, "data"), members[i].name);
        char **at = (char **)((char *)&read + members[i].offset);
        size_t len;
        int r = encoded ? base64_decode(encoded, strlen(encoded), at, &len) : 0;
        if (r < 0 && r != -EBADMSG)
            return err_set(err, r, "out of memory");
    }
    *ret = read;
    read = (struct certificates){0};
    return 0;
}

struct json *certificates_data(const struct certificates *certificates) {
    struct json *data cleanup(json_freep) = json_object_new();
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const char *text = *(char *const *)((const char *)certificates + members[i].offset);
        char *encoded cleanup_free = text ? base64_encode(text, strlen(text)) : NULL;
        if (!encoded || json_set_text(data, members[i].name, encoded) < 0)
            return NULL;
    }
    return take_ptr(data);
}

// One that is not yet good was made by a clock that was ahead, or ours was set back.
static bool is_good(struct http_period period, int64_t now_s, int64_t days) {
    return period.from_s <= now_s && period.until_s - now_s > days * DAY_S;
}

// The one before stays behind the new one while it is good, even if its key is lost: replicas that still serve what it signed are believed.
static char *bundle_of(const char *now, const char *before, int64_t now_s) {
    const struct http_pair certificate = {.certificate = (char *)(uintptr_t)before};
    struct http_period period;
    bool good = http_authority_check(&certificate, &period, NULL) == 0 && period.until_s > now_s;
    char *first cleanup_free = good ? http_certificate_first(before) : NULL;
    return mem_printf("%s%s", now, first ? first : "");
}

static const char *reason(bool known, const char *certificate, const struct err *why) {
    return known                    ? "the one before ends"
           : str_empty(certificate) ? "there is none yet"
           : why->code              ? err_text(why)
                                    : "its key is missing";
}

static int renew_authority(struct certificates *c, int64_t now_s, bool *ret_changed, struct err *err) {
    struct http_period period = {0};
    struct err why = ERR_NONE;
    bool known = c->authority.key && http_authority_check(&c->authority, &period, &why) == 0;
    if (known && is_good(period, now_s, AUTHORITY_RENEW_DAYS))
        return 0;
    struct http_pair made cleanup(http_pair_done) = {0};
    const struct http_period next = {.from_s = now_s - EARLIER_S, .until_s = now_s + AUTHORITY_DAYS * DAY_S};
    int r = http_authority_make(AUTHORITY_NAME, next, &made, err);
    char *bundle cleanup_free = r == 0 ? bundle_of(made.certificate, c->authority.certificate, now_s) : NULL;
    if (r < 0 || !bundle)
        return r < 0 ? r : err_set(err, -ENOMEM, "out of memory");
    log_info("a certificate authority of the webhooks is made",
             LOG_S("reason", reason(known, c->authority.certificate, &why)));
    http_pair_done(&c->authority);
    c->authority = (struct http_pair){.certificate = take_ptr(bundle), .key = take_ptr(made.key)};
    *ret_changed = true;
    return 0;
}

static int renew_server(struct certificates *c, const char *dns_name, int64_t now_s, bool *ret_changed,
                        struct err *err) {
    struct http_period period = {0};
    struct err why = ERR_NONE;
    bool known =
        c->server.key && http_certificate_check(&c->server, c->authority.certificate, dns_name, &period, &why) == 0;
    c->until_s = period.until_s;
    if (known && is_good(period, now_s, CERTIFICATE_RENEW_DAYS))
        return 0;
    struct http_pair made cleanup(http_pair_done) = {0};
    const struct http_period next = {.from_s = now_s - EARLIER_S, .until_s = now_s + CERTIFICATE_DAYS * DAY_S};
    int r = http_authority_sign(&c->authority, dns_name, next, &made, err);
    if (r < 0)
        return r;
    log_info("a certificate of the webhooks is made", LOG_S("for", dns_name), LOG_I("until_s", next.until_s),
             LOG_S("reason", reason(known, c->server.certificate, &why)));
    http_pair_done(&c->server);
    c->server = made;
    made = (struct http_pair){0};
    c->until_s = next.until_s;
    *ret_changed = true;
    return 0;
}

int certificates_renew(struct certificates *c, const char *dns_name, const struct clock *clock, bool *ret_changed,
                       struct err *err) {
    int64_t now_s = clock_wall(clock) / NS_PER_S;
    *ret_changed = false;
    int r = renew_authority(c, now_s, ret_changed, err);
    return r < 0 ? r : renew_server(c, dns_name, now_s, ret_changed, err);
}
