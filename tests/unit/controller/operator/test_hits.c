// SPDX-License-Identifier: Apache-2.0
// What nodes say of their caches is summed up by volume, follows each node's last word, and is not confused by anything else there.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "controller/operator/hits.h"
#include "lib/base/str.h"

#define OPENS(volume, n) "stowage_cache_opens_total{volume=\"" volume "\"} " n "\n"
#define HITS(volume, n) "stowage_cache_open_hits_total{volume=\"" volume "\"} " n "\n"

static struct {
    const char *text[2]; // of node 10.0.0.1, and of the other
    atomic_int asked;
    int result;
    size_t part; // bytes a chunk
} kit;

static int fetch(void *arg, const char *url, int (*chunk)(void *, const char *, size_t, struct err *), void *chunk_arg,
                 struct err *err) {
    const char *text = kit.text[strcmp(url, "http://10.0.0.1:9811") != 0];
    size_t len = strlen(text);
    int r = 0;
    (void)arg;
    for (size_t at = 0; r == 0 && at < len; at += kit.part)
        r = chunk(chunk_arg, text + at, len - at < kit.part ? len - at : kit.part, err);
    r = r < 0 ? r : kit.result;
    atomic_fetch_add(&kit.asked, 1);
    return r;
}

static struct hits *start(void) {
    const struct hits_options options = {.port = 9811, .fetch = fetch, .clock = &fake_kube_clock};
    struct hits *hits = NULL;
    kit.result = 0;
    kit.part = 7;
    atomic_store(&kit.asked, 0);
    assert_int_equal(hits_new(&options, &hits, NULL), 0);
    return hits;
}

static void expect(struct hits *hits, const char *volume, uint64_t opens, uint64_t open_hits) {
    for (;;) { // an answer is taken just after it was given; if it never is, the test's own limit ends it
        uint64_t a = 0, b = 0;
        hits_of(hits, volume, &a, &b);
        if (a == opens && b == open_hits)
            return;
        (void)sched_yield();
    }
}

static void nodes_are_summed_up_by_their_last_word(void **state) {
    struct hits *hits cleanup(hits_freep) = start();
    (void)state;
    kit.text[0] =
        "# HELP stowage_cache_opens_total Opens\n" OPENS("v-a@s/e", "10") HITS("v-a@s/e", "9") OPENS("v-b@s/e", "4");
    kit.text[1] = OPENS("v-a@s/e", "5") HITS("v-a@s/e", "1");
    for (int i = 0; i < 10; i++) {
        hits_ask(hits, "10.0.0.1");
        hits_ask(hits, "fd00::2");
    }
    expect(hits, "v-a@s/e", 15, 10);
    expect(hits, "v-b@s/e", 4, 0);
    expect(hits, "v-c@s/e", 0, 0);
    assert_int_equal(atomic_load(&kit.asked), 2);
    fake_kube_clock_add(61 * NS_PER_S);
    kit.text[0] = OPENS("v-a@s/e", "20") HITS("v-a@s/e", "19"); // v-b is gone from there
    hits_ask(hits, "10.0.0.1");
    expect(hits, "v-a@s/e", 25, 20);
    expect(hits, "v-b@s/e", 0, 0);
}

static void one_that_does_not_answer_keeps_its_last_word_until_nobody_asks(void **state) {
    struct hits *hits cleanup(hits_freep) = start();
    (void)state;
    kit.text[0] = OPENS("v-a@s/e", "10") HITS("v-a@s/e", "9");
    kit.text[1] = "";
    hits_ask(hits, "10.0.0.1");
    expect(hits, "v-a@s/e", 10, 9);
    fake_kube_clock_add(61 * NS_PER_S);
    kit.result = -EHOSTUNREACH;
    kit.text[0] = OPENS("v-a@s/e", "99"); // and then the connection breaks off
    hits_ask(hits, "10.0.0.1");
    while (atomic_load(&kit.asked) < 2)
        (void)sched_yield();
    expect(hits, "v-a@s/e", 10, 9);
    fake_kube_clock_add(700 * NS_PER_S);
    while (true) { // the node may still be noted as being asked
        uint64_t opens = 0, open_hits = 0;
        hits_ask(hits, "10.0.0.9");
        hits_of(hits, "v-a@s/e", &opens, &open_hits);
        if (opens == 0)
            break;
        (void)sched_yield();
    }
}

static void what_is_no_such_metric_is_passed_over(void **state) {
    static char text[20000];
    struct hits *hits cleanup(hits_freep) = start();
    (void)state;
    (void)snprintf(text, sizeof text,
                   "stowage_cache_opens_total 5\nstowage_cache_opens_total{volume=\"x\n%s\n" OPENS("x", "-1")
                       OPENS("x", "1e3") OPENS("x", "") "stowage_cache_opens_total{volume=\"%0*d\"} 3\n" OPENS(
                           "y", "2") "stowage_cache_opens_total{volume=\"z\"} 3",
                   "<html>", 9000, 0);
    kit.text[0] = text;
    kit.part = 1000;
    hits_ask(hits, "10.0.0.1");
    expect(hits, "y", 2, 0);
    expect(hits, "x", 0, 0);
    expect(hits, "z", 0, 0); // cut off: who knows what it was to become
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_summed_up_by_their_last_word),
        cmocka_unit_test(one_that_does_not_answer_keeps_its_last_word_until_nobody_asks),
        cmocka_unit_test(what_is_no_such_metric_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
