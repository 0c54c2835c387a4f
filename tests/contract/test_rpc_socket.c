// SPDX-License-Identifier: Apache-2.0
// The server's socket: its mode, the one who holds it, and the dead one that is replaced.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/rpc_kit.h"

static void test_socket(void **state) {
    struct rpc_kit *f = *state;
    struct stat st;
    struct err err = ERR_NONE;
    struct rpc_server *second = NULL;
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    struct rpc_server_options options = rpc_kit_options(f);
    assert_int_equal(rpc_server_start(&options, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, f->socket));
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
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
    struct rpc_kit *f = *state;
    f->client = rpc_client_free(f->client);
    f->server = rpc_server_stop(f->server, 1000);
    (void)unlink(f->socket);
    struct err err = ERR_NONE;
    assert_int_equal(rpc_client_connect(f->socket, &f->client, &err), -ENOENT);
    assert_non_null(strstr(err.msg, f->socket));
    leave_dead_socket(f->socket);
    assert_int_equal(rpc_client_connect(f->socket, &f->client, &err), -ECONNREFUSED);
    rpc_kit_start(f);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

struct starter {
    pthread_t thread;
    pthread_barrier_t *gate;
    struct rpc_server_options options;
    struct rpc_server *server;
    int result;
};

static void *run_starter(void *arg) {
    struct starter *s = arg;
    struct err err = ERR_NONE;
    (void)pthread_barrier_wait(s->gate);
    s->result = rpc_server_start(&s->options, &s->server, &err);
    return NULL;
}

static void race_to_start(struct rpc_kit *f, struct starter *starters, size_t count) {
    pthread_barrier_t gate;
    size_t won = 0;
    assert_int_equal(pthread_barrier_init(&gate, NULL, (unsigned)count), 0);
    for (size_t i = 0; i < count; i++) {
        starters[i] = (struct starter){.gate = &gate, .options = rpc_kit_options(f)};
        assert_int_equal(pthread_create(&starters[i].thread, NULL, run_starter, &starters[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(starters[i].thread, NULL), 0);
        won += starters[i].result == 0;
        if (starters[i].result != 0)
            assert_int_equal(starters[i].result, -EADDRINUSE);
    }
    assert_int_equal(won, 1);
    (void)pthread_barrier_destroy(&gate);
}

static void test_one_of_several_takes_a_dead_socket(void **state) {
    struct rpc_kit *f = *state;
    struct starter starters[4];
    struct err err = ERR_NONE;
    for (int round = 0; round < 20; round++) {
        f->client = rpc_client_free(f->client);
        f->server = rpc_server_stop(f->server, 1000);
        (void)unlink(f->socket);
        leave_dead_socket(f->socket);
        race_to_start(f, starters, ARRAY_SIZE(starters));
        for (size_t i = 0; i < ARRAY_SIZE(starters); i++)
            if (starters[i].result == 0)
                f->server = starters[i].server;
        assert_int_equal(rpc_client_connect(f->socket, &f->client, &err), 0);
        assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
    }
}

static int start_code(const char *socket) {
    struct rpc_kit f = {0};
    struct rpc_server_options options = rpc_kit_options(&f);
    struct rpc_server *server = NULL;
    struct err err = ERR_NONE;
    options.socket = socket;
    int r = rpc_server_start(&options, &server, &err);
    (void)rpc_server_stop(server, 0);
    assert_true(r == 0 || err.msg[0]);
    return r;
}

static void test_socket_path_errors(void **state) {
    struct rpc_kit *f = *state;
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

#define T(name) cmocka_unit_test_setup_teardown(name, rpc_kit_setup, rpc_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_socket),
        T(test_dead_socket_is_replaced),
        T(test_one_of_several_takes_a_dead_socket),
        T(test_socket_path_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
