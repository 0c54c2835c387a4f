// SPDX-License-Identifier: Apache-2.0
// One list answers for all objects of a workspace, and what was known stays known while the store is away.
#include "tests/fakes/fake_data_store.h"
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "controller/operator/survey.h"

static struct data_store *store;
static struct survey *survey;

static int set_up(void **state) {
    const struct data_store_options options = {
        .url = "http://store", .clock = &fake_kube_clock, .send = fake_data_store_send};
    (void)state;
    assert_int_equal(data_store_new(&options, &store, NULL), 0);
    assert_int_equal(survey_new(store, &fake_kube_clock, &survey, NULL), 0);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    survey = survey_free(survey);
    store = data_store_free(store);
    fake_data_store_forget();
    return 0;
}
static struct survey_answer get(enum survey_kind kind, const char *workspace, const char *name) {
    struct survey_answer answer;
    assert_int_equal(survey_get(survey, kind, workspace, name, &answer, NULL), 0);
    return answer;
}
static struct survey_answer wait_for(enum survey_kind kind, const char *workspace, const char *name) {
    struct survey_answer answer;
    while (!(answer = get(kind, workspace, name)).known)
        (void)sched_yield();
    return answer;
}

static void one_list_is_for_all_names_of_a_workspace(void **state) {
    static const struct fake_reply replies[] = {
        {"GET a/kv/namespaces", 0,
         "[{\"name\":\"x\",\"keys\":3,\"bytes\":40,\"version\":7},{\"name\":\"y\",\"keys\":1}]"},
        {"GET b/kv/namespaces", 0, "[]"},
    };
    (void)state;
    fake_data_store_set(replies, 2);
    struct survey_answer x = wait_for(SURVEY_KEYS, "a", "x");
    assert_true(x.found);
    assert_int_equal(x.row.count, 3);
    assert_int_equal(x.row.bytes, 40);
    assert_int_equal(x.row.version, 7);
    for (int i = 0; i < 100; i++)
        assert_true(get(SURVEY_KEYS, "a", "y").found);
    assert_false(get(SURVEY_KEYS, "a", "z").found);
    assert_false(wait_for(SURVEY_KEYS, "b", "x").found);
    assert_int_equal(fake_data_store_asked("GET a/"), 1);
    assert_int_equal(fake_data_store_asked("GET b/"), 1);
}

static void it_is_listed_again_when_old_and_keeps_what_it_knew(void **state) {
    static const struct fake_reply before[] = {{"GET", 0, "[{\"name\":\"q\",\"length\":5}]"}},
                                   away[] = {{"GET", -EHOSTUNREACH, "no route"}};
    struct survey_answer answer;
    (void)state;
    fake_data_store_set(before, 1);
    assert_int_equal(wait_for(SURVEY_QUEUES, "a", "q").row.count, 5);
    fake_data_store_set(away, 1);
    fake_kube_clock_add(29 * NS_PER_S);
    assert_int_equal(get(SURVEY_QUEUES, "a", "q").result, 0);
    assert_int_equal(fake_data_store_asked("GET"), 1);
    fake_kube_clock_add(2 * NS_PER_S);
    while ((answer = get(SURVEY_QUEUES, "a", "q")).result == 0)
        (void)sched_yield();
    assert_int_equal(answer.result, -EHOSTUNREACH);
    assert_string_equal(answer.message, "no route");
    assert_int_equal(answer.row.count, 5);
}

static void buckets_are_what_stands_before_the_first_slash(void **state) {
    static const struct fake_reply replies[] = {
        {"GET a/objects/private?limit=1000&after=m%2F2", 0,
         "{\"items\":[{\"key\":\"m/x/3\",\"size\":100}],\"nextContinuationToken\":\"\"}"},
        {"GET a/objects/private?limit=1000&after=", 0,
         "{\"items\":[{\"key\":\"/lead\",\"size\":9},{\"key\":\"alone\",\"size\":9},{\"key\":\"m-1/"
         "1\",\"size\":1},{\"key\":\"m/"
         "1\",\"size\":20},{\"key\":\"m/2\",\"size\":3}],\"nextContinuationToken\":\"m/2\"}"},
    };
    (void)state;
    fake_data_store_set(replies, 2);
    struct survey_answer m = wait_for(SURVEY_PRIVATE, "a", "m");
    assert_int_equal(m.row.count, 3);
    assert_int_equal(m.row.bytes, 123);
    assert_int_equal(get(SURVEY_PRIVATE, "a", "m-1").row.count, 1);
    assert_false(get(SURVEY_PRIVATE, "a", "alone").found);
    assert_int_equal(fake_data_store_asked("GET"), 2);
}

static void what_was_looked_at_is_known_before_the_next_list(void **state) {
    static const struct fake_reply replies[] = {{"GET a/kv/namespaces/new", 0, "{\"name\":\"new\",\"keys\":2}"},
                                                {"GET a/kv/namespaces", 0, "[]"}};
    struct survey_row row;
    (void)state;
    fake_data_store_set(replies, 2);
    assert_false(wait_for(SURVEY_KEYS, "a", "new").found);
    assert_int_equal(survey_look(survey, SURVEY_KEYS, "a", "new", &row, NULL), 0);
    assert_int_equal(row.count, 2);
    assert_int_equal(get(SURVEY_KEYS, "a", "new").row.count, 2);
}

static uint64_t digest(const char *text) {
    struct json *json cleanup(json_freep) = NULL;
    assert_int_equal(json_parse(text, strlen(text), 1000, &json, NULL), 0);
    return survey_settings(json);
}
static void settings_are_told_apart(void **state) {
    static const char a[] = "{\"dedup_ms\":1,\"visibility_ms\":2,\"delay_ms\":3,\"retention_ms\":4,\"max_receives\":5,"
                            "\"dead_letter\":\"d\"}",
                      b[] = "{\"length\":9,\"dead_letter\":\"d\",\"max_receives\":5,\"retention_ms\":4,\"delay_ms\":3,"
                            "\"visibility_ms\":2,\"dedup_ms\":1}",
                      c[] = "{\"dedup_ms\":1,\"visibility_ms\":2,\"delay_ms\":3,\"retention_ms\":4,\"max_receives\":5,"
                            "\"dead_letter\":\"\"}",
                      d[] = "{\"dedup_ms\":2,\"visibility_ms\":1,\"delay_ms\":3,\"retention_ms\":4,\"max_receives\":5,"
                            "\"dead_letter\":\"d\"}";
    (void)state;
    assert_true(digest(a) == digest(b));
    assert_true(digest(a) != digest(c));
    assert_true(digest(a) != digest(d));
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(one_list_is_for_all_names_of_a_workspace),
        T(it_is_listed_again_when_old_and_keeps_what_it_knew),
        T(buckets_are_what_stands_before_the_first_slash),
        T(what_was_looked_at_is_known_before_the_next_list),
        T(settings_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
