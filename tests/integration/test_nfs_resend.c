// SPDX-License-Identifier: Apache-2.0
// Calls that were carried out, whose replies were lost, by a server that forgot it: what the second try's refusal means.
// A proxy between us and a real server loses replies; it comes to the server from another port each time, so that the
// server's duplicate request cache does not know it again, as after a restart.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/support/cm.h"
#include "tests/support/nfs_server.h"

static struct nfs_server server;
static int version;
static struct nfs_share *share;

static struct proxy {
    pthread_t thread;
    int listener;
    uint16_t port;
    atomic_bool lose; // the next reply, and the connection with it
    atomic_bool stop;
    atomic_uint last_port; // where the last client came from
} proxy;

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool pass_on(int from, int to, bool lose) {
    static char buf[256 * 1024];
    ssize_t n = recv(from, buf, sizeof buf, 0);
    return n > 0 && !lose && send(to, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void serve(int client) {
    int back cleanup(cleanup_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(server.nfs_port);
    if (connect(back, (struct sockaddr *)&address, sizeof address) < 0)
        return;
    for (bool open = true; open && !atomic_load(&proxy.stop);) {
        struct pollfd fds[2] = {{.fd = client, .events = POLLIN}, {.fd = back, .events = POLLIN}};
        if (poll(fds, 2, 100) <= 0)
            continue;
        if (fds[0].revents)
            open = pass_on(client, back, false);
        if (open && fds[1].revents)
            open = pass_on(back, client, atomic_exchange(&proxy.lose, false));
    }
}

static void *proxy_main(void *arg) {
    (void)arg;
    while (!atomic_load(&proxy.stop)) {
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof peer;
        struct pollfd fd = {.fd = proxy.listener, .events = POLLIN};
        if (poll(&fd, 1, 100) <= 0)
            continue;
        int client cleanup(cleanup_closep) = accept4(proxy.listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
        atomic_store(&proxy.last_port, ntohs(peer.sin_port));
        if (client >= 0)
            serve(client);
    }
    return NULL;
}

static int proxy_start(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    proxy.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy.listener, (struct sockaddr *)&address, len) < 0 || listen(proxy.listener, 16) < 0 ||
        getsockname(proxy.listener, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    proxy.port = ntohs(address.sin_port);
    return -pthread_create(&proxy.thread, NULL, proxy_main, NULL);
}

static void proxy_stop(void) {
    atomic_store(&proxy.stop, true);
    (void)pthread_join(proxy.thread, NULL);
    (void)close(proxy.listener);
}

static int run(struct nfs_call *call) {
    call->deadline_ns = clock_monotonic(&clock_system) + 20 * NS_PER_S;
    return nfs_run(share, call);
}

// The call is carried out, its reply is lost, and it is sent again.
static int run_twice(struct nfs_call *call) {
    atomic_store(&proxy.lose, true);
    int r = run(call);
    assert_false(atomic_load(&proxy.lose));
    return r;
}

static struct nfs_fh root(void) {
    return nfs_share_info(share)->root;
}

static struct nfs_call make(const char *name) {
    struct nfs_call c = {
        .op = NFS_CREATE, .fh = root(), .name = name, .exclusive = true, .set = {.mask = NFS_SET_MODE, .mode = 0644}};
    assert_int_equal(run(&c), 0);
    return c;
}

static int look(const char *name, struct nfs_call *ret) {
    *ret = (struct nfs_call){.op = NFS_LOOKUP, .fh = root(), .name = name};
    return run(ret);
}

static int remove_name(const char *name) {
    struct nfs_call c = {.op = NFS_REMOVE, .fh = root(), .name = name};
    return run(&c);
}

static int setup(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct nfs_options options = nfs_server_options(&server, version, 1);
    options.nfs_port = proxy.port;
    int r = nfs_share_open(&options, &share, &err);
    if (r < 0)
        (void)printf("%s\n", err_text(&err));
    return r;
}

static int teardown(void **state) {
    (void)state;
    share = nfs_share_free(share);
    return 0;
}

static void test_link(void **state) {
    (void)state;
    struct nfs_call file = make("file"), other = make("other"), found;
    struct nfs_call link = {.op = NFS_LINK, .fh = file.out_fh, .fh2 = root(), .name = "name"};
    assert_int_equal(run_twice(&link), 0); // ours: the winner must know that it won
    assert_true(link.has_attr);
    assert_int_equal(link.attr.fileid, file.attr.fileid);
    assert_int_equal(link.attr.nlink, 2);
    struct nfs_call late = {.op = NFS_LINK, .fh = other.out_fh, .fh2 = root(), .name = "name"};
    assert_int_equal(run_twice(&late), -EEXIST); // another file's: somebody else won
    assert_int_equal(look("name", &found), 0);
    assert_int_equal(found.attr.fileid, file.attr.fileid);
    struct nfs_call again = {.op = NFS_LINK, .fh = file.out_fh, .fh2 = root(), .name = "name"};
    assert_int_equal(run(&again), -EEXIST); // sent once: as the server says
    assert_int_equal(remove_name("name") | remove_name("file") | remove_name("other"), 0);
}

static void test_remove(void **state) {
    (void)state;
    struct nfs_call found;
    (void)make("gone");
    struct nfs_call c = {.op = NFS_REMOVE, .fh = root(), .name = "gone"};
    assert_int_equal(run_twice(&c), 0);
    assert_int_equal(look("gone", &found), -ENOENT);
    assert_int_equal(remove_name("gone"), -ENOENT);
    struct nfs_call dir = {.op = NFS_MKDIR, .fh = root(), .name = "dir", .set = {.mask = NFS_SET_MODE, .mode = 0755}};
    assert_int_equal(run(&dir), 0);
    c = (struct nfs_call){.op = NFS_RMDIR, .fh = root(), .name = "dir"};
    assert_int_equal(run_twice(&c), 0);
}

static void test_once_is_not_sent_again(void **state) {
    (void)state;
    (void)make("once");
    struct nfs_call c = {.op = NFS_REMOVE, .fh = root(), .name = "once", .once = true};
    assert_int_equal(run_twice(&c), -ECONNRESET);
    (void)make("once"); // it was done, and this one is another's: it stays
    struct nfs_call found;
    assert_int_equal(look("once", &found), 0);
    assert_int_equal(run(&c), 0);
}

static void test_rename(void **state) {
    (void)state;
    struct nfs_call file = make("before"), found;
    struct nfs_call c = {.op = NFS_RENAME, .fh = root(), .name = "before", .fh2 = root(), .name2 = "after"};
    assert_int_equal(run_twice(&c), 0);
    assert_int_equal(look("after", &found), 0);
    assert_int_equal(found.attr.fileid, file.attr.fileid);
    assert_int_equal(remove_name("after"), 0);
    assert_int_equal(run_twice(&c), -ENOENT); // neither name is there
}

static void test_exclusive_stays_refused(void **state) {
    (void)state;
    (void)make("first"); // v4: the client id is there
    struct nfs_call c = {.op = NFS_CREATE, .fh = root(), .name = "lock", .exclusive = true};
    int r = run_twice(&c);
    assert_true(r == -EEXIST || (version == 4 && r == 0)); // v4.0 servers know an open again by its owner
    assert_int_equal(remove_name("lock") | remove_name("first"), 0);
    c = (struct nfs_call){.op = NFS_MKDIR, .fh = root(), .name = "lock"};
    assert_int_equal(run_twice(&c), -EEXIST);
    c.op = NFS_RMDIR;
    assert_int_equal(run(&c), 0);
}

// Servers know a call again by its xid and where it comes from.
static void test_comes_from_the_same_port(void **state) {
    (void)state;
    struct nfs_call c = {.op = NFS_GETATTR, .fh = root()};
    assert_int_equal(run(&c), 0);
    unsigned first = atomic_load(&proxy.last_port);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(run_twice(&c), 0);
        assert_int_equal(atomic_load(&proxy.last_port), first);
    }
}

static int suite(int of_version) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_link, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_once_is_not_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exclusive_stays_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comes_from_the_same_port, setup, teardown),
    };
    version = of_version;
    return cmocka_run_group_tests_name(version == 3 ? "NFSv3" : "NFSv4.0", tests, NULL, NULL);
}

int main(void) {
    int r = nfs_server_start(&server);
    if (r == -ENOENT)
        return 77;
    int failed = r < 0 || proxy_start() < 0 ? 1 : suite(3) + suite(4);
    if (failed == 0 || proxy.port)
        proxy_stop();
    nfs_server_stop(&server);
    return failed ? 1 : 0;
}
