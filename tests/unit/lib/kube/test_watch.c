// SPDX-License-Identifier: Apache-2.0
// Watches that break off, forget, babble and bookmark: what the sink is told is whole again afterwards.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/kube/object.h"
#include "lib/kube/watch.h"

#define PODS "/api/v1/pods"
#define OBJECT(name, version) "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
#define LIST(version, items) "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct {
    struct kube *kube;
    struct fake_kube *fake;
    struct kube_watch *watch;
    struct str told; // "begin +a -b whole"
    bool cancelled;
} kit;

static void on_begin(void *arg) {
    (void)str_append(arg, "begin ");
}
static int on_object(void *arg, const struct json *object, bool gone, struct err *err) {
    (void)err;
    (void)str_printf(arg, "%s%s ", gone ? "-" : "+", kube_name(object));
    return 0;
}
static int on_whole(void *arg, struct err *err) {
    (void)err;
    return str_append(arg, "whole ");
}
static bool is_cancelled(void *arg) {
    (void)arg;
    return kit.cancelled;
}

static void open_watch(const struct fake_answer *answers, size_t count) {
    static const struct kube_watch_sink sink = {on_begin, on_object, on_whole};
    kit.kube = fake_kube_new(answers, count, &kit.fake);
    const struct kube_watch_options options = {.kube = kit.kube,
                                               .collection = PODS,
                                               .clock = &fake_kube_clock,
                                               .sink = &sink,
                                               .arg = &kit.told,
                                               .cancelled = is_cancelled};
    assert_int_equal(kube_watch_new(&options, &kit.watch, NULL), 0);
}
#define OPEN(answers) open_watch(answers, ARRAY_SIZE(answers))

static int tear_down(void **state) {
    (void)state;
    kit.watch = kube_watch_free(kit.watch);
    kit.kube = kube_free(kit.kube);
    str_done(&kit.told);
    return 0;
}

static int step(void) {
    return kube_watch_step(kit.watch, NULL);
}
static void expect_told(const char *text) {
    assert_string_equal(str_text(&kit.told), text);
    str_done(&kit.told);
}

static void lists_page_by_page_then_follows_from_there(void **state) {
    const struct fake_answer answers[] = {
        {"GET " PODS "?limit=100 ",
         .chunks =
             TEXTS("{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"a/b\"},\"items\":[" OBJECT("a", "1") "]}")},
        {"GET " PODS "?limit=100&continue=a%2Fb ", .chunks = TEXTS(LIST("7", OBJECT("b", "2")))},
        {"GET " PODS "?watch=1&allowWatchBookmarks=true&timeoutSeconds=",
         .chunks = TEXTS(EVENT("ADDED", "c", "8") EVENT("DELETED", "a", "9"))},
        {"GET " PODS "?watch=1", .chunks = TEXTS(EVENT("MODIFIED", "c", "10"))},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    assert_non_null(strstr(fake_kube_last(kit.fake), "&resourceVersion=7 "));
    expect_told("begin +a +b whole +c -a ");
    assert_int_equal(kube_watch_pause_ms(kit.watch), 0);
    assert_int_equal(step(), 0);
    assert_non_null(strstr(fake_kube_last(kit.fake), "&resourceVersion=9 "));
    expect_told("+c ");
}

// Bytes come as the network cut them.
static void events_are_put_together_from_any_parts(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST("1", ""))},
        {.chunks = TEXTS("{\"type\":\"ADDED\",\"obj", "ect\":" OBJECT("a", "2"), "}", "\n\n{",
                         "\"type\":\"ADDED\",\"object\":" OBJECT("b", "3") "}\n" EVENT("ADDED", "c", "4"))},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    expect_told("begin whole +a +b +c ");
}

static void half_a_line_comes_again(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST("1", ""))},
        {.chunks = TEXTS(EVENT("ADDED", "a", "2"), "{\"type\":\"ADDED\",\"object\":{\"meta"), .result = -EIO},
        {.chunks = TEXTS(EVENT("ADDED", "b", "3"))},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -EIO);
    expect_told("begin whole +a ");
    assert_int_not_equal(kube_watch_pause_ms(kit.watch), 0);
    assert_int_equal(step(), 0); // no list: it goes on behind what was whole
    assert_non_null(strstr(fake_kube_last(kit.fake), "&resourceVersion=2 "));
    expect_told("+b ");
}

static void a_bookmark_moves_the_version_and_tells_nothing(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST("1", ""))},
        {.chunks = TEXTS(
             "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"90\"}}}\n")},
        {.chunks = TEXTS(
             "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"91\"}}}\n")},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    assert_int_equal(step(), 0);
    assert_non_null(strstr(fake_kube_last(kit.fake), "&resourceVersion=90 "));
    expect_told("begin whole ");
}

// As an event in the stream, and as the answer to the request.
static void what_is_too_old_is_listed_again(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST("1", OBJECT("a", "1")))},
        {.chunks = TEXTS("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\","
                         "\"message\":\"too old\"}}\n")},
        {"GET " PODS "?limit", .chunks = TEXTS(LIST("50", OBJECT("b", "2")))},
        {"GET " PODS "?watch", .result = -ESTALE},
        {"GET " PODS "?limit", .chunks = TEXTS(LIST("60", OBJECT("b", "2")))},
        {"GET " PODS "?watch", .chunks = TEXTS(EVENT("ADDED", "c", "61"))},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -ESTALE);
    assert_int_equal(step(), -ESTALE);
    assert_int_equal(step(), 0);
    expect_told("begin +a whole begin +b whole begin +b whole +c ");
}

