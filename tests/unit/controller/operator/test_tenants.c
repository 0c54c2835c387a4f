// SPDX-License-Identifier: Apache-2.0
// KeyValue, Queue and Bucket against a store and an API server that answer as the test says.
#include "tests/fakes/fake_data_store.h"
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "controller/operator/survey.h"
#include "controller/operator/tenants.h"
#include "lib/base/mem.h"

#define KV "/apis/stowage.dev/v1alpha1/namespaces/team/keyvalues/cfg"
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define META(name, more)                                                                                               \
    "\"metadata\":{\"name\":\"" name "\",\"namespace\":\"team\",\"uid\":\"u\",\"resourceVersion\":\"5\","              \
    "\"generation\":2" more "}"
#define HELD ",\"finalizers\":[\"stowage.dev/store\"]"
#define ENDING HELD ",\"deletionTimestamp\":\"1970-01-01T00:00:00Z\""
#define READY(reason)                                                                                                  \
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"" reason                                     \
    "\",\"message\":\"its keys can be read and "                                                                       \
    "written\",\"observedGeneration\":2,\"lastTransitionTime\":\"1970-01-01T00:00:00Z\"}]"

static struct {
    struct fake_kube *fake, *news_fake;
    struct kube *kube, *news_kube;
    const struct fake_answer *news; // Events that are told, and nothing else
    size_t news_count;
    struct kube_events *events;
    struct operator_context ctx;
} kit;

static void open_kit(const struct fake_answer *answers, size_t count, const char *url) {
    const struct data_store_options store = {
        .url = url, .patience_s = 60, .clock = &fake_kube_clock, .send = fake_data_store_send};
    fake_kube_clock_set(NS_PER_S);
    kit.kube = fake_kube_new(answers, count, &kit.fake);
    kit.news_kube = fake_kube_new(kit.news, kit.news_count, &kit.news_fake);
    const struct kube_events_options events = {
        .kube = kit.news_kube, .component = "op", .instance = "me", .clock = &fake_kube_clock};
    assert_int_equal(kube_events_new(&events, &kit.events, NULL), 0);
    kit.ctx = (struct operator_context){.kube = kit.kube, .events = kit.events, .clock = &fake_kube_clock};
    assert_int_equal(data_store_new(&store, &kit.ctx.store, NULL), 0);
    assert_int_equal(survey_new(kit.ctx.store, &fake_kube_clock, &kit.ctx.survey, NULL), 0);
}
#define OPEN(answers) open_kit(answers, ARRAY_SIZE(answers), "http://store:3500")
#define NEWS(events) (kit.news = (events), kit.news_count = ARRAY_SIZE(events)) // before OPEN
#define STORE(replies) fake_data_store_set(replies, ARRAY_SIZE(replies))
static int tear_down(void **state) {
    (void)state;
    kit.ctx.survey = survey_free(kit.ctx.survey);
    kit.ctx.store = data_store_free(kit.ctx.store);
    kit.events = kube_events_free(kit.events);
    assert_int_equal(fake_kube_asked(kit.news_fake), kit.news_count);
    kit.news_kube = kube_free(kit.news_kube);
    kit.news = NULL;
    kit.news_count = 0;
    kit.kube = kube_free(kit.kube);
    fake_data_store_forget();
    return 0;
}

static int reconcile(const struct reconciler *reconciler, const char *text, int64_t *ret_again_ms) {
    struct json *object cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    int64_t again_ms = 0;
    assert_int_equal(json_parse(text, strlen(text), 1 << 20, &object, &err), 0);
    int r = reconciler->reconcile(&kit.ctx, object, ret_again_ms ? ret_again_ms : &again_ms, &err);
    kube_events_flush(kit.events);
    if (r < 0)
        print_message("%s\n", err_text(&err));
    return r;
}
// Until the first list has come.
static void settle(const struct reconciler *reconciler, const char *text, int64_t *ret_again_ms) {
    do {
        *ret_again_ms = 0;
        assert_int_equal(reconcile(reconciler, text, ret_again_ms), 0);
        (void)sched_yield();
    } while (*ret_again_ms == 500);
}

// ---- KeyValue --------------------------------------------------------------------------------------------------------

