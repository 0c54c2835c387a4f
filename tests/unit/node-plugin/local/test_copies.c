// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/copies.h"
#include "node-plugin/local/image.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/base/clock.h"
#include "tests/support/pool_kit.h"

#define MIB (INT64_C(1) << 20)
#define NOW 1 // a deadline that has passed

// ---- a kernel whose copies wait: the product's calls end here ----

static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;   // a copy that comes waits
    bool endless;  // a copy never gets on
    unsigned came; // how many calls there were
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

ssize_t copy_file_range(int from, off_t *in, int to, off_t *out, size_t n, unsigned flags) {
    bool endless = false;
    {
        LOCK_SCOPE(&gate.lock);
        gate.came++;
        (void)pthread_cond_broadcast(&gate.changed);
        while (gate.closed)
            (void)pthread_cond_wait(&gate.changed, &gate.lock);
        endless = gate.endless;
    }
    return endless ? 1 : (ssize_t)syscall(SYS_copy_file_range, from, in, to, out, n, flags);
}
static void set_gate(bool closed) {
    LOCK_SCOPE(&gate.lock);
    gate.closed = closed;
    (void)pthread_cond_broadcast(&gate.changed);
}
static void await_copy(unsigned count) {
    LOCK_SCOPE(&gate.lock);
    while (gate.came < count)
        (void)pthread_cond_wait(&gate.changed, &gate.lock);
}
static unsigned copies_begun(void) {
    LOCK_SCOPE(&gate.lock);
    return gate.came;
}

static int set_up(void **state) {
    int r = pool_kit_setup(state);
    if (r == 0) {
        struct pool_kit *kit = *state;
        pool_kit_open(kit);
        kit->pool->reflink = false;
        gate.closed = gate.endless = false;
        gate.came = 0;
    }
    return r;
}

static void make(struct pool_kit *kit, const char *name) {
    struct pool_kit_id id = pool_kit_id(name);
    assert_int_equal(image_create(kit->pool, &(struct data_request){.id = id.text, .bytes = MIB}, NULL), 0);
    int fd cleanup_close = open(pool_kit_path(kit, "data", "", id.key, ""), O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, name, strlen(name)), strlen(name));
}
static void assert_holds(const struct pool_kit *kit, const char *name, const char *text) {
    char found[32] = {0};
    int fd cleanup_close = open(pool_kit_path(kit, "data", "", pool_kit_id(name).key, ""), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, found, strlen(text)), strlen(text));
    assert_string_equal(found, text);
}
static bool is_there(const struct pool_kit *kit, const char *name) {
    return image_exists(kit->pool, pool_kit_id(name).text);
}
static bool is_begun(const struct pool_kit *kit, const char *name) {
    return pool_kit_exists(pool_kit_path(kit, "data", ".", pool_kit_id(name).key, ".new"));
}
static int run(struct copies *copies, const struct pool_kit *kit, const char *from, const char *to, int64_t bytes,
               int64_t deadline_ns, struct err *err) {
    struct data_copy copy = {.pool = kit->pool, .bytes = bytes, .deadline_ns = deadline_ns};
    assert_int_equal(LOCAL_SET(copy.from, pool_kit_id(from).text), 0);
    assert_int_equal(LOCAL_SET(copy.to, pool_kit_id(to).text), 0);
    return copies_run(copies, &copy, deadline_ns, err);
}

static void a_short_copy_is_done_at_once(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies cleanup(copies_freep) = NULL;
    assert_int_equal(copies_new(&copies, NULL), 0);
    make(kit, "original");
    assert_int_equal(run(copies, kit, "original", "a", MIB, DEADLINE_NONE, NULL), 0);
    assert_holds(kit, "a", "original");
    // It is forgotten with its answer: the next is a copy of its own.
    assert_int_equal(image_remove(kit->pool, pool_kit_id("a").text, DEADLINE_NONE, NULL), 0);
    assert_int_equal(run(copies, kit, "original", "a", MIB, DEADLINE_NONE, NULL), 0);
    assert_holds(kit, "a", "original");
    assert_int_equal(copies_begun(), 2);
}

static void a_long_copy_goes_on_and_the_next_call_joins_it(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies cleanup(copies_freep) = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(copies_new(&copies, NULL), 0);
    make(kit, "original");
    set_gate(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(copies, kit, "original", "a", MIB, NOW, &err), -EAGAIN);
        assert_non_null(strstr(err.msg, "ask again"));
        assert_non_null(strstr(err.msg, pool_kit_id("original").text));
    }
    await_copy(1);
    assert_true(is_begun(kit, "a"));
    assert_false(is_there(kit, "a"));
    set_gate(false);
    assert_int_equal(run(copies, kit, "original", "a", MIB, DEADLINE_NONE, NULL), 0);
    assert_holds(kit, "a", "original");
    assert_int_equal(copies_begun(), 1); // one copy served all the calls
}

