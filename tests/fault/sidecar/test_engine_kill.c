// SPDX-License-Identifier: Apache-2.0
// kill -9 while the store writes, again and again: what was acknowledged is there, and nothing by halves.
//
// A child keeps calls of every kind in flight and tells each success over a pipe; it is killed after a random number of
// them. Every flight numbers its writes, so what the store must and may hold afterwards follows from the last number told.
//
// STOWAGE_KILL_ROUNDS: how often (default 6).
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sidecar/engine/sqlite/sqlite.h"
#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

#define EACH 4          // flights of every kind
#define NUMBERS 2000000 // of one sender, over all rounds
#define OBJECT_MAX 60000

enum kind { PAIR, SEND, TAKE, OBJECT, KINDS };
struct told {
    enum kind kind;
    int flight;
    long number; // TAKE: of the message
    int sender;  // TAKE: -1 nothing came
};

static struct kit kit;
static int told_fd;
static long last[KINDS][EACH];     // told, or made good by the check
static unsigned char *taken[EACH]; // of every sender: which numbers were delivered
static long checked[EACH];         // numbers up to this one were looked at
static long acked_send[EACH];

// ---- the child ----

struct flight {
    enum kind kind;
    int index;
    long number;
    struct kv_write write;
    struct kv_change changes[2];
    char keys[2][16], text[32];
    struct queue_send send;
    struct queue_message message;
    struct queue_receive receive;
    struct object_put put;
};

static void start(struct flight *f);

static void over(struct engine_call *call) {
    struct flight *f = call->arg;
    struct told told = {.kind = f->kind, .flight = f->index, .number = f->number, .sender = -1};
    if (call->err.code < 0)
        _exit(10);
    if (f->kind == TAKE && f->receive.ret_count == 1 &&
        sscanf(f->receive.ret[0].body, "%d:%ld", &told.sender, &told.number) != 2)
        _exit(11);
    engine_call_release(call);
    if (write(told_fd, &told, sizeof told) != sizeof told)
        _exit(12);
    f->number++;
    start(f);
}

// The size and every byte follow from the number.
static size_t object_bytes(int index, long number, char *ret) {
    size_t len = (size_t)(number % 3 == 0 ? OBJECT_MAX - number % 977 : 100 + number % 977);
    for (size_t i = 0; i < len; i++)
        ret[i] = (char)(number + (long)i * (index + 1));
    (void)snprintf(ret, 24, "%ld", number);
    return len;
}

static void start_object(struct flight *f, const struct engine_call *call) {
    static _Thread_local char data[OBJECT_MAX];
    struct object_upload *upload;
    size_t len = object_bytes(f->index, f->number, data);
    (void)snprintf(f->keys[0], sizeof f->keys[0], "o%d", f->index);
    if (kit.engine.object->upload(kit.engine.self, "ws", "private", text_blob(f->keys[0]), NULL, (int64_t)len, &upload,
                                  NULL) < 0 ||
        kit.engine.object->upload_write(kit.engine.self, upload, data, len, NULL) < 0)
        _exit(13);
    f->put = (struct object_put){.call = *call, .upload = upload};
    kit.engine.object->commit(kit.engine.self, &f->put);
}

static void start(struct flight *f) {
    struct engine_call call = {.workspace = "ws", .done = over, .arg = f};
    (void)snprintf(f->text, sizeof f->text, "%d:%ld", f->index, f->number);
    if (f->kind == PAIR) {
        for (int i = 0; i < 2; i++) {
            (void)snprintf(f->keys[i], sizeof f->keys[i], "%c%d", 'a' + i, f->index);
            f->changes[i] =
                (struct kv_change){.key = text_blob(f->keys[i]), .value = text_blob(f->text), .if_version = -1};
        }
        f->write = (struct kv_write){.call = call, .ns = "n", .changes = f->changes, .count = 2};
        kit.engine.kv->write(kit.engine.self, &f->write);
    } else if (f->kind == SEND) {
        f->message = (struct queue_message){.body = text_blob(f->text), .delay_ms = -1};
        f->send = (struct queue_send){.call = call, .queue = "q", .messages = &f->message, .count = 1};
        kit.engine.queue->send(kit.engine.self, &f->send);
    } else if (f->kind == TAKE) {
        f->receive = (struct queue_receive){.call = call, .queue = "q", .mode = QUEUE_TAKE, .max = 1};
        kit.engine.queue->receive(kit.engine.self, &f->receive);
    } else {
        start_object(f, &call);
    }
}

static void child(void) {
    static struct flight flights[KINDS][EACH];
    kit_open(&kit);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < EACH; i++) {
            flights[kind][i] = (struct flight){.kind = (enum kind)kind, .index = i, .number = last[kind][i] + 2};
            start(&flights[kind][i]);
        }
    for (;;)
        (void)pause();
}

// ---- the parent ----

static void mark_taken(int sender, long number) {
    assert_in_range(sender, 0, EACH - 1);
    assert_in_range(number, 1, NUMBERS - 1);
    assert_int_equal(taken[sender][number], 0); // never twice
    taken[sender][number] = 1;
}

