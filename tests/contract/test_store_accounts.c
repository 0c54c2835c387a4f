// SPDX-License-Identifier: Apache-2.0
// Pods at the store's API, over real connections: requests wait for the cluster's word without a thread, and get what it says.
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/access.h"
#include "sidecar/api.h"
#include "sidecar/reviews.h"
#include "sidecar/tokens.h"
#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"
#include "tests/support/http_kit.h"

static struct kit kit;
static struct tokens *tokens, *admins;
static struct reviews *reviews;
static struct service service;
static struct api api;
static struct http_server *server;
static atomic_bool away, gated;
static atomic_int asked;
static sem_t gate;

// "team-a.x.y": the namespace comes first.
static int ask_cluster(void *arg, const char *token, struct review_account *ret, struct err *err) {
    (void)arg;
    atomic_fetch_add(&asked, 1);
    if (atomic_load(&gated))
        (void)sem_wait(&gate);
    if (atomic_load(&away))
        return err_set(err, -EHOSTUNREACH, "no route");
    if (strstr(token, "forged"))
        return err_set(err, -EPERM, "the cluster does not take the token");
    (void)snprintf(ret->ns, sizeof ret->ns, "%.*s", (int)strcspn(token, "."), token);
    (void)snprintf(ret->name, sizeof ret->name, "default");
    return 0;
}

static int set_up(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    char path[96];
    (void)state;
    atomic_store(&away, false);
    atomic_store(&gated, false);
    atomic_store(&asked, 0);
    (void)sem_init(&gate, 0, 0);
    kit_start(&kit);
    (void)snprintf(path, sizeof path, "%s/tokens", kit.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("static.token.of-ops ops write\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(tokens_open(path, &kit.clock, &tokens, NULL), 0);
    assert_int_equal(tokens_open(path, &kit.clock, &admins, NULL), 0);
    struct reviews_options options = {.ask = ask_cluster, .clock = &kit.clock};
    assert_int_equal(reviews_new(&options, &reviews, NULL), 0);
    service = (struct service){
        .engine = &kit.engine, .tokens = tokens, .admins = admins, .reviews = reviews, .clock = &kit.clock};
    assert_int_equal(api_build(&service, &api, NULL), 0);
    struct http_options http = {.addresses = addresses,
                                .address_count = 1,
                                .tables = api.tables,
                                .table_count = API_TABLES,
                                .authorize = access_authorize,
                                .authorize_arg = &service,
                                .threads = 1};
    return http_server_start(&http, &server, NULL);
}

static int tear_down(void **state) {
    (void)state;
    kit.engine.drain(kit.engine.self);
    http_server_stop(server, 1000);
    reviews = reviews_free(reviews);
    kit_close(&kit);
    server = http_server_free(server);
    kit_open(&kit);
    kit_stop(&kit);
    api_done(&api);
    tokens = tokens_free(tokens);
    admins = tokens_free(admins);
    return 0;
}

static int send_request(const char *line, const char *token, const char *rest) {
    char text[1024];
    int fd = http_kit_connect(http_server_port(server));
    (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s", line, token, rest);
    http_kit_send(fd, text);
    return fd;
}
static int answer_of(int fd, const char *text) {
    struct http_kit_reply reply;
    http_kit_read(fd, false, &reply);
    int status = reply.status;
    if (text)
        assert_non_null(strstr(reply.body, text));
    http_kit_reply_done(&reply);
    (void)close(fd);
    return status;
}
static int ask(const char *line, const char *token, const char *text) {
    return answer_of(send_request(line, token, "\r\n"), text);
}
static void wait_for_asked(int count) {
    for (int i = 0; i < 1000 && atomic_load(&asked) < count; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(atomic_load(&asked), count);
}

static void a_pod_has_the_workspace_of_its_namespace(void **state) {
    (void)state;
    assert_int_equal(ask("POST /api/v1/kv/namespaces/n", "team-a.x.y", NULL), 201);
    assert_int_equal(ask("GET /api/v2/workspaces/team-a/kv/namespaces", "team-a.x.y", "\"n\""), 200);
    assert_int_equal(ask("GET /api/v2/workspaces/team-a/kv/namespaces", "team-b.x.y", "team-a"), 403);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-b.x.y", "[]"), 200);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "forged.x.y", NULL), 401);
    assert_int_equal(ask("POST /admin/backup/b", "team-a.x.y", NULL), 401);
    assert_int_equal(atomic_load(&asked), 3);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "no-such-token", NULL), 401);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "static.token.of-ops", "[]"), 200); // dots do not make it a pod's
    assert_int_equal(atomic_load(&asked), 3);
}

static void a_cluster_that_is_away_is_503(void **state) {
    (void)state;
    assert_int_equal(ask("POST /api/v1/kv/namespaces/n", "team-a.x.y", NULL), 201);
    atomic_store(&away, true);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-b.x.y", "cannot be asked"), 503);
    kit_pass(&kit, 120000);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-a.x.y", "\"n\""), 200);
    kit_pass(&kit, REVIEWS_KEPT_S * 1000);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-a.x.y", "cannot be asked"), 503);
}

static void others_are_served_while_some_wait(void **state) {
    (void)state;
    assert_int_equal(ask("POST /api/v1/kv/namespaces/n", "team-a.x.y", NULL), 201);
    atomic_store(&gated, true);
    int body = send_request("PUT /api/v1/kv/namespaces/m/values/k", "team-b.x.y", "Content-Length: 5\r\n\r\nvalue");
    int left = send_request("POST /api/v1/kv/namespaces/gone", "team-b.x.y", "\r\n");
    wait_for_asked(2);
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-a.x.y", "\"n\""), 200); // the same loop
    (void)close(left);                                                              // before it was let in
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-a.x.y", "\"n\""), 200);
    (void)sem_post(&gate);
    assert_int_equal(answer_of(body, "not_found"), 404); // the body came along, and the store has spoken
    assert_int_equal(ask("GET /api/v1/kv/namespaces", "team-b.x.y", NULL), 200);
}

static void a_stop_ends_the_wait(void **state) {
    (void)state;
    atomic_store(&gated, true);
    int fd = send_request("GET /api/v1/kv/namespaces", "team-a.x.y", "\r\n");
    wait_for_asked(1);
    http_server_stop(server, 50); // the loop ends before the cluster answers
    (void)sem_post(&gate);
    assert_true(http_kit_closed(fd));
    (void)close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_pod_has_the_workspace_of_its_namespace),
        T(a_cluster_that_is_away_is_503),
        T(others_are_served_while_some_wait),
        T(a_stop_ends_the_wait),
    };
    return cmocka_run_group_tests_name("pods at the store", tests, NULL, NULL);
}
