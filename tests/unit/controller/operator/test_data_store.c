// SPDX-License-Identifier: Apache-2.0
// A store that is away is asked by one in some seconds, whatever waits for it; a new token counts without a restart.
#include "tests/fakes/fake_data_store.h"
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct data_store *store;

static void open_store(const char *token_file) {
    const struct data_store_options options = {.url = "http://store",
                                               .token_file = token_file,
                                               .patience_s = 60,
                                               .clock = &fake_kube_clock,
                                               .send = fake_data_store_send};
    assert_int_equal(data_store_new(&options, &store, NULL), 0);
}
static int tear_down(void **state) {
    (void)state;
    store = data_store_free(store);
    fake_data_store_forget();
    return 0;
}
static int ask(void) {
    const struct data_store_request request = {.method = "GET", .workspace = "team", .path = "/queue"};
    return data_store_send(store, &request, NULL, NULL);
}

static void one_that_is_away_is_asked_again_after_five_seconds(void **state) {
    static const struct fake_reply away[] = {{"GET", -EHOSTUNREACH, NULL}}, back[] = {{"GET", 0, "[]"}};
    (void)state;
    open_store(NULL);
    fake_data_store_set(away, 1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(), -EHOSTUNREACH);
    assert_int_equal(fake_data_store_asked("GET"), 1);
    fake_kube_clock_add(5 * NS_PER_S);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(), -EHOSTUNREACH);
    assert_int_equal(fake_data_store_asked("GET"), 2);
    fake_data_store_set(back, 1);
    assert_int_equal(ask(), -EHOSTUNREACH);
    fake_kube_clock_add(5 * NS_PER_S);
    assert_int_equal(ask(), 0);
    assert_int_equal(ask(), 0);
    assert_int_equal(fake_data_store_asked("GET"), 4);
}

static void asking_does_not_put_the_next_try_off(void **state) {
    static const struct fake_reply refuses[] = {{"GET", -EACCES, NULL}};
    (void)state;
    open_store(NULL);
    fake_data_store_set(refuses, 1);
    for (int i = 0; i < 21; i++) {
        assert_int_equal(ask(), -EACCES);
        fake_kube_clock_add(NS_PER_S);
    }
    assert_int_equal(fake_data_store_asked("GET"), 5); // at once, and each five seconds
}

static void what_is_wrong_with_one_request_is_no_matter_of_others(void **state) {
    static const struct fake_reply wrong[] = {{"GET", -EINVAL, NULL}}, failed[] = {{"GET", -EIO, NULL}};
    (void)state;
    open_store(NULL);
    fake_data_store_set(wrong, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(), -EINVAL);
    fake_data_store_set(failed, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(), -EIO);
    assert_int_equal(fake_data_store_asked("GET"), 6);
}

static void it_is_given_up_when_it_has_been_away_for_long(void **state) {
    static const struct fake_reply away[] = {{"GET", -ETIMEDOUT, NULL}}, back[] = {{"GET", 0, "[]"}};
    (void)state;
    open_store(NULL);
    fake_data_store_set(away, 1);
    for (int i = 0; i < 11; i++) {
        (void)ask();
        assert_false(data_store_is_given_up(store));
        fake_kube_clock_add(5 * NS_PER_S);
    }
    (void)ask();
    fake_kube_clock_add(5 * NS_PER_S);
    assert_true(data_store_is_given_up(store));
    fake_data_store_set(back, 1);
    assert_int_equal(ask(), 0);
    assert_false(data_store_is_given_up(store));
}

static void write_token(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_new_token_counts(void **state) {
    static const struct fake_reply good[] = {{"GET", 0, "[]"}}, refused[] = {{"GET", -EPERM, NULL}};
    char path[] = "/tmp/stowage-token-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    write_token(path, "first\n");
    open_store(path);
    fake_data_store_set(good, 1);
    assert_int_equal(ask(), 0);
    assert_string_equal(fake_data_store_token(), "first");
    write_token(path, "second");
    fake_kube_clock_add(20 * NS_PER_S);
    assert_int_equal(ask(), 0);
    assert_string_equal(fake_data_store_token(), "second");
    write_token(path, "third"); // refused before its time: it is read at the next request
    fake_data_store_set(refused, 1);
    assert_int_equal(ask(), -EPERM);
    fake_data_store_set(good, 1);
    fake_kube_clock_add(5 * NS_PER_S);
    assert_int_equal(ask(), 0);
    assert_string_equal(fake_data_store_token(), "third");
    (void)unlink(path);
}

static void numbers_are_written_at_a_bounded_pace(void **state) {
    int now = 0, later = 0;
    (void)state;
    open_store(NULL);
    fake_kube_clock_add(100 * NS_PER_S);
    for (int i = 0; i < 1000; i++)
        now += data_store_may_count(store);
    fake_kube_clock_add(NS_PER_S);
    for (int i = 0; i < 1000; i++)
        later += data_store_may_count(store);
    assert_int_equal(now, 40);
    assert_int_equal(later, 20);
}

int main(void) {
#define T(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        T(one_that_is_away_is_asked_again_after_five_seconds),
        T(asking_does_not_put_the_next_try_off),
        T(what_is_wrong_with_one_request_is_no_matter_of_others),
        T(it_is_given_up_when_it_has_been_away_for_long),
        T(a_new_token_counts),
        T(numbers_are_written_at_a_bounded_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
