// SPDX-License-Identifier: Apache-2.0
// Who leads, told by a Lease alone: made, renewed, lost, over, given up.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/kube/lease.h"

#define PATH "/apis/coordination.k8s.io/v1/namespaces/stowage/leases"
#define HELD(by, version)                                                                                              \
    "{\"metadata\":{\"name\":\"op\",\"labels\":{\"x\":\"y\"},\"resourceVersion\":\"" version                           \
    "\"},\"spec\":{\"holderIdentity\":\"" by                                                                           \
    "\",\"leaseDurationSeconds\":15,\"leaseTransitions\":4,\"acquireTime\":\"2026-01-01T00:00:00.000000Z\"}}"
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct {
    struct kube *kube;
    struct fake_kube *fake;
    struct kube_lease *lease;
} kit;

static void open_lease(const struct fake_answer *answers, size_t count) {
    kit.kube = fake_kube_new(answers, count, &kit.fake);
    const struct kube_lease_options options = {
        .kube = kit.kube, .ns = "stowage", .name = "op", .identity = "me", .clock = &fake_kube_clock};
    assert_int_equal(kube_lease_new(&options, &kit.lease, NULL), 0);
}
#define OPEN(answers) open_lease(answers, ARRAY_SIZE(answers))
static int tear_down(void **state) {
    (void)state;
    kit.lease = kube_lease_free(kit.lease);
    kit.kube = kube_free(kit.kube);
    return 0;
}
static int step(void) {
    return kube_lease_step(kit.lease, NULL);
}

static void one_that_is_not_there_is_made(void **state) {
    const struct fake_answer answers[] = {
        {"GET " PATH "/op ", .result = -ENOENT},
        {"POST " PATH " ", "\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15", .chunks = TEXTS("{}")},
    };
    (void)state;
    OPEN(answers);
    assert_false(kube_lease_is_held(kit.lease));
    assert_int_equal(step(), 0);
    assert_true(kube_lease_is_held(kit.lease));
}

static void of_two_that_make_it_one_waits(void **state) {
    const struct fake_answer answers[] = {{.result = -ENOENT}, {"POST ", .result = -EEXIST}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -EAGAIN);
    assert_false(kube_lease_is_held(kit.lease));
}

// The chart makes it without a holder; what it wrote there stays.
static void an_empty_one_is_taken_at_once(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS("{\"metadata\":{\"name\":\"op\",\"labels\":{\"x\":\"y\"},\"resourceVersion\":\"3\"}}")},
        {"PUT " PATH "/op ", "\"labels\":{\"x\":\"y\"},\"resourceVersion\":\"3\"", .chunks = TEXTS("{}")},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    assert_true(kube_lease_is_held(kit.lease));
}

static void another_holder_is_waited_for_until_its_lease_stands_still(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(HELD("other", "1"))},
        {.chunks = TEXTS(HELD("other", "2"))},
        {.chunks = TEXTS(HELD("other", "2"))},
        {.chunks = TEXTS(HELD("other", "2"))},
        {"PUT ", "\"leaseTransitions\":5", .chunks = TEXTS("{}")},
    };
    struct err err = ERR_NONE;
    (void)state;
    OPEN(answers);
    assert_int_equal(kube_lease_step(kit.lease, &err), -EAGAIN);
    assert_string_equal(err.msg, "other leads");
    fake_kube_clock_add(16 * NS_PER_S); // longer than it says, but it was renewed meanwhile
    assert_int_equal(step(), -EAGAIN);
    fake_kube_clock_add(14 * NS_PER_S);
    assert_int_equal(step(), -EAGAIN);
    fake_kube_clock_add(NS_PER_S);
    assert_int_equal(step(), 0);
    assert_true(kube_lease_is_held(kit.lease));
}

static void a_holder_that_cannot_renew_stops_before_others_begin(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(HELD("me", "1"))}, {"PUT ", "\"leaseTransitions\":4", .chunks = TEXTS("{}")},
        {.result = -EHOSTUNREACH},          {.chunks = TEXTS(HELD("me", "2"))},
        {"PUT ", .result = -EEXIST},        {.chunks = TEXTS(HELD("other", "3"))},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    fake_kube_clock_add(9 * NS_PER_S);
    assert_int_equal(step(), -EHOSTUNREACH);
    assert_true(kube_lease_is_held(kit.lease));
    fake_kube_clock_add(NS_PER_S);
    assert_false(kube_lease_is_held(kit.lease)); // 10 s of 15
    assert_int_equal(step(), -EAGAIN);           // somebody wrote it in between
    assert_false(kube_lease_is_held(kit.lease));
    assert_int_equal(step(), -EAGAIN);
    assert_false(kube_lease_is_held(kit.lease));
}

static void what_was_taken_away_is_not_held(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(HELD("me", "1"))}, {"PUT ", .chunks = TEXTS("{}")}, {.chunks = TEXTS(HELD("other", "3"))}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    assert_int_equal(step(), -EAGAIN);
    assert_false(kube_lease_is_held(kit.lease));
}

static void giving_up_lets_the_next_begin_at_once(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(HELD("me", "1"))},
        {"PUT ", .chunks = TEXTS("{}")},
        {.chunks = TEXTS(HELD("me", "2"))},
        {"PUT ", "\"holderIdentity\":\"\",\"leaseDurationSeconds\":1", .chunks = TEXTS("{}")},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    kube_lease_release(kit.lease);
    assert_int_equal(fake_kube_asked(kit.fake), 4);
    assert_false(kube_lease_is_held(kit.lease));
    kube_lease_release(kit.lease); // nothing to give: nobody is asked
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_not_there_is_made),
        TEST(of_two_that_make_it_one_waits),
        TEST(an_empty_one_is_taken_at_once),
        TEST(another_holder_is_waited_for_until_its_lease_stands_still),
        TEST(a_holder_that_cannot_renew_stops_before_others_begin),
        TEST(what_was_taken_away_is_not_held),
        TEST(giving_up_lets_the_next_begin_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