static void a_finalizer_comes_first_and_only_where_something_is_to_be_removed(void **state) {
    const struct fake_answer answers[] = {
        {"PATCH " KV, "\"finalizers\":[\"stowage.dev/store\"]", .chunks = TEXTS("{}")},
        {"PATCH " KV, "\"finalizers\":[]", .chunks = TEXTS("{}")},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(reconcile(&keyvalue_reconciler, "{" META("cfg", "") ",\"spec\":{}}", NULL), 0);
    assert_int_equal(
        reconcile(&keyvalue_reconciler, "{" META("cfg", HELD) ",\"spec\":{\"deletionPolicy\":\"Retain\"}}", NULL), 0);
    assert_int_equal(fake_kube_asked(kit.fake), 2);
    assert_int_equal(fake_data_store_asked(""), 0);
}

static const struct fake_reply made[] = {
    {"POST team/kv/namespaces/cfg/batch", 0, "{}"},
    {"POST team/kv/namespaces/cfg", 0, "{\"name\":\"cfg\",\"created\":true}"},
    {"GET team/kv/namespaces/cfg", 0, "{\"name\":\"cfg\",\"keys\":3,\"bytes\":30,\"version\":3}"},
    {"GET team/kv/namespaces", 0, "[{\"name\":\"cfg\",\"keys\":3,\"bytes\":30,\"version\":3}]"},
};
static const struct fake_reply there[] = {
    {"POST team/kv/namespaces/cfg/batch", 0, "{}"},
    {"POST team/kv/namespaces/cfg", 0, "{\"name\":\"cfg\",\"created\":false}"},
    {"GET team/kv/namespaces/cfg", 0, "{\"name\":\"cfg\",\"keys\":3,\"bytes\":30,\"version\":9}"},
};
#define NEW "{" META("cfg", HELD) ",\"spec\":{}}"

// Seeds it with `first`, then as an object that has what was told of it, with `then`. Returns what is written the second time.
static const char *seed_twice(const char *first, const char *then) {
    static char whole[4096];
    char before[2048], digests[1024];
    const char *first_chunks[] = {before, NULL}, *whole_chunks[] = {whole, NULL};
    const struct fake_answer answers[] = {
        {"GET " KV, .chunks = first_chunks},
        {"PATCH " KV "/status", "\"keys\":3,\"bytes\":30,\"version\":3", .chunks = TEXTS("{}")},
        {"GET " KV, .chunks = whole_chunks},
        {"PATCH " KV "/status", "\"seeds\":{\"generation\":2", .chunks = TEXTS("{}")},
    };
    OPEN(answers);
    STORE(made);
    (void)snprintf(before, sizeof before, "{" META("cfg", HELD) ",\"spec\":%s}", first);
    assert_int_equal(reconcile(&keyvalue_reconciler, NEW, NULL), 0);
    const char *at = strstr(fake_kube_last(kit.fake), "\"digests\":\"");
    assert_non_null(at);
    (void)snprintf(digests, sizeof digests, "%.*s", (int)strcspn(at + 11, "\""), at + 11);
    (void)snprintf(whole, sizeof whole,
                   "{" META("cfg", HELD) ",\"spec\":%s,\"status\":{\"seeds\":{\"generation\":1,\"digests\":\"%s\"}}}",
                   then, digests);
    STORE(there);
    fake_data_store_forget();
    assert_int_equal(reconcile(&keyvalue_reconciler, NEW, NULL), 0);
    assert_int_equal(fake_kube_asked(kit.fake), 4);
    return fake_data_store_bodies("POST team/kv/namespaces/cfg/batch");
}

static void only_seeds_that_are_new_or_other_are_written_again(void **state) {
    (void)state;
    const char *written =
        seed_twice("{\"data\":{\"a\":\"1\",\"b\":\"2\"},\"binaryData\":{\"c\":\"AAE=\"}}",
                   "{\"data\":{\"a\":\"1\",\"b\":\"3\",\"d\":\"4\"},\"binaryData\":{\"c\":\"AAE=\"}}");
    assert_string_equal(written, "{\"changes\":[{\"op\":\"put\",\"key\":\"b\",\"value\":\"3\"},"
                                 "{\"op\":\"put\",\"key\":\"d\",\"value\":\"4\"}]}");
}

static void a_seed_that_moves_to_binary_data_is_another_one(void **state) {
    (void)state;
    const char *written = seed_twice("{\"data\":{\"a\":\"AAE=\"}}", "{\"binaryData\":{\"a\":\"AAE=\"}}");
    assert_string_equal(written, "{\"changes\":[{\"op\":\"put\",\"key\":\"a\",\"value_base64\":\"AAE=\"}]}");
}

static void seeds_that_are_as_before_are_not_written(void **state) {
    (void)state;
    assert_string_equal(seed_twice("{\"data\":{\"a\":\"1\"}}", "{\"data\":{\"a\":\"1\"}}"), "");
}

static void a_namespace_that_was_removed_gets_all_seeds_again(void **state) {
    const struct fake_answer answers[] = {
        {"GET " KV, .chunks = TEXTS("{" META("cfg", HELD) ",\"spec\":{\"data\":{\"a\":\"1\"}},\"status\":{\"seeds\":{"
                                                          "\"generation\":2,\"digests\":\"xxxxxxxxxxx=\"}}}")},
        {"PATCH " KV "/status", "\"seeds\":", .chunks = TEXTS("{}")},
    };
    static const struct fake_reply replies[] = {
        {"POST team/kv/namespaces/cfg/batch", 0, "{}"},
        {"POST team/kv/namespaces/cfg", 0, "{\"created\":true}"},
        {"GET team/kv/namespaces/cfg", 0, "{\"name\":\"cfg\",\"keys\":1}"},
        {"GET team/kv/namespaces", 0, "[]"},
    };
    int64_t again_ms = 0;
    (void)state;
    OPEN(answers);
    STORE(replies);
    settle(&keyvalue_reconciler, "{" META("cfg", HELD) ",\"spec\":{},\"status\":{\"seeds\":{\"generation\":2}}}",
           &again_ms);
    assert_int_equal(fake_data_store_asked("POST team/kv/namespaces/cfg/batch"), 1);
    assert_int_equal(fake_kube_asked(kit.fake), 2);
}

static void what_is_as_it_was_writes_nothing(void **state) {
    int64_t again_ms = 0;
    (void)state;
    open_kit(NULL, 0, "http://store:3500");
    STORE(made);
    settle(&keyvalue_reconciler,
           "{" META("cfg", HELD) ",\"spec\":{},\"status\":{\"observedGeneration\":2,\"keys\":3,\"bytes\":30,"
                                 "\"version\":3,\"seeds\":{\"generation\":2}," READY("NamespaceReady") "}}",
           &again_ms);
    assert_int_equal(again_ms, 30000);
    assert_int_equal(fake_data_store_asked("POST"), 0);
    assert_int_equal(fake_data_store_asked("GET team/kv/namespaces"), 1);
}

static void a_store_that_is_away_or_refuses_is_a_condition(void **state) {
    const struct fake_answer news[] = {
        {"POST /api/v1/namespaces/team/events ", "\"reason\":\"StoreUnreachable\"", .chunks = TEXTS("{}")},
        {"POST /api/v1/namespaces/team/events ", "\"reason\":\"StoreRefuses\"", .chunks = TEXTS("{}")}};
    const struct fake_answer answers[] = {
        {"PATCH " KV "/status", "\"status\":\"False\",\"reason\":\"StoreUnreachable\"", .chunks = TEXTS("{}")},
        {"PATCH " KV "/status", "--service-account NAMESPACE/NAME=all", .chunks = TEXTS("{}")}};
    static const struct fake_reply away[] = {{"", -EHOSTUNREACH, "no route"}}, refuses[] = {{"", -EACCES, "not you"}};
    int64_t again_ms = 0;
    (void)state;
    NEWS(news);
    OPEN(answers);
    STORE(away);
    assert_int_equal(reconcile(&keyvalue_reconciler, NEW, &again_ms), 0);
    assert_int_equal(again_ms, 6000);
    fake_kube_clock_add(6 * NS_PER_S);
    STORE(refuses);
    assert_int_equal(reconcile(&keyvalue_reconciler, NEW, &again_ms), 0);
    assert_int_equal(fake_kube_asked(kit.fake), 2);
}

static void without_a_store_it_says_so(void **state) {
    const struct fake_answer news[] = {{"POST /api/v1/namespaces/team/events ", .chunks = TEXTS("{}")}};
    const struct fake_answer answers[] = {{"PATCH " KV "/status", "store.enabled=true", .chunks = TEXTS("{}")}};
    (void)state;
    NEWS(news);
    open_kit(answers, ARRAY_SIZE(answers), NULL);
    assert_int_equal(reconcile(&keyvalue_reconciler, "{" META("cfg", "") ",\"spec\":{}}", NULL), 0);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

static void deleting_removes_the_namespace_or_keeps_it(void **state) {
    const struct fake_answer answers[] = {
        {"PATCH " KV, "\"finalizers\":[]", .chunks = TEXTS("{}")},
        {"PATCH " KV, "\"finalizers\":[]", .chunks = TEXTS("{}")},
    };
    static const struct fake_reply replies[] = {{"DELETE team/kv/namespaces/cfg", -ENOENT, NULL}};
    (void)state;
    OPEN(answers);
    STORE(replies);
    assert_int_equal(
        reconcile(&keyvalue_reconciler, "{" META("cfg", ENDING) ",\"spec\":{\"deletionPolicy\":\"Retain\"}}", NULL), 0);
    assert_int_equal(fake_data_store_asked("DELETE"), 0);
    assert_int_equal(reconcile(&keyvalue_reconciler, "{" META("cfg", ENDING) ",\"spec\":{}}", NULL), 0);
    assert_int_equal(fake_data_store_asked("DELETE"), 1);
    assert_int_equal(fake_kube_asked(kit.fake), 2);
}

static void a_store_that_is_gone_keeps_no_object(void **state) {
    const struct fake_answer news[] = {
        {"POST /api/v1/namespaces/team/events ", "\"reason\":\"StoreUnreachable\"", .chunks = TEXTS("{}")},
        {"POST /api/v1/namespaces/team/events ", "the keys of namespace 'cfg' stay in the store, in workspace 'team'",
         .chunks = TEXTS("{}")}};
    const struct fake_answer answers[] = {{"PATCH " KV "/status", "StoreUnreachable", .chunks = TEXTS("{}")},
                                          {"PATCH " KV, "\"finalizers\":[]", .chunks = TEXTS("{}")}};
    static const struct fake_reply away[] = {{"", -EHOSTUNREACH, "no route"}};
    static const char object[] = "{" META("cfg", ENDING) ",\"spec\":{}}";
    int64_t again_ms = 0;
    (void)state;
    NEWS(news);
    OPEN(answers);
    STORE(away);
    assert_int_equal(reconcile(&keyvalue_reconciler, object, &again_ms), 0);
    assert_int_equal(again_ms, 6000);
    fake_kube_clock_add(59 * NS_PER_S);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
    fake_kube_clock_add(NS_PER_S);
    assert_int_equal(reconcile(&keyvalue_reconciler, object, &again_ms), 0);
    assert_int_equal(fake_kube_asked(kit.fake), 2);
}

// ---- Queue and Bucket ------------------------------------------------------------------------------------------------

#define MQ "/apis/stowage.dev/v1alpha1/namespaces/team/queues/jobs"
#define JOBS                                                                                                           \
    "{" META("jobs", HELD) ",\"spec\":{\"dedupWindowSeconds\":60,\"visibilitySeconds\":90,\"deadLetter\":{\"queue\":"  \
                           "\"dead\",\"maxReceives\":3}}}"

static void a_queue_has_the_settings_of_its_object(void **state) {
    const struct fake_answer answers[] = {
        {"PATCH " MQ "/status", "\"length\":4,\"oldestAge\":\"3h\"", .chunks = TEXTS("{}")}};
    static const struct fake_reply replies[] = {
        {"PUT team/queue/jobs", 0, "{}"},
        {"GET team/queue/jobs", 0, "{\"name\":\"jobs\",\"length\":4,\"oldest_ms\":12000000}"},
        {"GET team/queue", 0, "[]"},
    };
    (void)state;
    OPEN(answers);
    STORE(replies);
    assert_int_equal(reconcile(&queue_reconciler, JOBS, NULL), 0);
    assert_string_equal(fake_data_store_bodies("PUT team/queue/jobs"),
                        "{\"dedup_ms\":60000,\"visibility_ms\":90000,\"delay_ms\":0,\"retention_ms\":0,"
                        "\"max_receives\":3,\"dead_letter\":\"dead\"}");
}

static void a_queue_with_its_settings_is_not_configured_again(void **state) {
    const struct fake_answer answers[] = {{"PATCH " MQ "/status", "\"length\":0", .chunks = TEXTS("{}")}};
    static const struct fake_reply replies[] = {
        {"GET team/queue", 0,
         "[{\"name\":\"jobs\",\"length\":0,\"dedup_ms\":60000,\"visibility_ms\":90000,\"delay_ms\":0,"
         "\"retention_ms\":0,\"max_receives\":3,\"dead_letter\":\"dead\"}]"}};
    struct survey_answer answer;
    (void)state;
    OPEN(answers);
    STORE(replies);
    do
        assert_int_equal(survey_get(kit.ctx.survey, SURVEY_QUEUES, "team", "jobs", &answer, NULL), 0);
    while (!answer.known);
    assert_int_equal(reconcile(&queue_reconciler, JOBS, NULL), 0);
    assert_int_equal(fake_data_store_asked("PUT"), 0);
}

static void a_queue_whose_dead_letter_queue_is_missing_is_there_all_the_same(void **state) {
    const struct fake_answer news[] = {
        {"POST /api/v1/namespaces/team/events ", "\"reason\":\"DeadLetterMissing\"", .chunks = TEXTS("{}")}};
    const struct fake_answer answers[] = {
        {"PATCH " MQ "/status", "there is no queue 'dead' in this namespace", .chunks = TEXTS("{}")}};
    static const struct fake_reply replies[] = {
        {"PUT team/queue/jobs", -ENOENT, "no queue 'dead'", .sent = "\"dead_letter\":\"dead\""},
        {"PUT team/queue/jobs", 0, "{}", .sent = "\"max_receives\":0,\"dead_letter\":\"\""},
        {"GET team/queue/jobs", 0, "{\"name\":\"jobs\",\"length\":0}"},
        {"GET team/queue", 0, "[]"},
    };
    int64_t again_ms = 0;
    (void)state;
    NEWS(news);
    OPEN(answers);
    STORE(replies);
    assert_int_equal(reconcile(&queue_reconciler, JOBS, &again_ms), 0);
    assert_int_equal(again_ms, 5000);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

#define BKT "/apis/stowage.dev/v1alpha1/namespaces/team/buckets/models"

static void a_bucket_counts_what_is_below_its_name(void **state) {
    const struct fake_answer answers[] = {
        {"PATCH " BKT "/status",
         "\"objects\":1,\"bytes\":7,\"url\":\"http://store:3500/api/v2/workspaces/team/objects/public/models/\"",
         .chunks = TEXTS("{}")}};
    static const struct fake_reply replies[] = {
        {"GET team/objects/public", 0, "{\"items\":[{\"key\":\"models/a\",\"size\":7},{\"key\":\"x\",\"size\":1}]}"}};
    int64_t again_ms = 0;
    (void)state;
    OPEN(answers);
    STORE(replies);
    settle(&bucket_reconciler,
           "{" META("models", "") ",\"spec\":{\"access\":\"Public\",\"deletionPolicy\":\"Retain\"}}", &again_ms);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

static void a_bucket_is_emptied_page_by_page(void **state) {
    const struct fake_answer answers[] = {{"PATCH " BKT, "\"finalizers\":[]", .chunks = TEXTS("{}")}};
    static const struct fake_reply first[] = {
        {"GET team/objects/private?limit=100&prefix=models%2F", 0,
         "{\"items\":[{\"key\":\"models/a b\"},{\"key\":\"models/c\"}],\"nextContinuationToken\":\"models/c\"}"},
        {"DELETE team/objects/private/models/", 0, NULL}};
    static const struct fake_reply last[] = {
        {"GET", 0, "{\"items\":[{\"key\":\"models/d\"}],\"nextContinuationToken\":\"\"}"}, {"DELETE", -ENOENT, NULL}};
    static const char object[] =
        "{" META("models", ENDING) ",\"spec\":{\"access\":\"Private\",\"deletionPolicy\":\"Delete\"}}";
    int64_t again_ms = 0;
    (void)state;
    OPEN(answers);
    STORE(first);
    assert_int_equal(reconcile(&bucket_reconciler, object, &again_ms), 0);
    assert_int_equal(again_ms, 10);
    assert_int_equal(fake_data_store_asked("DELETE team/objects/private/models/a%20b"), 1);
    assert_int_equal(fake_kube_asked(kit.fake), 0);
    STORE(last);
    assert_int_equal(reconcile(&bucket_reconciler, object, &again_ms), 0);
    assert_int_equal(fake_data_store_asked("DELETE"), 3);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

int main(void) {
#define T(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_finalizer_comes_first_and_only_where_something_is_to_be_removed),
        T(only_seeds_that_are_new_or_other_are_written_again),
        T(a_seed_that_moves_to_binary_data_is_another_one),
        T(seeds_that_are_as_before_are_not_written),
        T(a_namespace_that_was_removed_gets_all_seeds_again),
        T(what_is_as_it_was_writes_nothing),
        T(a_store_that_is_away_or_refuses_is_a_condition),
        T(without_a_store_it_says_so),
        T(deleting_removes_the_namespace_or_keeps_it),
        T(a_store_that_is_gone_keeps_no_object),
        T(a_queue_has_the_settings_of_its_object),
        T(a_queue_with_its_settings_is_not_configured_again),
        T(a_queue_whose_dead_letter_queue_is_missing_is_there_all_the_same),
        T(a_bucket_counts_what_is_below_its_name),
        T(a_bucket_is_emptied_page_by_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