static void hear(const struct told *told) {
    if (told->kind != TAKE)
        last[told->kind][told->flight] = told->number;
    else if (told->sender >= 0)
        mark_taken(told->sender, told->number);
}

static void run_and_kill(long after) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        told_fd = ends[1];
        child();
    }
    (void)close(ends[1]);
    struct told told;
    long count = 0;
    for (ssize_t n; (n = read(ends[0], &told, sizeof told)) > 0;) {
        assert_int_equal(n, sizeof told);
        hear(&told);
        if (++count == after)
            assert_int_equal(kill(pid, SIGKILL), 0);
    }
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the child ended by itself, with status %x, after %ld of %ld", (unsigned)status, count, after);
    assert_true(count >= after);
}

static void check_pairs(void) {
    for (int i = 0; i < EACH; i++) {
        char a_key[16], b_key[16];
        (void)snprintf(a_key, sizeof a_key, "a%d", i);
        (void)snprintf(b_key, sizeof b_key, "b%d", i);
        char *a cleanup_free = kit_get(&kit, "n", a_key), *b cleanup_free = kit_get(&kit, "n", b_key);
        int index = i;
        long number = last[PAIR][i];
        if (a || b) {
            assert_non_null(a);
            assert_non_null(b);
            assert_string_equal(a, b); // no half
            assert_int_equal(sscanf(a, "%d:%ld", &index, &number), 2);
        }
        assert_int_equal(index, i);
        assert_in_range(number, last[PAIR][i], last[PAIR][i] + 2);
        last[PAIR][i] = number;
    }
}

static void check_objects(void) {
    static char want[OBJECT_MAX];
    for (int i = 0; i < EACH; i++) {
        char key[16];
        size_t len;
        int code;
        (void)snprintf(key, sizeof key, "o%d", i);
        char *got cleanup_free = kit_object_get(&kit, "private", key, &len, &code);
        if (code == -ENOENT && last[OBJECT][i] == 0)
            continue;
        assert_int_equal(code, 0);
        assert_true(len > 24);
        long number = atol(got);
        assert_in_range(number, last[OBJECT][i], last[OBJECT][i] + 2);
        assert_int_equal(object_bytes(i, number, want), len);
        assert_memory_equal(got, want, len);
        last[OBJECT][i] = number;
    }
}

// Takes what is left, which must be in order; then every acknowledged message was delivered, but for those whose taker died
// between the commit and the telling.
static void check_queue(void) {
    long previous[EACH] = {0};
    for (char *body; (body = kit_receive(&kit, "q", QUEUE_TAKE, NULL)); free(body)) {
        int sender;
        long number;
        assert_int_equal(sscanf(body, "%d:%ld", &sender, &number), 2);
        mark_taken(sender, number);
        assert_true(number > previous[sender]);
        previous[sender] = number;
    }
    struct queue_info info = kit_info(&kit, "q");
    assert_int_equal(info.ready + info.leased + info.delayed, 0);
    assert_int_equal(info.bytes, 0);
    long missing = 0;
    for (int i = 0; i < EACH; i++) {
        // the numbers of one round follow one another from two above the last round's
        for (long n = checked[i] + 2; n <= last[SEND][i]; n++)
            missing += !taken[i][n];
        checked[i] = last[SEND][i] > checked[i] ? last[SEND][i] : checked[i];
        if (last[SEND][i] > acked_send[i]) {
            char body[32];
            bool duplicate = false;
            (void)snprintf(body, sizeof body, "%d:%ld", i, last[SEND][i]);
            assert_int_equal(kit_send(&kit, "q", body, &duplicate), 0);
            assert_true(duplicate); // the window is remembered
            acked_send[i] = last[SEND][i];
        }
        last[SEND][i] += 2; // one more may have been sent, or one of that number taken
        checked[i] = last[SEND][i];
        last[TAKE][i] += 2;
    }
    assert_in_range(missing, 0, EACH);
}

static void test_kill(void **state) {
    (void)state;
    const char *wanted = getenv("STOWAGE_KILL_ROUNDS");
    long rounds = wanted ? atol(wanted) : 6;
    srandom((unsigned)getpid());
    kit_start(&kit);
    atomic_store(&kit.wall_ns, clock_wall(&clock_system));
    assert_int_equal(kit_ns(&kit, "n"), 0);
    assert_int_equal(kit_queue(&kit, "q", KIT_DEFAULTS), 0);
    for (int i = 0; i < EACH; i++)
        assert_non_null(taken[i] = calloc(NUMBERS, 1));
    for (long round = 0; round < rounds; round++) {
        kit_close(&kit);
        run_and_kill(1 + random() % 3000);
        kit_open(&kit);
        check_pairs();
        check_objects();
        check_queue();
    }
    printf("# killed %ld times; writes told: pairs %ld, messages %ld, objects %ld\n", rounds, last[PAIR][0],
           last[SEND][0], last[OBJECT][0]);
    for (int i = 0; i < EACH; i++)
        free(taken[i]);
    kit_stop(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests_name("the store, killed", tests, NULL, NULL);
}
