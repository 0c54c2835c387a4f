// SPDX-License-Identifier: Apache-2.0
// The server's contract, seen from a client on a real socket.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/rpc/client.h"
#include "lib/rpc/server.h"
#include "proto/csi.pb-c.h"

typedef Csi__V1__DeleteVolumeRequest Request; // one text field, "volume_id", and a map
typedef Csi__V1__GetPluginInfoResponse Reply; // "name"

// ---- the server under test ----

static atomic_int entered, saw_cancel;
static atomic_bool go;

static int echo(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    (void)err;
    ((Reply *)response)->name = arena_strdup(call->arena, ((const Request *)request)->volume_id);
    return 0;
}

static int refuse(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    (void)call, (void)response;
    return err_set(err, -ENOENT, "%s", ((const Request *)request)->volume_id);
}

static int large(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    (void)err;
    size_t size = (size_t)strtoul(((const Request *)request)->volume_id, NULL, 10);
    char *text = arena_alloc(call->arena, size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    ((Reply *)response)->name = text;
    return 0;
}

static int hold(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response, struct err *err) {
    atomic_fetch_add(&entered, 1);
    while (!atomic_load(&go)) {
        if (rpc_call_cancelled(call)) {
            atomic_fetch_add(&saw_cancel, 1);
            return err_set(err, -ECANCELED, "cancelled");
        }
        (void)poll(NULL, 0, 1);
    }
    return echo(call, request, response, err);
}

static int tell_deadline(struct rpc_call *call, const ProtobufCMessage *request, ProtobufCMessage *response,
                         struct err *err) {
    (void)request, (void)err;
    char text[32];
    int64_t left = call->deadline_ns - clock_monotonic(&clock_system);
    (void)snprintf(text, sizeof text, "%lld", (long long)((left + NS_PER_S / 2) / NS_PER_S));
    ((Reply *)response)->name = arena_strdup(call->arena, text);
    return 0;
}

#define TYPES                                                                                                          \
    .request = &csi__v1__delete_volume_request__descriptor, .response = &csi__v1__get_plugin_info_response__descriptor
static const struct rpc_method rows[] = {
    {.path = "/t.T/Echo", TYPES, .handle = echo, .required = {"volume_id"}, .object = "volume_id"},
    {.path = "/t.T/Fail", TYPES, .handle = refuse},
    {.path = "/t.T/Large", TYPES, .handle = large},
    {.path = "/t.T/Hold", TYPES, .handle = hold, .object = "volume_id", .lock = "volume"},
    {.path = "/t.T/Quick", TYPES, .handle = echo, .quick = true},
    {.path = "/t.T/Deadline", TYPES, .handle = tell_deadline, .deadline_s = 33},
};
static const struct rpc_method *const methods[] = {&rows[0], &rows[1], &rows[2], &rows[3], &rows[4], &rows[5], NULL};

static enum rpc_code code_of(int error) {
    return error == -ENOENT ? RPC_NOT_FOUND : error == -ECANCELED ? RPC_CANCELLED : RPC_INTERNAL;
}

struct fixture {
    char dir[32], socket[64];
    struct rpc_server *server;
    struct rpc_client *client;
};

static struct rpc_server_options options_of(const struct fixture *f) {
    return (struct rpc_server_options){
        .socket = f->socket, .methods = methods, .code_of = code_of, .object_label = "volume", .threads = 4};
}

static void start(struct fixture *f) {
    struct rpc_server_options options = options_of(f);
    struct err err = ERR_NONE;
    if (rpc_server_start(&options, &f->server, &err) < 0 || rpc_client_connect(f->socket, &f->client, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/test-rpc-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof f->socket, "%s/a%%20 b.sock", f->dir);
    atomic_store(&entered, 0);
    atomic_store(&saw_cancel, 0);
    atomic_store(&go, false);
    start(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    atomic_store(&go, true);
    (void)rpc_client_free(f->client);
    (void)rpc_server_stop(f->server, 10000);
    (void)unlink(f->socket);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

// ---- calls ----

// The reply's name, or NULL; to be freed.
static char *ask(struct rpc_client *client, const char *method, const char *id, int64_t deadline_ns,
                 struct rpc_status *status) {
    Request request = CSI__V1__DELETE_VOLUME_REQUEST__INIT;
    request.volume_id = (char *)(uintptr_t)id;
    ProtobufCMessage *reply cleanup(rpc_message_freep) = NULL;
    int r = rpc_client_call(client, method, &request.base, &csi__v1__get_plugin_info_response__descriptor, &reply,
                            deadline_ns, status);
    assert_int_equal(r, status->code == RPC_OK ? 0 : -EREMOTEIO);
    return reply ? mem_strdup(((Reply *)reply)->name) : NULL;
}

static enum rpc_code ask_code(struct rpc_client *client, const char *method, const char *id) {
    struct rpc_status status;
    free(ask(client, method, id, DEADLINE_NONE, &status));
    return status.code;
}

static enum rpc_code send_bytes(struct fixture *f, const void *data, size_t len, struct rpc_status *status) {
    struct rpc_bytes reply = {0};
    int r =
        rpc_client_call_bytes(f->client, "/t.T/Echo", (struct rpc_bytes){.data = (void *)(uintptr_t)data, .len = len},
                              &reply, DEADLINE_NONE, status);
    assert_int_equal(r, status->code == RPC_OK ? 0 : -EREMOTEIO);
    free(reply.data);
    return status->code;
}
#define SEND(f, text, status) send_bytes(f, text, sizeof(text) - 1, status)

struct waiter { // a call on a thread of its own
    pthread_t thread;
    struct rpc_client *client;
    const char *id;
    int64_t deadline_ns;
    struct rpc_status status;
    char *reply;
};

static void *run_waiter(void *arg) {
    struct waiter *w = arg;
    w->reply = ask(w->client, "/t.T/Hold", w->id, w->deadline_ns, &w->status);
    return NULL;
}

// Returns when the handler runs.
static void begin(struct waiter *w, struct rpc_client *client, const char *id, int64_t deadline_ns) {
    *w = (struct waiter){.client = client, .id = id, .deadline_ns = deadline_ns};
    int before = atomic_load(&entered);
    assert_int_equal(pthread_create(&w->thread, NULL, run_waiter, w), 0);
    while (atomic_load(&entered) == before)
        (void)poll(NULL, 0, 1);
}

static void end(struct waiter *w) {
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    free(w->reply);
}

static void await(atomic_int *count) {
    while (atomic_load(count) == 0)
        (void)poll(NULL, 0, 1);
}

// ---- tests ----

static void test_round_trip(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    char *reply = ask(f->client, "/t.T/Echo", "höhö", DEADLINE_NONE, &status);
    assert_string_equal(reply, "höhö");
    assert_int_equal(status.code, RPC_OK);
    free(reply);
}

static void test_error_keeps_its_text(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    assert_null(ask(f->client, "/t.T/Fail", "größe 100%, \"x\"\n", DEADLINE_NONE, &status));
    assert_int_equal(status.code, RPC_NOT_FOUND);
    assert_string_equal(status.message, "größe 100%, \"x\"\n");
}

static void test_unknown_method(void **state) {
    struct fixture *f = *state;
    assert_int_equal(ask_code(f->client, "/t.T/Nothing", "a"), RPC_UNIMPLEMENTED);
    char longest[300] = "/";
    memset(longest + 1, 'm', sizeof longest - 2);
    assert_int_equal(ask_code(f->client, longest, "a"), RPC_UNIMPLEMENTED);
    assert_int_equal(ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

static void test_malformed_bytes(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    assert_int_equal(SEND(f, "\xff\xff\xff\xff", &status), RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x0a\x05"
                          "ab",
                          &status),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x0a\xff\xff\xff\xff\x0f"
                          "ab",
                          &status),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f, "\x00\x01", &status), RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x12\x03\x0a\x05"
                          "a",
                          &status),
                     RPC_INVALID_ARGUMENT); // inside a map entry
    assert_int_equal(SEND(f,
                          "\x0a\x02"
                          "ab",
                          &status),
                     RPC_OK);
}

static void test_text_must_be_utf8(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    assert_int_equal(SEND(f, "\x0a\x02\xc3\x28", &status), RPC_INVALID_ARGUMENT);
    assert_non_null(strstr(status.message, "volume_id"));
    assert_int_equal(SEND(f,
                          "\x0a\x03"
                          "a\0b",
                          &status),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x0a\x01"
                          "a\x12\x06\x0a\x01"
                          "k\x12\x01\xff",
                          &status),
                     RPC_INVALID_ARGUMENT);
}

static void test_calls_are_counted(void **state) {
    struct fixture *f = *state;
    struct str text cleanup(str_done) = {0};
    assert_int_equal(ask_code(f->client, "/t.T/Fail", "a"), RPC_NOT_FOUND);
    assert_int_equal(ask_code(f->client, "/t.T/Anything", "a"), RPC_UNIMPLEMENTED);
    assert_int_equal(metrics_render(&text), 0);
    assert_non_null(strstr(text.data, "stowage_rpc_seconds_count{method=\"Fail\",code=\"NOT_FOUND\"}"));
    assert_non_null(strstr(text.data, "stowage_rpc_seconds_count{method=\"unknown\",code=\"UNIMPLEMENTED\"}"));
    assert_null(strstr(text.data, "Anything")); // names of the client's choice make no series
}

static void test_missing_field(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    assert_int_equal(SEND(f, "", &status), RPC_INVALID_ARGUMENT);
    assert_non_null(strstr(status.message, "'volume_id'"));
}

static void test_unknown_fields_are_skipped(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    // 100: varint, 101: bytes, 102: 32 bits, 103: 64 bits
    assert_int_equal(SEND(f,
                          "\xa0\x06\x01\xaa\x06\x02zz\x0a\x01"
                          "a\xb5\x06"
                          "1234\xb9\x06"
                          "12345678",
                          &status),
                     RPC_OK);
}

static void test_large_requests(void **state) {
    struct fixture *f = *state;
    size_t over = RPC_REQUEST_MAX + 1, fits = RPC_REQUEST_MAX - 64;
    char *text = mem_zalloc(over + 1);
    memset(text, 'a', over);
    assert_int_equal(ask_code(f->client, "/t.T/Echo", text), RPC_RESOURCE_EXHAUSTED);
    text[fits] = '\0';
    assert_int_equal(ask_code(f->client, "/t.T/Echo", text), RPC_OK);
    free(text);
}

static void test_small_bytes_do_not_become_a_large_tree(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    size_t len = RPC_REQUEST_MAX - 16;
    char *bytes = mem_alloc(len);
    for (size_t i = 0; i + 1 < len; i += 2) { // field 2, an empty map entry
        bytes[i] = 0x12;
        bytes[i + 1] = 0;
    }
    assert_int_equal(send_bytes(f, bytes, len / 2 * 2, &status), RPC_RESOURCE_EXHAUSTED);
    free(bytes);
    assert_int_equal(ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

static void test_large_replies(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    char *reply = ask(f->client, "/t.T/Large", "20000000", DEADLINE_NONE, &status);
    assert_int_equal(strlen(reply), 20000000);
    free(reply);
    assert_int_equal(ask_code(f->client, "/t.T/Large", "70000000"), RPC_RESOURCE_EXHAUSTED);
}

static void test_deadline_reaches_the_handler(void **state) {
    struct fixture *f = *state;
    struct waiter w;
    begin(&w, f->client, "v", clock_monotonic(&clock_system) + 200 * NS_PER_MS);
    end(&w);
    assert_int_equal(w.status.code, RPC_DEADLINE_EXCEEDED);
    await(&saw_cancel);
    atomic_store(&go, true);
    while (ask_code(f->client, "/t.T/Hold", "v") == RPC_ABORTED) // its lock is given back
        (void)poll(NULL, 0, 1);
}

static void test_default_deadline(void **state) {
    struct fixture *f = *state;
    struct rpc_status status;
    char *left = ask(f->client, "/t.T/Deadline", "v", DEADLINE_NONE, &status);
    assert_string_equal(left, "33");
    free(left);
    left = ask(f->client, "/t.T/Deadline", "v", clock_monotonic(&clock_system) + 100 * NS_PER_S, &status);
    assert_in_range(strtoul(left, NULL, 10), 90, 110); // gRPC rounds on the wire
    free(left);
}

static void test_cancel_reaches_the_handler(void **state) {
    struct fixture *f = *state;
    struct waiter w;
    begin(&w, f->client, "v", DEADLINE_NONE);
    rpc_client_cancel(f->client);
    end(&w);
    assert_int_equal(w.status.code, RPC_CANCELLED);
    await(&saw_cancel);
}

static void test_busy_volume_is_aborted(void **state) {
    struct fixture *f = *state;
    struct waiter first, other;
    struct rpc_status status;
    begin(&first, f->client, "v", DEADLINE_NONE);
    assert_null(ask(f->client, "/t.T/Hold", "v", DEADLINE_NONE, &status));
    assert_int_equal(status.code, RPC_ABORTED);
    assert_non_null(strstr(status.message, "volume 'v'"));
    begin(&other, f->client, "w", DEADLINE_NONE);
    atomic_store(&go, true);
    end(&first);
    end(&other);
    assert_int_equal(first.status.code, RPC_OK);
    assert_int_equal(other.status.code, RPC_OK);
    assert_int_equal(ask_code(f->client, "/t.T/Hold", "v"), RPC_OK);
}

static void test_quick_calls_pass_a_full_pool(void **state) {
    struct fixture *f = *state;
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct waiter w[4];
    for (size_t i = 0; i < 4; i++)
        begin(&w[i], f->client, ids[i], DEADLINE_NONE);
    assert_int_equal(ask_code(f->client, "/t.T/Quick", "a"), RPC_OK);
    atomic_store(&go, true);
    for (size_t i = 0; i < 4; i++) {
        end(&w[i]);
        assert_int_equal(w[i].status.code, RPC_OK);
    }
}

static void *run_stop(void *arg) {
    return rpc_server_stop(arg, 60000);
}

static void test_graceful_stop(void **state) {
    struct fixture *f = *state;
    struct waiter w;
    pthread_t stopper;
    begin(&w, f->client, "v", DEADLINE_NONE);
    assert_int_equal(pthread_create(&stopper, NULL, run_stop, take_ptr(f->server)), 0);
    struct rpc_status status;
    do // until the stop has begun
        free(ask(f->client, "/t.T/Echo", "a", DEADLINE_NONE, &status));
    while (status.code == RPC_OK);
    assert_int_equal(status.code, RPC_UNAVAILABLE);
    atomic_store(&go, true);
    end(&w);
    assert_int_equal(w.status.code, RPC_OK);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(ask_code(f->client, "/t.T/Echo", "a"), RPC_UNAVAILABLE);
}

static void test_stop_cancels_after_the_grace(void **state) {
    struct fixture *f = *state;
    struct waiter w;
    begin(&w, f->client, "v", DEADLINE_NONE);
    f->server = rpc_server_stop(f->server, 1);
    end(&w);
    assert_int_not_equal(w.status.code, RPC_OK);
    assert_int_equal(atomic_load(&saw_cancel), 1);
}

static void test_socket(void **state) {
    struct fixture *f = *state;
    struct stat st;
    struct err err = ERR_NONE;
    struct rpc_server *second = NULL;
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    struct rpc_server_options options = options_of(f);
    assert_int_equal(rpc_server_start(&options, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, f->socket));
    assert_int_equal(ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

// A socket file whose server is gone.
static void leave_dead_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(close(fd), 0);
}

static void test_dead_socket_is_replaced(void **state) {
    struct fixture *f = *state;
    f->client = rpc_client_free(f->client);
    f->server = rpc_server_stop(f->server, 1000);
    (void)unlink(f->socket);
    struct err err = ERR_NONE;
    assert_int_equal(rpc_client_connect(f->socket, &f->client, &err), -ENOENT);
    assert_non_null(strstr(err.msg, f->socket));
    leave_dead_socket(f->socket);
    assert_int_equal(rpc_client_connect(f->socket, &f->client, &err), -ECONNREFUSED);
    start(f);
    assert_int_equal(ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

static int start_code(const char *socket) {
    struct fixture f = {0};
    struct rpc_server_options options = options_of(&f);
    struct rpc_server *server = NULL;
    struct err err = ERR_NONE;
    options.socket = socket;
    int r = rpc_server_start(&options, &server, &err);
    (void)rpc_server_stop(server, 0);
    assert_true(r == 0 || err.msg[0]);
    return r;
}

static void test_socket_path_errors(void **state) {
    struct fixture *f = *state;
    char path[300];
    assert_int_equal(start_code(""), -EINVAL);
    assert_int_equal(start_code("unix://"), -EINVAL);
    (void)snprintf(path, sizeof path, "%s/missing/x.sock", f->dir);
    assert_int_not_equal(start_code(path), 0);
    (void)snprintf(path, sizeof path, "%s/%0200d", f->dir, 0);
    assert_int_equal(start_code(path), -ENAMETOOLONG);
    (void)snprintf(path, sizeof path, "%s/file", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(start_code(path), -ENOTSOCK);
    assert_int_equal(unlink(path), 0); // it was left alone
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_round_trip),
        T(test_error_keeps_its_text),
        T(test_unknown_method),
        T(test_malformed_bytes),
        T(test_text_must_be_utf8),
        T(test_calls_are_counted),
        T(test_missing_field),
        T(test_unknown_fields_are_skipped),
        T(test_large_requests),
        T(test_small_bytes_do_not_become_a_large_tree),
        T(test_large_replies),
        T(test_deadline_reaches_the_handler),
        T(test_default_deadline),
        T(test_cancel_reaches_the_handler),
        T(test_busy_volume_is_aborted),
        T(test_quick_calls_pass_a_full_pool),
        T(test_graceful_stop),
        T(test_stop_cancels_after_the_grace),
        T(test_socket),
        T(test_dead_socket_is_replaced),
        T(test_socket_path_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
