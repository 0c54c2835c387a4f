// SPDX-License-Identifier: Apache-2.0
// TokenReview, from a server that answers as the API server does, over a unix socket.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/http/server.h"
#include "lib/kube/token_review.h"
#include "tests/support/cm.h"

static struct {
    char dir[48];
    struct http_server *server;
    struct kube *kube;
    const char *answer;
    unsigned status;
    char asked[1024];
} kit;

static void handle(void *arg, struct http_request *request) {
    size_t len;
    const char *body = http_request_body(request, &len);
    (void)arg;
    (void)snprintf(kit.asked, sizeof kit.asked, "%s %.*s", http_request_target(request), (int)len, body);
    http_reply(request, kit.status, "application/json", kit.answer, strlen(kit.answer));
}

static int set_up(void **state) {
    static const char *const prefixes[] = {"/apis"};
    static const struct http_route routes[] = {{.method = HTTP_POST,
                                                .pattern = "/{path...}",
                                                .body = HTTP_BODY_WHOLE,
                                                .body_max = 65536,
                                                .handle = handle,
                                                .name = "post"}};
    static const struct http_table table = {prefixes, 1, routes, 1, NULL};
    static char address[80], url[80];
    const char *const addresses[] = {address};
    (void)state;
    (void)snprintf(kit.dir, sizeof kit.dir, "/tmp/stowage-review.XXXXXX");
    if (!mkdtemp(kit.dir))
        return -1;
    (void)snprintf(address, sizeof address, "unix:%s/api", kit.dir);
    (void)snprintf(url, sizeof url, "%s:/", address);
    struct http_options options = {
        .addresses = addresses, .address_count = 1, .tables = &table, .table_count = 1, .threads = 1};
    struct kube_options to = {.url = url, .timeout_s = 5};
    kit.status = 201;
    int r = http_server_start(&options, &kit.server, NULL);
    return r < 0 ? r : kube_new(&to, &kit.kube, NULL);
}

static int tear_down(void **state) {
    (void)state;
    kit.kube = kube_free(kit.kube);
    kit.server = http_server_free(kit.server);
    return rmdir(kit.dir);
}

static int review(struct kube_account *ret, struct err *err) {
    return kube_review_token(kit.kube, "ey.to.ken", "stowage-store", ret, err);
}

static void an_account_is_told(void **state) {
    struct kube_account account;
    (void)state;
    kit.answer = "{\"status\":{\"authenticated\":true,\"audiences\":[\"x\",\"stowage-store\"],"
                 "\"user\":{\"username\":\"system:serviceaccount:team-a:builder.v2\"}}}";
    assert_int_equal(review(&account, NULL), 0);
    assert_string_equal(account.ns, "team-a");
    assert_string_equal(account.name, "builder.v2");
    assert_ptr_equal(strstr(kit.asked, "/apis/authentication.k8s.io/v1/tokenreviews {"), kit.asked);
    assert_non_null(strstr(kit.asked, "\"token\":\"ey.to.ken\""));
    assert_non_null(strstr(kit.asked, "\"audiences\":[\"stowage-store\"]"));
    assert_non_null(strstr(kit.asked, "\"kind\":\"TokenReview\""));
}

#define YES(audiences, name)                                                                                           \
    "{\"status\":{\"authenticated\":true,\"audiences\":" audiences ",\"user\":{\"username\":\"" name "\"}}}"
static void no_is_told(void **state) {
    static const char *const answers[] = {
        "{}",
        "{\"status\":{}}",
        "{\"status\":{\"authenticated\":false,\"error\":\"expired\"}}",
        "{\"status\":{\"authenticated\":\"true\"}}",
        YES("[]", "system:serviceaccount:a:b"),
        YES("null", "system:serviceaccount:a:b"),
        YES("[\"https://kubernetes.default.svc\"]", "system:serviceaccount:a:b"),
        YES("[\"stowage-store\"]", "alice"),
        YES("[\"stowage-store\"]", "system:serviceaccount:a"),
        YES("[\"stowage-store\"]", "system:serviceaccount::b"),
        YES("[\"stowage-store\"]", "system:serviceaccount:a:"),
        YES("[\"stowage-store\"]", "system:node:a:b"),
        YES("[\"stowage-store\"]", "system:serviceaccount:"
                                   "0123456789012345678901234567890123456789012345678901234567890123456789:b"),
        "{\"status\":{\"authenticated\":true,\"audiences\":[\"stowage-store\"]}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct kube_account account;
        struct err err = ERR_NONE;
        kit.answer = answers[i];
        assert_int_equal(review(&account, &err), -EPERM);
        assert_null(strstr(err.msg, "ey.to.ken"));
    }
}

static void a_failure_is_no_no(void **state) {
    static const struct {
        unsigned status;
        int result;
    } answers[] = {{401, -EACCES}, {403, -EACCES}, {404, -ENOENT}, {429, -ENOSPC}, {500, -EIO}};
    struct kube_account account;
    struct err err = ERR_NONE;
    (void)state;
    kit.answer = "{\"kind\":\"Status\",\"message\":\"it is so\"}";
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        kit.status = answers[i].status;
        assert_int_equal(review(&account, &err), answers[i].result);
    }
    kit.status = 201;
    kit.answer = "<html>";
    assert_int_equal(review(&account, &err), -EBADMSG);
    kit.server = http_server_free(kit.server);
    assert_int_equal(review(&account, &err), -EHOSTUNREACH);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {T(an_account_is_told), T(no_is_told), T(a_failure_is_no_no)};
    return cmocka_run_group_tests_name("token reviews", tests, NULL, NULL);
}