static void copies_to_different_places_do_not_wait_for_each_other(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies cleanup(copies_freep) = NULL;
    assert_int_equal(copies_new(&copies, NULL), 0);
    make(kit, "original");
    set_gate(true);
    assert_int_equal(run(copies, kit, "original", "a", MIB, NOW, NULL), -EAGAIN);
    assert_int_equal(run(copies, kit, "original", "b", MIB, NOW, NULL), -EAGAIN);
    await_copy(2);
    set_gate(false);
    assert_int_equal(run(copies, kit, "original", "b", MIB, DEADLINE_NONE, NULL), 0);
    assert_int_equal(run(copies, kit, "original", "a", MIB, DEADLINE_NONE, NULL), 0);
    assert_holds(kit, "a", "original");
    assert_holds(kit, "b", "original");
}

struct caller {
    struct copies *copies;
    const struct pool_kit *kit;
    int result;
};
static void *call(void *arg) {
    struct caller *caller = arg;
    caller->result = run(caller->copies, caller->kit, "original", "a", MIB, DEADLINE_NONE, NULL);
    return NULL;
}

static void calls_that_wait_together_all_have_the_answer(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies cleanup(copies_freep) = NULL;
    pthread_t threads[4];
    assert_int_equal(copies_new(&copies, NULL), 0);
    make(kit, "original");
    struct caller callers[] = {{copies, kit, -1}, {copies, kit, -1}, {copies, kit, -1}, {copies, kit, -1}};
    set_gate(true);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    await_copy(1);
    set_gate(false);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].result, 0);
    }
    assert_holds(kit, "a", "original");
}

static void a_copy_of_something_else_is_not_handed_out(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies cleanup(copies_freep) = NULL;
    struct err err = ERR_NONE;
    static const struct {
        const char *from;
        int64_t bytes;
    } others[] = {{"another", MIB}, {"original", 2 * MIB}};
    assert_int_equal(copies_new(&copies, NULL), 0);
    make(kit, "original");
    make(kit, "another");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        unsigned before = copies_begun();
        set_gate(true);
        assert_int_equal(run(copies, kit, "original", "a", MIB, NOW, NULL), -EAGAIN); // given up by its client
        await_copy(before + 1);
        assert_int_equal(run(copies, kit, others[i].from, "a", others[i].bytes, NOW, &err), -EAGAIN);
        set_gate(false);
        int r = -EAGAIN;
        while (r == -EAGAIN) // until the first has ended
            r = run(copies, kit, others[i].from, "a", others[i].bytes, DEADLINE_NONE, &err);
        assert_int_equal(r, 0);
        assert_holds(kit, "a", others[i].from);
        char path[IMAGE_PATH_SIZE];
        assert_int_equal(image_path(kit->pool, pool_kit_id("a").text, path, NULL), 0);
        int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(lseek(fd, 0, SEEK_END), others[i].bytes);
    }
}

static void a_failure_is_told_once_and_the_next_call_tries_again(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies cleanup(copies_freep) = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(copies_new(&copies, NULL), 0);
    assert_int_equal(run(copies, kit, "original", "a", MIB, DEADLINE_NONE, &err), -EIO);
    assert_non_null(strstr(err.msg, pool_kit_id("original").text));
    make(kit, "original");
    assert_int_equal(run(copies, kit, "original", "a", MIB, DEADLINE_NONE, &err), 0);
    assert_holds(kit, "a", "original");
}

static void the_end_cuts_copies_short_and_leaves_nothing(void **state) {
    struct pool_kit *kit = *state;
    struct copies *copies = NULL;
    assert_int_equal(copies_new(&copies, NULL), 0);
    make(kit, "original");
    gate.endless = true;
    assert_int_equal(run(copies, kit, "original", "a", MIB, NOW, NULL), -EAGAIN);
    assert_int_equal(run(copies, kit, "original", "b", MIB, NOW, NULL), -EAGAIN);
    await_copy(2);
    assert_null(copies_free(copies));
    assert_false(is_begun(kit, "a") || is_there(kit, "a"));
    assert_false(is_begun(kit, "b") || is_there(kit, "b"));
    assert_null(copies_free(NULL));
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, pool_kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_short_copy_is_done_at_once),
        TEST(a_long_copy_goes_on_and_the_next_call_joins_it),
        TEST(copies_to_different_places_do_not_wait_for_each_other),
        TEST(calls_that_wait_together_all_have_the_answer),
        TEST(a_copy_of_something_else_is_not_handed_out),
        TEST(a_failure_is_told_once_and_the_next_call_tries_again),
        TEST(the_end_cuts_copies_short_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
