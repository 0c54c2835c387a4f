// SPDX-License-Identifier: Apache-2.0
// What is known of tokens, for how long, and what happens while the cluster cannot be asked.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "sidecar/reviews.h"
#include "tests/support/cm.h"

static struct {
    _Atomic int64_t now_s;
    atomic_int asked, seen, says; // says: 0, or the -errno of the next answers
    char account[64];
    sem_t told, gate;
    atomic_bool gated;
    _Atomic int result;
    struct reviews *reviews;
    struct review_rule rules[4];
} kit;

static int64_t monotonic_ns(void *ctx) {
    (void)ctx;
    return atomic_load(&kit.now_s) * NS_PER_S;
}
static int64_t wall_ns(void *ctx) {
    (void)ctx;
    return (INT64_C(1700000000) + atomic_load(&kit.now_s)) * NS_PER_S;
}
static const struct clock_ops ops = {.monotonic_ns = monotonic_ns, .wall_ns = wall_ns};
static const struct clock frozen = {.ops = &ops};

static int ask(void *arg, const char *token, struct review_account *ret, struct err *err) {
    (void)arg;
    atomic_fetch_add(&kit.asked, 1);
    if (atomic_load(&kit.gated))
        (void)sem_wait(&kit.gate);
    if (atomic_load(&kit.says) < 0)
        return err_set(err, atomic_load(&kit.says), "no word of %zu bytes", strlen(token));
    (void)snprintf(ret->ns, sizeof ret->ns, "team-a");
    (void)snprintf(ret->name, sizeof ret->name, "%s", kit.account);
    return 0;
}

static void workspace_seen(void *arg, const char *workspace) {
    (void)arg;
    assert_true(str_eq(workspace, "team-a") || str_eq(workspace, "team-b"));
    atomic_fetch_add(&kit.seen, 1);
}

static void done(void *arg, int r, const struct err *err) {
    (void)arg;
    (void)err;
    atomic_store(&kit.result, r);
    (void)sem_post(&kit.told);
}

static int set_up(void **state) {
    (void)state;
    memset(&kit, 0, sizeof kit);
    (void)sem_init(&kit.told, 0, 0);
    (void)sem_init(&kit.gate, 0, 0);
    (void)snprintf(kit.account, sizeof kit.account, "default");
    assert_int_equal(review_rule_parse("team-a/reader=read", &kit.rules[0], NULL), 0);
    assert_int_equal(review_rule_parse("*/outsider=none", &kit.rules[1], NULL), 0);
    assert_int_equal(review_rule_parse("other/*=none", &kit.rules[2], NULL), 0);
    assert_int_equal(review_rule_parse("team-a/operator=all", &kit.rules[3], NULL), 0);
    struct reviews_options options = {ask, workspace_seen, NULL, &frozen, kit.rules, ARRAY_SIZE(kit.rules)};
    return reviews_new(&options, &kit.reviews, NULL);
}

static int tear_down(void **state) {
    (void)state;
    kit.reviews = reviews_free(kit.reviews);
    for (size_t i = 0; i < ARRAY_SIZE(kit.rules); i++)
        review_rule_done(&kit.rules[i]);
    return 0;
}

static int find(const char *token, struct principal *ret) {
    struct err err = ERR_NONE;
    return reviews_find(kit.reviews, token, ret, &err);
}
// As a request does: looks, asks when it must, looks again.
static int come(const char *token, struct principal *ret) {
    int r = find(token, ret);
    if (r != -EINPROGRESS)
        return r;
    reviews_ask(kit.reviews, token, done, NULL);
    (void)sem_wait(&kit.told);
    if (atomic_load(&kit.result) < 0)
        return atomic_load(&kit.result);
    r = find(token, ret);
    assert_int_not_equal(r, -EINPROGRESS);
    return r;
}
static void pass(int64_t s) {
    atomic_fetch_add(&kit.now_s, s);
}
static void wait_for_asked(int count) {
    for (int i = 0; i < 10000 && atomic_load(&kit.asked) < count; i++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&kit.asked), count);
}

static void a_token_is_of_its_namespace(void **state) {
    struct principal who = {0};
    (void)state;
    assert_int_equal(find("a.b.c", &who), -EINPROGRESS);
    assert_int_equal(come("a.b.c", &who), 0);
    assert_string_equal(who.workspace, "team-a");
    assert_true(who.write);
    assert_true(who.by_token);
    assert_int_equal(come("d.e.f", &who), 0);
    assert_int_equal(atomic_load(&kit.asked), 2);
    assert_int_equal(atomic_load(&kit.seen), 1);
}

static void rules_restrict(void **state) {
    struct principal who = {0};
    (void)state;
    (void)snprintf(kit.account, sizeof kit.account, "reader");
    assert_int_equal(come("r.r.r", &who), 0);
    assert_false(who.write);
    (void)snprintf(kit.account, sizeof kit.account, "outsider");
    assert_int_equal(come("o.o.o", &who), -EACCES);
    assert_int_equal(find("o.o.o", &who), -EACCES);
}

static void one_account_may_use_every_workspace(void **state) {
    struct principal who = {0};
    (void)state;
    assert_int_equal(come("a.b.c", &who), 0);
    assert_false(who.every_workspace);
    (void)snprintf(kit.account, sizeof kit.account, "operator");
    assert_int_equal(come("o.p.r", &who), 0);
    assert_true(who.every_workspace);
    assert_true(who.write);
    assert_string_equal(who.workspace, "team-a");
    for (int i = 0; i < 3; i++)
        reviews_enter(kit.reviews, "team-b");
    assert_int_equal(atomic_load(&kit.seen), 2); // its quota is set once
}