static void another_error_goes_on_from_the_same_version(void **state) {
    const struct fake_answer answers[] = {
        {.chunks = TEXTS(LIST("5", ""))},
        {.chunks = TEXTS(
             "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500,\"message\":\"etcd is away\"}}\n")},
        {"GET " PODS "?watch", .result = -EHOSTUNREACH},
        {"GET " PODS "?watch", .chunks = TEXTS(EVENT("ADDED", "a", "6"))},
    };
    struct err err = ERR_NONE;
    (void)state;
    OPEN(answers);
    assert_int_equal(kube_watch_step(kit.watch, &err), -EIO);
    assert_non_null(strstr(err.msg, "etcd is away"));
    uint32_t first = kube_watch_pause_ms(kit.watch);
    assert_int_equal(step(), -EHOSTUNREACH);
    assert_true(kube_watch_pause_ms(kit.watch) > first); // with the same chance each time
    assert_int_equal(step(), 0);
    assert_non_null(strstr(fake_kube_last(kit.fake), "&resourceVersion=5 "));
}

static void a_list_that_breaks_off_is_never_whole(void **state) {
    const struct fake_answer answers[] = {
        {.chunks =
             TEXTS("{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"x\"},\"items\":[" OBJECT("a", "1") "]}")},
        {.result = -ESTALE}, // the rest is not there any more
        {"GET " PODS "?limit=100 ", .chunks = TEXTS(LIST("9", OBJECT("b", "1")))},
        {"GET " PODS "?watch", .result = -EIO},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -ESTALE);
    assert_int_not_equal(kube_watch_pause_ms(kit.watch), 0);
    expect_told("begin +a ");
    assert_int_equal(step(), -EIO);
    expect_told("begin +b whole ");
}

static void garbage_is_listed_again(void **state) {
    static const char *const lines[] = {"<html>\n",
                                        "[]\n",
                                        "{\"type\":\"ADDED\"}\n",
                                        "{\"object\":{}}\n",
                                        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n",
                                        "\x01\xff\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        const char *const chunks[] = {lines[i], NULL};
        const struct fake_answer answers[] = {{.chunks = TEXTS(LIST("1", ""))},
                                              {.chunks = chunks},
                                              {"GET " PODS "?limit", .chunks = TEXTS(LIST("2", ""))},
                                              {.result = -ECANCELED}};
        OPEN(answers);
        assert_int_equal(step(), -EBADMSG);
        assert_int_equal(step(), -ECANCELED);
        (void)tear_down(NULL);
    }
}

// More than any object can have is given up before it is kept.
static void an_endless_line_is_cut(void **state) {
    static char part[(1 << 20) + 1];
    static const char *chunks[10];
    (void)memset(part, 'x', sizeof part - 1);
    for (size_t i = 0; i < 9; i++)
        chunks[i] = part;
    const struct fake_answer answers[] = {{.chunks = TEXTS(LIST("1", ""))},
                                          {.chunks = chunks},
                                          {"GET " PODS "?limit", .chunks = TEXTS(LIST("2", ""))},
                                          {.chunks = TEXTS(EVENT("ADDED", "a", "3"))}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -EMSGSIZE);
    assert_int_equal(step(), 0);
    expect_told("begin whole begin whole +a ");
}

static void large_pages_are_asked_for_in_smaller_ones(void **state) {
    const struct fake_answer answers[] = {
        {"GET " PODS "?limit=100 ", .result = -EMSGSIZE},
        {"GET " PODS "?limit=12 ", .result = -EMSGSIZE},
        {"GET " PODS "?limit=1 ",
         .chunks =
             TEXTS("{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"x\"},\"items\":[" OBJECT("a", "1") "]}")},
        {"GET " PODS "?limit=1&continue=x ", .chunks = TEXTS(LIST("7", OBJECT("b", "1")))},
        {"GET " PODS "?watch", .result = -ECANCELED},
    };
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -ECANCELED);
    expect_told("begin +a +b whole ");
}

// A server that takes watches and ends them at once must not be asked in a circle.
static void a_stream_that_ends_at_once_is_a_failure(void **state) {
    const struct fake_answer answers[] = {{.chunks = TEXTS(LIST("1", ""))}, {.chunks = NULL}, {.chunks = NULL}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), -EIO);
    uint32_t first = kube_watch_pause_ms(kit.watch);
    assert_int_not_equal(first, 0);
    assert_int_equal(step(), -EIO);
    assert_true(kube_watch_pause_ms(kit.watch) > first);
}

static void pass_a_minute(void) {
    fake_kube_clock_add(60 * NS_PER_S);
}
static void a_quiet_minute_is_none(void **state) {
    const struct fake_answer answers[] = {{.chunks = TEXTS(LIST("1", ""))}, {.during = pass_a_minute}};
    (void)state;
    OPEN(answers);
    assert_int_equal(step(), 0);
    assert_int_equal(kube_watch_pause_ms(kit.watch), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lists_page_by_page_then_follows_from_there),
        TEST(events_are_put_together_from_any_parts),
        TEST(half_a_line_comes_again),
        TEST(a_bookmark_moves_the_version_and_tells_nothing),
        TEST(what_is_too_old_is_listed_again),
        TEST(another_error_goes_on_from_the_same_version),
        TEST(a_list_that_breaks_off_is_never_whole),
        TEST(garbage_is_listed_again),
        TEST(an_endless_line_is_cut),
        TEST(large_pages_are_asked_for_in_smaller_ones),
        TEST(a_stream_that_ends_at_once_is_a_failure),
        TEST(a_quiet_minute_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
