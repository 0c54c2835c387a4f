// SPDX-License-Identifier: Apache-2.0
// What is kept of the cluster: only what was asked for, found by an index, told when it changes, whole again after every list.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/kube/cache.h"
#include "lib/kube/object.h"

#define VOLUME(name, class, extra)                                                                                     \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"5\",\"managedFields\":[{\"x\":1}]},\"spec\":{"         \
    "\"class\":\"" class "\",\"secret\":\"s\"" extra "}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define LIST(items) "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" items "]}"
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const kept[] = {"metadata.name", "metadata.namespace", "spec.class", "spec.size", NULL};
static struct {
    struct kube *kube;
    struct fake_kube *fake;
    struct kube_cache *cache;
    struct str told;
} kit;

static void on_changed(void *arg, const char *key, const char *index) {
    (void)str_printf(arg, "%s@%s ", key, index ? index : "");
}

// The texts are the caller's, who lets go of them.
static void open_cache(const struct fake_answer *answers, size_t count) {
    char *collection cleanup_free = mem_strdup("/api/v1/volumes");
    kit.kube = fake_kube_new(answers, count, &kit.fake);
    const struct kube_cache_options options = {.kube = kit.kube,
                                               .collection = collection,
                                               .kept = kept,
                                               .index = "spec.class",
                                               .changed = on_changed,
                                               .arg = &kit.told,
                                               .clock = &fake_kube_clock};
    assert_int_equal(kube_cache_new(&options, &kit.cache, NULL), 0);
}
#define OPEN(answers) open_cache(answers, ARRAY_SIZE(answers))
static int tear_down(void **state) {
    (void)state;
    (void)mem_fail_nth(0);
    kit.cache = kube_cache_free(kit.cache);
    kit.kube = kube_free(kit.kube);
    str_done(&kit.told);
    return 0;
}
static int step(void) {
    return kube_cache_step(kit.cache, NULL);
}
static void expect_told(const char *text) {
    assert_string_equal(str_text(&kit.told), text);
    str_done(&kit.told);
}
static int add_name(void *arg, const struct json *object) {
    return str_printf(arg, "%s ", kube_name(object));
}
static void expect_indexed(const char *index, const char *names) {
    struct str found cleanup_str = {0};
    assert_int_equal(kube_cache_each(kit.cache, index, add_name, &found, NULL), 0);
    assert_string_equal(str_text(&found), names);
}

static void only_what_was_asked_for_is_kept(void **state) {
    const struct fake_answer answers[] = {{.chunks = TEXTS(LIST(VOLUME("a", "fast", "")))}, {.result = -ECANCELED}};
    struct json *object cleanup(json_freep) = NULL;
    (void)state;
    OPEN(answers);
    assert_false(kube_cache_is_whole(kit.cache));
    assert_int_equal(step(), -ECANCELED);
    assert_true(kube_cache_is_whole(kit.cache));
    assert_int_equal(kube_cache_get(kit.cache, "a", &object, NULL), 0);
    char *text cleanup_free = json_dump(object, false);
    assert_string_equal(text, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"class\":\"fast\"}}");
    struct json *none = NULL;
    assert_int_equal(kube_cache_get(kit.cache, "b", &none, NULL), -ENOENT);
}

static void what_nobody_reads_makes_no_work(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST(VOLUME("a", "fast", "")))},
        {.chunks = TEXTS(EVENT("MODIFIED", VOLUME("a", "fast", ",\"other\":7")),
                         EVENT("MODIFIED", VOLUME("a", "fast", ",\"size\":\"1Gi\"")))}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    expect_told("a@fast a@fast "); // listed, and with another size
}

static void one_that_changes_its_index_is_told_for_both(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST(VOLUME("a", "fast", "") "," VOLUME("b", "fast", "") "," VOLUME("c", "slow", "")))},
        {.chunks = TEXTS(EVENT("MODIFIED", VOLUME("a", "slow", "")), EVENT("DELETED", VOLUME("c", "slow", "")))}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    expect_told("a@fast b@fast c@slow a@slow a@fast c@slow ");
    expect_indexed("fast", "b ");
    expect_indexed("slow", "a ");
    expect_indexed("none", "");
    assert_int_equal(kube_cache_count(kit.cache), 2);
}

static void what_a_new_list_does_not_name_is_gone(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST(VOLUME("a", "fast", "") "," VOLUME("b", "fast", "") "," VOLUME("c", "slow", "")))},
        {.result = -ESTALE},
        {.chunks = TEXTS(LIST(VOLUME("b", "fast", "")))},
        {.result = -ECANCELED}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -ESTALE);
    str_done(&kit.told);
    assert_int_equal(step(), -ECANCELED);
    assert_non_null(strstr(str_text(&kit.told), "a@fast "));
    assert_non_null(strstr(str_text(&kit.told), "c@slow "));
    assert_null(strstr(str_text(&kit.told), "b@")); // it is as it was
    expect_indexed("fast", "b ");
    expect_indexed("slow", "");
}

static atomic_bool asked;
static void note_asked(void) {
    atomic_store(&asked, true);
}

static void its_thread_tells_of_a_trouble_and_ends(void **state) {
    const struct fake_answer answers[] = {{.result = -EHOSTUNREACH, .during = note_asked}};
    (void)state;
    atomic_store(&asked, false);
    OPEN(answers);
    assert_int_equal(kube_cache_start(kit.cache, NULL), 0);
    while (!atomic_load(&asked)) // the test's own limit ends it
        (void)sched_yield();
    kit.cache = kube_cache_free(kit.cache);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

// A list that breaks off takes nothing away.
static void half_a_list_takes_nothing_away(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST(VOLUME("a", "fast", "") "," VOLUME("b", "fast", "")))},
        {.result = -ESTALE},
        {.chunks = TEXTS(
             "{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"x\"},\"items\":[" VOLUME("a", "fast", "") "]}")},
        {.result = -EIO}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -ESTALE);
    assert_int_equal(step(), -EIO);
    assert_int_equal(kube_cache_count(kit.cache), 2);
}

static int count_one(void *arg, const struct json *object) {
    (void)object;
    ++*(size_t *)arg;
    return 0;
}

// Whatever allocation fails: what is known and what the index finds are the same, and nothing leaks.
static void out_of_memory_leaves_it_consistent(void **state) {
    (void)state;
    for (long n = 1; n < 400; n++) {
        const struct fake_answer answers[] = {
            {.chunks = TEXTS(LIST(VOLUME("a", "fast", "") "," VOLUME("b", "slow", "")))},
            {.chunks = TEXTS(EVENT("MODIFIED", VOLUME("a", "slow", "")), EVENT("DELETED", VOLUME("b", "slow", "")))}};
        size_t found = 0;
        OPEN(answers);
        (void)mem_fail_nth(n);
        int r = step();
        long counted = mem_fail_nth(0);
        assert_int_equal(kube_cache_each(kit.cache, "fast", count_one, &found, NULL), 0);
        assert_int_equal(kube_cache_each(kit.cache, "slow", count_one, &found, NULL), 0);
        assert_int_equal(found, kube_cache_count(kit.cache));
        (void)tear_down(NULL);
        if (counted < n) {
            assert_int_equal(r, 0);
            return;
        }
    }
    fail_msg("it never works");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(only_what_was_asked_for_is_kept),
        TEST(what_nobody_reads_makes_no_work),
        TEST(one_that_changes_its_index_is_told_for_both),
        TEST(what_a_new_list_does_not_name_is_gone),
        TEST(its_thread_tells_of_a_trouble_and_ends),
        TEST(half_a_list_takes_nothing_away),
        TEST(out_of_memory_leaves_it_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
