// SPDX-License-Identifier: Apache-2.0
// Events: told once, then counted; told anew when the cluster has forgotten them.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/kube/event.h"

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
static struct {
    struct kube *kube;
    struct fake_kube *fake;
    struct kube_events *events;
    struct json *object;
} kit;

static void open_events(const struct fake_answer *answers, size_t count) {
    static const char text[] = "{\"metadata\":{\"name\":\"training\",\"uid\":\"u-1\",\"resourceVersion\":\"9\"}}";
    kit.kube = fake_kube_new(answers, count, &kit.fake);
    const struct kube_events_options options = {
        .kube = kit.kube, .component = "op", .instance = "me", .clock = &fake_kube_clock};
    assert_int_equal(json_parse(text, strlen(text), 1000, &kit.object, NULL), 0);
    assert_int_equal(kube_events_new(&options, &kit.events, NULL), 0);
}
#define OPEN(answers) open_events(answers, ARRAY_SIZE(answers))
static int tear_down(void **state) {
    (void)state;
    kit.events = kube_events_free(kit.events);
    kit.object = json_free(kit.object);
    kit.kube = kube_free(kit.kube);
    return 0;
}
static void tell(const char *message) {
    const struct kube_subject subject = {
        .api_version = "stowage.dev/v1alpha1", .kind = "FileSystem", .object = kit.object};
    kube_event(kit.events, &subject, true, "VolumesInUse", message);
    kube_events_flush(kit.events);
    fake_kube_clock_add(11 * NS_PER_S);
}

static void the_same_is_counted_and_something_else_is_told(void **state) {
    const struct fake_answer answers[] = {
        {"POST /api/v1/namespaces/default/events ",
         "\"involvedObject\":{\"apiVersion\":\"stowage.dev/"
         "v1alpha1\",\"kind\":\"FileSystem\",\"name\":\"training\",\"uid\":\"u-1\"",
         .chunks = TEXTS("{}")},
        {"PATCH /api/v1/namespaces/default/events/training.", "{\"count\":2,", .chunks = TEXTS("{}")},
        {"PATCH /api/v1/namespaces/default/events/training.", "{\"count\":3,", .chunks = TEXTS("{}")},
        {"POST /api/v1/namespaces/default/events ", "\"message\":\"other\"", .chunks = TEXTS("{}")},
    };
    (void)state;
    OPEN(answers);
    tell("volumes");
    tell("volumes");
    tell("volumes");
    tell("other");
    assert_int_equal(fake_kube_asked(kit.fake), 4);
}

static void a_forgotten_one_is_told_anew_and_trouble_is_no_trouble(void **state) {
    const struct fake_answer answers[] = {
        {"POST ", .result = -EACCES},
        {"POST ", .chunks = TEXTS("{}")},
        {"PATCH ", .result = -ENOENT},
        {"POST ", "\"count\":1", .chunks = TEXTS("{}")},
        {"PATCH ", "{\"count\":2,", .chunks = TEXTS("{}")},
    };
    (void)state;
    OPEN(answers);
    for (int i = 0; i < 4; i++)
        tell("volumes");
    assert_int_equal(fake_kube_asked(kit.fake), 5);
}

static void what_comes_too_soon_is_not_counted(void **state) {
    const struct fake_answer answers[] = {{"POST ", .chunks = TEXTS("{}")}};
    (void)state;
    OPEN(answers);
    tell("volumes");
    fake_kube_clock_add(-9 * NS_PER_S);
    tell("volumes");
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

static void a_long_message_is_cut_between_characters(void **state) {
    static char message[3000];
    const struct fake_answer answers[] = {{"POST ", .chunks = TEXTS("{}")}};
    (void)state;
    for (size_t i = 0; i + 3 < sizeof message; i += 3)
        (void)memcpy(message + i, "\xe2\x82\xac", 4);
    OPEN(answers);
    tell(message);
    assert_int_equal(fake_kube_asked(kit.fake), 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_same_is_counted_and_something_else_is_told),
        TEST(a_forgotten_one_is_told_anew_and_trouble_is_no_trouble),
        TEST(what_comes_too_soon_is_not_counted),
        TEST(a_long_message_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
