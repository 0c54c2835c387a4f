// SPDX-License-Identifier: Apache-2.0
// The keeper: makes what is missing, tells the API server before it serves anew, takes what another replica was faster with, and leaves what
// is right alone.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/webhook/certificates.h"
#include "controller/webhook/keeper.h"
#include "lib/base/base64.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define SECRET "/api/v1/namespaces/stowage/secrets/stowage-webhook"
#define CONFIGURATION "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/stowage-webhook"
#define NAME "stowage-webhook.stowage.svc"
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOW_S 1700000000

static struct {
    struct fake_kube *fake;
    struct kube *kube;
    struct http_tls *tls;
    struct keeper *keeper;
    char *secret, *configuration; // as they would be with certificates that are good
} kit;

static int set_up(void **state) {
    struct certificates c cleanup(certificates_done) = {0};
    bool changed;
    (void)state;
    fake_kube_clock_set(NOW_S * NS_PER_S);
    assert_int_equal(certificates_renew(&c, NAME, &fake_kube_clock, &changed, NULL), 0);
    struct json *data cleanup(json_freep) = certificates_data(&c);
    char *text cleanup_free = json_dump(data, false),
               *bundle cleanup_free = base64_encode(c.authority.certificate, strlen(c.authority.certificate));
    kit.secret = mem_printf("{\"metadata\":{\"resourceVersion\":\"7\"},\"data\":%s}", text);
    kit.configuration = mem_printf("{\"metadata\":{\"resourceVersion\":\"9\"},\"webhooks\":[{\"name\":\"inject\","
                                   "\"clientConfig\":{\"service\":{\"name\":\"s\"},\"caBundle\":\"%s\"}}]}",
                                   bundle);
    return 0;
}

static void open_keeper(const struct fake_answer *answers, size_t count) {
    kit.kube = fake_kube_new(answers, count, &kit.fake);
    assert_int_equal(http_tls_pem_new(&kit.tls, NULL), 0);
    const struct keeper_options options = {
        .kube = kit.kube, .ns = "stowage", .name = "stowage-webhook", .tls = kit.tls, .clock = &fake_kube_clock};
    assert_int_equal(keeper_new(&options, &kit.keeper, NULL), 0);
}
#define OPEN(answers) open_keeper(answers, ARRAY_SIZE(answers))

static int tear_down(void **state) {
    (void)state;
    kit.keeper = keeper_free(kit.keeper);
    kit.tls = http_tls_pem_free(kit.tls);
    kit.kube = kube_free(kit.kube);
    free(take_ptr(kit.secret));
    free(take_ptr(kit.configuration));
    return 0;
}

static void an_empty_secret_is_filled(void **state) {
    static const char configuration[] =
        "{\"metadata\":{\"resourceVersion\":\"9\"},\"webhooks\":[{\"name\":\"inject\",\"timeoutSeconds\":3,"
        "\"clientConfig\":{\"service\":{\"name\":\"s\"}}}]}";
    const struct fake_answer answers[] = {
        {"GET " SECRET, .chunks = TEXTS("{\"metadata\":{\"resourceVersion\":\"7\"}}")},
        {"PATCH " SECRET, "\"resourceVersion\":\"7\"", .chunks = TEXTS("{}")},
        {"GET " CONFIGURATION, .chunks = TEXTS(configuration)},
        {"PATCH " CONFIGURATION, "\"timeoutSeconds\":3", .chunks = TEXTS("{}")},
    };
    uint32_t again_ms;
    (void)state;
    OPEN(answers);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, NULL), 0);
    assert_int_equal(fake_kube_asked(kit.fake), 4);
    const char *said = fake_kube_last(kit.fake);
    assert_non_null(strstr(said, "\"resourceVersion\":\"9\""));
    assert_non_null(strstr(said, "\"service\":{\"name\":\"s\"}"));
    assert_non_null(strstr(said, "\"caBundle\":\"LS0tLS1CRUdJTi"));
    assert_null(strstr(said, "PRIVATE"));
    assert_true(keeper_until(kit.keeper) > NOW_S); // nothing was served before, so at once
}