static void rules_are_checked(void **state) {
    static const char *const wrong[] = {"",        "a",       "a=read",  "a/b",     "a/b=every", "*/b=all",
                                        "a/*=all", "*/*=all", "/b=read", "a/=read", "a/b=",      "a/b=read "};
    struct review_rule rule = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(review_rule_parse(wrong[i], &rule, NULL), -EINVAL);
}

static void a_yes_is_asked_again_in_time(void **state) {
    struct principal who;
    (void)state;
    assert_int_equal(come("a.b.c", &who), 0);
    pass(REVIEWS_FRESH_S - 1);
    assert_int_equal(find("a.b.c", &who), 0);
    assert_int_equal(atomic_load(&kit.asked), 1);
    pass(1);
    assert_int_equal(find("a.b.c", &who), 0); // and on the side
    wait_for_asked(2);
    reviews_ask(kit.reviews, "a.b.c", done, NULL); // its answer comes with or after that one's
    (void)sem_wait(&kit.told);
    pass(REVIEWS_ASK_S);
    assert_int_equal(find("a.b.c", &who), -EINPROGRESS); // nobody came: not before it is asked
    atomic_store(&kit.says, -EPERM);
    assert_int_equal(come("a.b.c", &who), -EPERM); // meanwhile its pod is gone
}

static void a_no_is_kept_shortly(void **state) {
    struct principal who;
    (void)state;
    atomic_store(&kit.says, -EPERM);
    assert_int_equal(come("a.b.c", &who), -EPERM);
    pass(REVIEWS_NO_S - 1);
    assert_int_equal(come("a.b.c", &who), -EPERM);
    assert_int_equal(atomic_load(&kit.asked), 1);
    atomic_store(&kit.says, 0);
    pass(1);
    assert_int_equal(come("a.b.c", &who), 0);
}

static void a_cluster_that_is_away_leaves_what_it_said(void **state) {
    struct principal who;
    (void)state;
    assert_int_equal(come("a.b.c", &who), 0);
    atomic_store(&kit.says, -EHOSTUNREACH);
    assert_int_equal(come("new.new.new", &who), -EHOSTDOWN);
    int64_t passed = 0;
    for (; passed < REVIEWS_KEPT_S - 50; passed += 50) {
        pass(50);
        assert_int_equal(come("a.b.c", &who), 0);
    }
    pass(51); // KEPT_S after the last yes
    assert_int_equal(come("a.b.c", &who), -EHOSTDOWN);
    atomic_store(&kit.says, 0);
    assert_int_equal(come("a.b.c", &who), 0);
    assert_int_equal(come("new.new.new", &who), 0);
}

static void many_that_wait_for_one_token_ask_once(void **state) {
    struct principal who;
    (void)state;
    atomic_store(&kit.gated, true);
    for (int i = 0; i < REVIEWS_WAITING; i++)
        reviews_ask(kit.reviews, "a.b.c", done, NULL);
    reviews_ask(kit.reviews, "a.b.c", done, NULL); // one too many is told at once
    (void)sem_wait(&kit.told);
    assert_int_equal(atomic_load(&kit.result), -EHOSTDOWN);
    (void)sem_post(&kit.gate);
    for (int i = 0; i < REVIEWS_WAITING; i++)
        (void)sem_wait(&kit.told);
    assert_int_equal(atomic_load(&kit.result), 0);
    assert_int_equal(atomic_load(&kit.asked), 1);
    assert_int_equal(find("a.b.c", &who), 0);
}

static void the_number_of_tokens_is_limited(void **state) {
    struct principal who;
    char token[32];
    (void)state;
    for (int i = 0; i < REVIEWS_MAX + 10; i++) {
        (void)snprintf(token, sizeof token, "t.%d.x", i);
        assert_int_equal(come(token, &who), 0);
    }
    int known = 0;
    for (int i = 0; i < REVIEWS_MAX + 10; i++) {
        (void)snprintf(token, sizeof token, "t.%d.x", i);
        known += find(token, &who) == 0;
    }
    assert_int_equal(known, REVIEWS_MAX);
}

static void a_token_ends_when_it_says(void **state) {
    struct principal who;
    (void)state; // {"exp":1700000020}
    assert_int_equal(come("x.eyJleHAiOjE3MDAwMDAwMjB9.y", &who), 0);
    assert_true(who.expires_ms == INT64_C(1700000020000));
    pass(20);
    assert_int_equal(find("x.eyJleHAiOjE3MDAwMDAwMjB9.y", &who), -EPERM);
}

static void an_end_tells_who_waits(void **state) {
    (void)state;
    atomic_store(&kit.gated, true);
    reviews_ask(kit.reviews, "a.a.a", done, NULL);
    reviews_ask(kit.reviews, "b.b.b", done, NULL);
    reviews_ask(kit.reviews, "c.c.c", done, NULL); // has no thread yet
    for (int i = 0; i < 3; i++)
        (void)sem_post(&kit.gate);
    kit.reviews = reviews_free(kit.reviews);
    for (int i = 0; i < 3; i++)
        (void)sem_wait(&kit.told);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_token_is_of_its_namespace),
        T(rules_restrict),
        T(one_account_may_use_every_workspace),
        T(rules_are_checked),
        T(a_yes_is_asked_again_in_time),
        T(a_no_is_kept_shortly),
        T(a_cluster_that_is_away_leaves_what_it_said),
        T(many_that_wait_for_one_token_ask_once),
        T(the_number_of_tokens_is_limited),
        T(a_token_ends_when_it_says),
        T(an_end_tells_who_waits),
    };
    return cmocka_run_group_tests_name("reviews of tokens", tests, NULL, NULL);
}
