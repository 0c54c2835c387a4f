// SPDX-License-Identifier: Apache-2.0
// What the API server is told: allowed as it is, changed, or refused with the message; and what is no review is no answer.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "controller/webhook/review.h"

static int decide(void *arg, const struct json *request, struct json **ret_patch, struct err *err) {
    assert_string_equal(json_get_text(request, "namespace"), "team-a");
    const char *wish = arg;
    if (strcmp(wish, "refuse") == 0)
        return err_set(err, -EINVAL, "do \"this\" instead");
    if (strcmp(wish, "fail") == 0)
        return err_set(err, -ENOMEM, "out of memory");
    return strcmp(wish, "change") == 0 ? json_parse("[{\"op\":\"add\"}]", 14, 100, ret_patch, err) : 0;
}

static int answer(const char *body, const char *wish, struct json **ret, enum review_result *ret_result) {
    char *text cleanup_free = NULL;
    int r = review_answer(body, strlen(body), decide, (void *)(uintptr_t)wish, &text, ret_result, NULL);
    assert_true((r == 0) == (text != NULL));
    return r < 0 ? r : json_parse(text, strlen(text), 10000, ret, NULL);
}
#define REVIEW                                                                                                         \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"u-1\",\"namespace\":" \
    "\"team-a\"}}"

static void the_api_server_is_told(void **state) {
    static const struct {
        const char *wish;
        enum review_result result;
        const char *response;
    } rows[] = {
        {"leave", REVIEW_LEFT, "{\"uid\":\"u-1\",\"allowed\":true}"},
        {"change", REVIEW_CHANGED,
         "{\"uid\":\"u-1\",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"W3sib3AiOiJhZGQifV0=\"}"},
        {"refuse", REVIEW_REFUSED,
         "{\"uid\":\"u-1\",\"allowed\":false,\"status\":{\"code\":422,\"reason\":\"Invalid\",\"message\":"
         "\"do \\\"this\\\" instead\"}}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json *review cleanup(json_freep) = NULL, *expected cleanup(json_freep) = NULL;
        enum review_result result;
        assert_int_equal(answer(REVIEW, rows[i].wish, &review, &result), 0);
        assert_int_equal(result, rows[i].result);
        assert_int_equal(json_parse(rows[i].response, strlen(rows[i].response), 1000, &expected, NULL), 0);
        assert_true(json_same(json_get(review, "response"), expected));
        assert_string_equal(json_get_text(review, "apiVersion"), "admission.k8s.io/v1");
        assert_string_equal(json_get_text(review, "kind"), "AdmissionReview");
    }
}

static void what_is_no_review_has_no_answer(void **state) {
    static const char *const bodies[] = {
        "",
        "{",
        "{}",
        "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"request\":{\"uid\":\"u\"}}",
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}",
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"request\":[]}",
    };
    struct json *review = NULL;
    enum review_result result;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
        assert_int_equal(answer(bodies[i], "leave", &review, &result), -EBADMSG);
    assert_int_equal(answer(REVIEW, "fail", &review, &result), -ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_api_server_is_told),
        cmocka_unit_test(what_is_no_review_has_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
