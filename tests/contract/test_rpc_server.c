// SPDX-License-Identifier: Apache-2.0
// A call's life on the server: deadline, cancel, lock, pool, and the server's end.
#include <poll.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/rpc_kit.h"

static void await(atomic_int *count) {
    while (atomic_load(count) == 0)
        (void)poll(NULL, 0, 1);
}

static void test_deadline_reaches_the_handler(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_waiter w;
    rpc_waiter_begin(&w, f->client, "v", clock_monotonic(&clock_system) + 200 * NS_PER_MS);
    rpc_waiter_end(&w);
    assert_int_equal(w.status.code, RPC_DEADLINE_EXCEEDED);
    await(&rpc_hold.saw_cancel);
    atomic_store(&rpc_hold.go, true);
    while (rpc_kit_ask_code(f->client, "/t.T/Hold", "v") == RPC_ABORTED) // its lock is given back
        (void)poll(NULL, 0, 1);
}

static void test_default_deadline(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    char *left = rpc_kit_ask(f->client, "/t.T/Deadline", "v", DEADLINE_NONE, &status);
    assert_string_equal(left, "33");
    free(left);
    left = rpc_kit_ask(f->client, "/t.T/Deadline", "v", clock_monotonic(&clock_system) + 100 * NS_PER_S, &status);
    assert_in_range(strtoul(left, NULL, 10), 90, 110); // gRPC rounds on the wire
    free(left);
}

static void test_cancel_reaches_the_handler(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_waiter w;
    rpc_waiter_begin(&w, f->client, "v", DEADLINE_NONE);
    rpc_client_cancel(f->client);
    rpc_waiter_end(&w);
    assert_int_equal(w.status.code, RPC_CANCELLED);
    await(&rpc_hold.saw_cancel);
}

static void test_busy_volume_is_aborted(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_waiter first, other;
    struct rpc_status status;
    rpc_waiter_begin(&first, f->client, "v", DEADLINE_NONE);
    assert_null(rpc_kit_ask(f->client, "/t.T/Hold", "v", DEADLINE_NONE, &status));
    assert_int_equal(status.code, RPC_ABORTED);
    assert_non_null(strstr(status.message, "volume 'v'"));
    rpc_waiter_begin(&other, f->client, "w", DEADLINE_NONE);
    atomic_store(&rpc_hold.go, true);
    rpc_waiter_end(&first);
    rpc_waiter_end(&other);
    assert_int_equal(first.status.code, RPC_OK);
    assert_int_equal(other.status.code, RPC_OK);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Hold", "v"), RPC_OK);
}

static void test_quick_calls_pass_a_full_pool(void **state) {
    struct rpc_kit *f = *state;
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct rpc_waiter w[4];
    for (size_t i = 0; i < 4; i++)
        rpc_waiter_begin(&w[i], f->client, ids[i], DEADLINE_NONE);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Quick", "a"), RPC_OK);
    atomic_store(&rpc_hold.go, true);
    for (size_t i = 0; i < 4; i++) {
        rpc_waiter_end(&w[i]);
        assert_int_equal(w[i].status.code, RPC_OK);
    }
}

static void *run_stop(void *arg) {
    return rpc_server_stop(arg, 60000);
}

static void test_graceful_stop(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_waiter w;
    pthread_t stopper;
    rpc_waiter_begin(&w, f->client, "v", DEADLINE_NONE);
    assert_int_equal(pthread_create(&stopper, NULL, run_stop, take_ptr(f->server)), 0);
    struct rpc_status status;
    do // until the stop has begun
        free(rpc_kit_ask(f->client, "/t.T/Echo", "a", DEADLINE_NONE, &status));
    while (status.code == RPC_OK);
    assert_int_equal(status.code, RPC_UNAVAILABLE);
    atomic_store(&rpc_hold.go, true);
    rpc_waiter_end(&w);
    assert_int_equal(w.status.code, RPC_OK);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", "a"), RPC_UNAVAILABLE);
}

struct loader { // calls until it is refused
    pthread_t thread;
    struct rpc_client *client;
    int answered;
    enum rpc_code refusal;
};

static void *run_loader(void *arg) {
    struct loader *l = arg;
    while ((l->refusal = rpc_kit_ask_code(l->client, "/t.T/Echo", "a")) == RPC_OK)
        l->answered++;
    return NULL;
}

// What ran is answered, what comes is refused, and nothing that was carried out is refused.
static void test_graceful_stop_under_load(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_waiter held[2];
    struct loader loaders[4] = {0};
    pthread_t stopper;
    struct err err = ERR_NONE;
    int answered = 0;
    rpc_waiter_begin(&held[0], f->client, "v", DEADLINE_NONE);
    rpc_waiter_begin(&held[1], f->client, "w", DEADLINE_NONE);
    for (size_t i = 0; i < ARRAY_SIZE(loaders); i++) {
        assert_int_equal(rpc_client_connect(f->socket, &loaders[i].client, &err), 0);
        assert_int_equal(pthread_create(&loaders[i].thread, NULL, run_loader, &loaders[i]), 0);
    }
    await(&rpc_hold.echoed);
    assert_int_equal(pthread_create(&stopper, NULL, run_stop, take_ptr(f->server)), 0);
    for (size_t i = 0; i < ARRAY_SIZE(loaders); i++) { // ends as the held calls still run
        assert_int_equal(pthread_join(loaders[i].thread, NULL), 0);
        assert_int_equal(loaders[i].refusal, RPC_UNAVAILABLE);
        answered += loaders[i].answered;
        loaders[i].client = rpc_client_free(loaders[i].client);
    }
    assert_int_equal(answered, atomic_load(&rpc_hold.echoed));
    atomic_store(&rpc_hold.go, true);
    for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
        rpc_waiter_end(&held[i]);
        assert_int_equal(held[i].status.code, RPC_OK);
    }
    assert_int_equal(pthread_join(stopper, NULL), 0);
}

static void test_stop_cancels_after_the_grace(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_waiter w;
    rpc_waiter_begin(&w, f->client, "v", DEADLINE_NONE);
    f->server = rpc_server_stop(f->server, 1);
    rpc_waiter_end(&w);
    assert_int_not_equal(w.status.code, RPC_OK);
    assert_int_equal(atomic_load(&rpc_hold.saw_cancel), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rpc_kit_setup, rpc_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_deadline_reaches_the_handler), T(test_default_deadline),
        T(test_cancel_reaches_the_handler),   T(test_busy_volume_is_aborted),
        T(test_quick_calls_pass_a_full_pool), T(test_graceful_stop),
        T(test_graceful_stop_under_load),     T(test_stop_cancels_after_the_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
