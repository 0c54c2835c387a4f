// SPDX-License-Identifier: Apache-2.0
#include "sidecar/sigv4.h"

#include <errno.h>
#include <string.h>

#include "tests/support/cm.h"

#define NOW INT64_C(1800000000)

static const struct signer signer = {.key = "0123456789abcdef0123456789abcde"};

static struct sigv4_request request_for(const char *method, const char *path) {
    return (struct sigv4_request){.method = method, .host = "store:3500", .path = path, .path_len = strlen(path)};
}

// The example of the Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".
static void test_published_example(void **state) {
    (void)state;
    static const char query[] =
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
    struct sigv4_request request = {
        .method = "GET", .host = "examplebucket.s3.amazonaws.com", .path = "/test.txt", .path_len = 9};
    char signature[SIGV4_HEX + 1];
    assert_int_equal(sigv4_sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &request, query, strlen(query),
                                "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", signature),
                     0);
    assert_string_equal(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static char *presign(const char *method, const char *path) {
    struct str query = {0};
    struct sigv4_request request = request_for(method, path);
    assert_int_equal(sigv4_presign(&signer, "ws1", &request, NOW, SIGV4_EXPIRES_S, &query), 0);
    return str_take(&query);
}

static int verify(const char *workspace, const char *method, const char *path, const char *query, int64_t now) {
    struct err err = ERR_NONE;
    struct sigv4_request request = request_for(method, path);
    int r = sigv4_verify(&signer, workspace, &request, query, strlen(query), now, &err);
    assert_true(r == 0 || (r == -EPERM && *err.msg));
    return r;
}

static void test_bound_to_what_was_signed(void **state) {
    (void)state;
    char *query cleanup_free = presign("GET", "/b/key%20one");
    assert_int_equal(verify("ws1", "GET", "/b/key%20one", query, NOW), 0);
    assert_int_equal(verify("ws1", "GET", "/b/k%65y%20one", query, NOW), 0); // the same bytes, otherwise encoded
    assert_int_equal(verify("ws1", "PUT", "/b/key%20one", query, NOW), -EPERM);
    assert_int_equal(verify("ws1", "GET", "/b/key%20two", query, NOW), -EPERM);
    assert_int_equal(verify("ws1", "GET", "/b/key+one", query, NOW), -EPERM);
    assert_int_equal(verify("ws2", "GET", "/b/key%20one", query, NOW), -EPERM);
    struct signer other = signer;
    other.key[0] ^= 1;
    struct sigv4_request request = request_for("GET", "/b/key%20one");
    assert_int_equal(sigv4_verify(&other, "ws1", &request, query, strlen(query), NOW, NULL), -EPERM);
    request.host = "elsewhere";
    assert_int_equal(sigv4_verify(&signer, "ws1", &request, query, strlen(query), NOW, NULL), -EPERM);
    request.host = "STORE:3500"; // names of hosts have no case
    assert_int_equal(sigv4_verify(&signer, "ws1", &request, query, strlen(query), NOW, NULL), 0);
}

static void test_lives_900_seconds(void **state) {
    (void)state;
    char *query cleanup_free = presign("PUT", "/k");
    assert_int_equal(verify("ws1", "PUT", "/k", query, NOW + 899), 0);
    assert_int_equal(verify("ws1", "PUT", "/k", query, NOW + 900), -EPERM);
    assert_int_equal(verify("ws1", "PUT", "/k", query, NOW - SIGV4_SKEW_S), 0); // our clock may be behind
    assert_int_equal(verify("ws1", "PUT", "/k", query, NOW - SIGV4_SKEW_S - 1), -EPERM);
}

// Whatever byte is changed, dropped or doubled, the query is refused; only the order of parameters is free.
static void test_any_change_is_refused(void **state) {
    (void)state;
    char *query cleanup_free = presign("GET", "/k");
    size_t len = strlen(query);
    for (size_t i = 0; i < len; i++) {
        char *changed cleanup_free = strdup(query);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        assert_int_equal(verify("ws1", "GET", "/k", changed, NOW), -EPERM);
        changed[i] = '\0';
        assert_int_equal(verify("ws1", "GET", "/k", changed, NOW), -EPERM);
    }
    struct str more cleanup_str = {0};
    assert_int_equal(str_printf(&more, "%s&versionId=1", query), 0);
    assert_int_equal(verify("ws1", "GET", "/k", more.data, NOW), -EPERM);
    struct str twice cleanup_str = {0};
    assert_int_equal(str_printf(&twice, "%s&%s", query, query), 0);
    assert_int_equal(verify("ws1", "GET", "/k", twice.data, NOW), -EPERM);
    const char *last = strrchr(query, '&');
    struct str turned cleanup_str = {0};
    assert_int_equal(str_printf(&turned, "%s&%.*s", last + 1, (int)(last - query), query), 0);
    assert_int_equal(verify("ws1", "GET", "/k", turned.data, NOW), 0);
}

static void test_bad_queries(void **state) {
    (void)state;
    static const char *const bad[] = {"", "&&&", "=", "X-Amz-Signature", "X-Amz-Signature=%", "%zz=1", "a=%4"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(verify("ws1", "GET", "/k", bad[i], NOW), -EPERM);
    struct str many cleanup_str = {0};
    for (int i = 0; i < 100; i++)
        (void)str_printf(&many, "p%d=1&", i);
    assert_int_equal(verify("ws1", "GET", "/k", many.data, NOW), -EPERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_example), cmocka_unit_test(test_bound_to_what_was_signed),
        cmocka_unit_test(test_lives_900_seconds), cmocka_unit_test(test_any_change_is_refused),
        cmocka_unit_test(test_bad_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
