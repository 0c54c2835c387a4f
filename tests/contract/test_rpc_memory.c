// SPDX-License-Identifier: Apache-2.0
// Every allocation of a call fails once: the client always gets an answer, and the server goes on.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "csi/server.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/rpc/client.h"
#include "proto/csi.pb-c.h"

static int destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    (void)self, (void)ctx, (void)id, (void)err;
    return 0;
}
static int get(void *self, const struct call_context *ctx, const char *id, struct volume_info *ret, struct err *err) {
    (void)self, (void)ctx;
    ret->id = mem_strdup(id);
    if (!ret->id || volume_info_add_context(ret, "key", "value") < 0)
        return err_set(err, -ENOMEM, "no memory");
    return 0;
}
static const struct volume_ops ops = {.destroy = destroy, .get = get};
static const struct volume_class class = {.driver_name = "memory.stowage.dev", .volumes = &ops};

// The same bytes, "volume_id", serve both requests.
static enum rpc_code call(struct rpc_client *client, const char *method, struct rpc_status *status) {
    struct rpc_bytes request = {.data = "\x0a\x02vv", .len = 4}, reply = {0};
    int64_t deadline = clock_monotonic(&clock_system) + 30 * NS_PER_S;
    int r = rpc_client_call_bytes(client, method, request, &reply, deadline, status);
    assert_int_equal(r, status->code == RPC_OK ? 0 : -EREMOTEIO);
    free(reply.data);
    return status->code;
}

static void fail_each(const char *socket, const char *method) {
    struct csi_server_options options = {.socket = socket, .class = &class, .threads = 1};
    struct csi_server *server = NULL;
    struct rpc_client *client = NULL;
    struct rpc_status status;
    struct err err = ERR_NONE;
    assert_int_equal(csi_server_start(&options, &server, &err), 0);
    assert_int_equal(rpc_client_connect(socket, &client, &err), 0);
    long failed = 0, counted = 1;
    for (long n = 1; n <= counted && n < 1000; n++) {
        (void)mem_fail_nth(n);
        enum rpc_code code = call(client, method, &status);
        counted = mem_fail_nth(0) >= n ? n + 1 : 0; // until none fires
        assert_true(code == RPC_OK || code == RPC_RESOURCE_EXHAUSTED || code == RPC_CANCELLED || code == RPC_UNKNOWN ||
                    code == RPC_INTERNAL || code == RPC_UNAVAILABLE);
        failed += code != RPC_OK;
        assert_int_equal(call(client, method, &status), RPC_OK);
    }
    assert_true(failed >= 4);
    (void)rpc_client_free(client);
    (void)csi_server_stop(server, 10000);
}

static void test_calls(void **state) {
    (void)state;
    char dir[] = "/tmp/test-rpc-XXXXXX", socket[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(socket, sizeof socket, "%s/s", dir);
    fail_each(socket, "/csi.v1.Controller/DeleteVolume");
    fail_each(socket, "/csi.v1.Controller/ControllerGetVolume");
    assert_int_equal(rmdir(dir), 0);
}

static void test_start(void **state) {
    (void)state;
    char dir[] = "/tmp/test-rpc-XXXXXX", socket[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(socket, sizeof socket, "%s/s", dir);
    struct csi_server_options options = {.socket = socket, .class = &class};
    long n = 0;
    for (int r = -ENOMEM; r < 0;) {
        struct csi_server *server = NULL;
        struct err err = ERR_NONE;
        (void)mem_fail_nth(++n);
        r = csi_server_start(&options, &server, &err);
        (void)mem_fail_nth(0);
        assert_true(r == 0 || (r == -ENOMEM && err.msg[0] != '\0'));
        (void)csi_server_stop(server, 1000);
    }
    assert_true(n > 5);
    assert_int_equal(rmdir(dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls), cmocka_unit_test(test_start)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