static void what_is_right_is_left_alone(void **state) {
    const struct fake_answer answers[] = {
        {"GET " SECRET, .chunks = TEXTS(kit.secret)},
        {"GET " CONFIGURATION, .chunks = TEXTS(kit.configuration)},
        {"GET " SECRET, .chunks = TEXTS(kit.secret)},
        {"GET " CONFIGURATION, .chunks = TEXTS(kit.configuration)},
    };
    uint32_t first_ms, second_ms;
    (void)state;
    OPEN(answers);
    assert_int_equal(keeper_step(kit.keeper, &first_ms, NULL), 0);
    assert_true(keeper_until(kit.keeper) > NOW_S);
    assert_int_equal(keeper_step(kit.keeper, &second_ms, NULL), 0);
    assert_true(second_ms > first_ms);
}

static void the_api_server_is_told_before_it_is_served(void **state) {
    char after[20000] = "";
    struct fake_answer answers[] = {
        {"GET " SECRET, .chunks = TEXTS(kit.secret)},
        {"GET " CONFIGURATION, .chunks = TEXTS(kit.configuration)},
        {"GET " SECRET, .chunks = TEXTS("{\"metadata\":{\"resourceVersion\":\"8\"}}")}, // somebody emptied it
        {"PATCH " SECRET, .chunks = TEXTS("{}")},
        {"GET " CONFIGURATION, .chunks = TEXTS(kit.configuration)},
        {"PATCH " CONFIGURATION, .chunks = TEXTS("{}")},
        {"GET " SECRET, .chunks = TEXTS("{\"metadata\":{\"resourceVersion\":\"9\"},", after, "}")},
        {"GET " CONFIGURATION, .result = -EHOSTUNREACH},
    };
    uint32_t again_ms;
    (void)state;
    OPEN(answers);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, NULL), 0);
    int64_t first = keeper_until(kit.keeper);
    fake_kube_clock_add(86400 * NS_PER_S);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, NULL), 0);
    assert_int_equal(keeper_until(kit.keeper), first); // not yet
    assert_int_equal(fake_kube_asked(kit.fake), 6);
    struct certificates c cleanup(certificates_done) = {0};
    bool changed;
    assert_int_equal(certificates_renew(&c, NAME, &fake_kube_clock, &changed, NULL), 0);
    struct json *data cleanup(json_freep) = certificates_data(&c);
    char *text cleanup_free = json_dump(data, false);
    (void)snprintf(after, sizeof after, "\"data\":%s", text);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, NULL), -EHOSTUNREACH); // it cannot be known whether it was told
    assert_int_equal(keeper_until(kit.keeper), first);
}

static void the_faster_replica_counts(void **state) {
    const struct fake_answer answers[] = {
        {"GET " SECRET, .chunks = TEXTS("{\"metadata\":{\"resourceVersion\":\"6\"}}")},
        {"PATCH " SECRET, "\"resourceVersion\":\"6\"", .result = -EEXIST},
        {"GET " SECRET, .chunks = TEXTS(kit.secret)},
        {"GET " CONFIGURATION, .chunks = TEXTS(kit.configuration)},
    };
    uint32_t again_ms;
    (void)state;
    OPEN(answers);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, NULL), -EAGAIN);
    assert_int_equal(keeper_until(kit.keeper), 0);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, NULL), 0);
    assert_true(keeper_until(kit.keeper) > NOW_S);
}

static void a_secret_that_is_missing_is_named(void **state) {
    const struct fake_answer answers[] = {{"GET " SECRET, .result = -ENOENT}};
    struct err err = ERR_NONE;
    uint32_t again_ms;
    (void)state;
    OPEN(answers);
    assert_int_equal(keeper_step(kit.keeper, &again_ms, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "stowage/stowage-webhook is missing"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_empty_secret_is_filled),
        TEST(what_is_right_is_left_alone),
        TEST(the_api_server_is_told_before_it_is_served),
        TEST(the_faster_replica_counts),
        TEST(a_secret_that_is_missing_is_named),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
