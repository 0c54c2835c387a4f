// SPDX-License-Identifier: Apache-2.0
// Years pass: certificates are renewed well before they end, and at every moment what replicas serve leads to an authority that the API
// server was told of.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/webhook/certificates.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define NAME "stowage-webhook.stowage.svc"
#define DAY_NS (86400 * NS_PER_S)

static struct json *secret_of(const struct certificates *c) {
    struct json *secret = json_object_new();
    assert_int_equal(json_set(secret, "data", certificates_data(c)), 0);
    return secret;
}

// As a replica does: what the Secret holds, renewed.
static bool look(struct json **secret, struct certificates *ret, const char *name) {
    bool changed;
    certificates_done(ret);
    assert_int_equal(certificates_read(*secret, ret, NULL), 0);
    assert_int_equal(certificates_renew(ret, name, &fake_kube_clock, &changed, NULL), 0);
    if (changed) {
        (void)json_free(*secret);
        *secret = secret_of(ret);
    }
    return changed;
}

static bool leads_to(const struct certificates *served, const char *bundle) {
    struct http_period period;
    char *first cleanup_free = http_certificate_first(bundle), *rest = strstr(bundle + 1, "-----BEGIN");
    return http_certificate_check(&served->server, first, NAME, &period, NULL) == 0 ||
           (rest && http_certificate_check(&served->server, rest, NAME, &period, NULL) == 0);
}

static void twenty_years_pass(void **state) {
    struct json *secret cleanup(json_freep) = json_object_new();
    struct certificates now cleanup(certificates_done) = {0}, before cleanup(certificates_done) = {0};
    int renewed = 0, authorities = 0;
    (void)state;
    fake_kube_clock_set(1700000000 * NS_PER_S);
    assert_true(look(&secret, &now, NAME));
    for (int day = 0; day < 20 * 365; day++) {
        fake_kube_clock_add(DAY_NS);
        int64_t today_s = clock_wall(&fake_kube_clock) / NS_PER_S;
        certificates_done(&before);
        assert_int_equal(certificates_read(secret, &before, NULL), 0);
        if (!look(&secret, &now, NAME))
            continue;
        renewed++;
        authorities += strcmp(before.authority.key, now.authority.key) != 0;
        assert_true(now.until_s - today_s >= (CERTIFICATE_DAYS - 1) * 86400);
        struct http_period was;
        assert_int_equal(http_certificate_check(&before.server, before.authority.certificate, NAME, &was, NULL), 0);
        assert_true(was.until_s - today_s > (CERTIFICATE_RENEW_DAYS - 2) * 86400); // well before its end
        // Replicas that still serve the old one are believed by who knows the new bundle.
        assert_true(leads_to(&before, now.authority.certificate));
        assert_true(leads_to(&now, now.authority.certificate));
    }
    assert_in_range(renewed, 20 * 365 / CERTIFICATE_DAYS, 20 * 365 / (CERTIFICATE_DAYS - CERTIFICATE_RENEW_DAYS) + 6);
    assert_in_range(authorities, 4, 5);
}

static void what_is_wrong_is_made_anew(void **state) {
    static const char *const wrong[] = {
        "{\"data\":null}",
        "{\"data\":{\"ca.crt\":\"\",\"ca.key\":\"\"}}",
        "{\"data\":{\"ca.crt\":\"!\",\"tls.key\":7}}",
        "{\"data\":\"\"}",
    };
    (void)state;
    fake_kube_clock_set(1700000000 * NS_PER_S);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct certificates c cleanup(certificates_done) = {0};
        struct json *secret cleanup(json_freep) = NULL;
        assert_int_equal(json_parse(wrong[i], strlen(wrong[i]), 1000, &secret, NULL), 0);
        assert_true(look(&secret, &c, NAME));
        assert_false(look(&secret, &c, NAME));
        assert_true(look(&secret, &c, "other.stowage.svc"));
        assert_true(look(&secret, &c, NAME));
        fake_kube_clock_add(-30 * DAY_NS); // the clock was wrong before, or is now
        assert_true(look(&secret, &c, NAME));
        assert_false(look(&secret, &c, NAME));
        // a key of somebody else
        struct http_pair stranger cleanup(http_pair_done) = {0};
        assert_int_equal(http_authority_make("x", (struct http_period){0, 4000000000}, &stranger, NULL), 0);
        free(c.server.key);
        c.server.key = mem_strdup(stranger.key);
        (void)json_free(secret);
        secret = secret_of(&c);
        assert_true(look(&secret, &c, NAME));
        free(c.authority.key);
        c.authority.key = mem_strdup(stranger.key);
        (void)json_free(secret);
        secret = secret_of(&c);
        struct certificates before cleanup(certificates_done) = {0};
        assert_int_equal(certificates_read(secret, &before, NULL), 0);
        assert_true(look(&secret, &c, NAME));
        assert_false(look(&secret, &c, NAME));
        assert_true(leads_to(&before, c.authority.certificate)); // what other replicas still serve
        assert_true(leads_to(&c, c.authority.certificate));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_years_pass),
        cmocka_unit_test(what_is_wrong_is_made_anew),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
