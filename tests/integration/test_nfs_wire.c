// SPDX-License-Identifier: Apache-2.0
// A connection against a server that plays a script: busy, cut off, silent, or talking nonsense.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/nfs/connection.h"
#include "lib/nfs/v3.h"
#include "tests/support/cm.h"

enum action {
    ANSWER,        // the READ, whole
    BUSY,          // JUKEBOX
    CUT,           // the first half of the answer, then the end of the connection
    CUT_SHORT,     // most of an answer that brings fewer bytes, then the end of the connection
    NONSENSE_MARK, // a record longer than any reply
    NONSENSE_BODY, // a reply whose data are longer than what was asked for
    FRAGMENTS,     // the answer in pieces, an empty one among them
    STRANGER,      // first a reply that nobody waits for, then the answer
    CLOSE,
};

enum { SCRIPT_MAX = 8, READ_BYTES = 5001, SHORT_BYTES = 4001, REPLY_BYTES = READ_BYTES + 3 + 48, RESERVE = 256 };

static struct player {
    pthread_t thread;
    int listener;
    enum action script[SCRIPT_MAX];
    uint32_t xids[SCRIPT_MAX];
    size_t steps, played;
} player;

static bool receive_all(int fd, uint8_t *buf, size_t len) {
    return recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static void put_head(struct xdr_out *out, uint32_t xid, uint32_t status) {
    xdr_put_u32(out, 0);
    xdr_put_u32(out, xid);
    xdr_put_u32(out, 1); // REPLY, accepted, no verifier, success
    for (int i = 0; i < 4; i++)
        xdr_put_u32(out, 0);
    xdr_put_u32(out, status);
    xdr_put_u32(out, 0); // no attributes
}

static size_t put_data(uint8_t *buf, size_t cap, uint32_t xid, uint32_t claimed, uint32_t len) {
    struct xdr_out out = {.buf = buf, .cap = cap};
    uint8_t data[READ_BYTES];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31);
    put_head(&out, xid, 0);
    xdr_put_u32(&out, len);
    xdr_put_u32(&out, len == READ_BYTES);
    xdr_put_u32(&out, claimed);
    xdr_put_fixed(&out, data, len);
    rpc_finish_call(&out, 0);
    assert_false(out.full);
    return out.len;
}

static size_t put_answer(uint8_t *buf, size_t cap, uint32_t xid, uint32_t claimed) {
    return put_data(buf, cap, xid, claimed, READ_BYTES);
}

static bool send_all(int fd, const uint8_t *data, size_t len) {
    return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool send_fragments(int fd, const uint8_t *record, size_t len) {
    static const size_t sizes[] = {2, 7, 0, 60, 3000, REPLY_BYTES};
    bool sent = true;
    record += 4, len -= 4;
    for (size_t i = 0; i < ARRAY_SIZE(sizes) && sent; i++) {
        size_t n = sizes[i] < len ? sizes[i] : len;
        uint8_t mark[4];
        xdr_store_u32(mark, (uint32_t)n | (n == len ? RPC_LAST_FRAGMENT : 0));
        sent = send_all(fd, mark, sizeof mark) && send_all(fd, record, n);
        record += n, len -= n;
    }
    return sent;
}

// False: the connection ends.
static bool play(int fd, enum action action, uint32_t xid) {
    uint8_t buf[REPLY_BYTES + RESERVE];
    struct xdr_out out = {.buf = buf, .cap = sizeof buf};
    size_t len = put_answer(buf, sizeof buf, xid, READ_BYTES);
    bool stay = true;
    switch (action) {
    case ANSWER:
        break;
    case BUSY:
        put_head(&out, xid, 10008);
        rpc_finish_call(&out, 0);
        len = out.len;
        break;
    case CUT:
        len /= 2;
        stay = false;
        break;
    case CUT_SHORT:
        len = put_data(buf, sizeof buf, xid, SHORT_BYTES, SHORT_BYTES) - 300;
        stay = false;
        break;
    case NONSENSE_MARK:
        xdr_put_u32(&out, 0xffffffff);
        break;
    case NONSENSE_BODY:
        (void)put_answer(buf, sizeof buf, xid, READ_BYTES + 4000);
        break;
    case FRAGMENTS:
        return send_fragments(fd, buf, len);
    case STRANGER:
        (void)put_answer(buf, sizeof buf, xid + 12345, READ_BYTES);
        stay = send_all(fd, buf, len);
        (void)put_answer(buf, sizeof buf, xid, READ_BYTES);
        break;
    case CLOSE:
        return false;
    }
    return send_all(fd, buf, len) && stay;
}

static void *player_main(void *arg) {
    struct player *p = arg;
    while (p->played < p->steps) {
        int fd cleanup(cleanup_closep) = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
        uint8_t head[8], rest[RPC_CALL_MAX];
        bool stay = fd >= 0;
        while (stay && p->played < p->steps && receive_all(fd, head, sizeof head)) {
            size_t len = (xdr_load_u32(head) & ~RPC_LAST_FRAGMENT) - 4;
            uint32_t xid = xdr_load_u32(head + 4);
            p->xids[p->played] = xid;
            stay = len <= sizeof rest && receive_all(fd, rest, len) && play(fd, p->script[p->played++], xid);
        }
    }
    return NULL;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
};

static void wake(struct nfs_call *call) {
    struct waiter *w = call->arg;
    LOCK_SCOPE(&w->lock);
    w->done = true;
    (void)pthread_cond_signal(&w->ended);
}

// One READ of READ_BYTES against the script; its result.
static int play_script(const enum action *script, size_t steps) {
    static const struct nfs_cred cred;
    struct sockaddr_storage address = {.ss_family = AF_INET};
    socklen_t len = sizeof(struct sockaddr_in);
    ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    player = (struct player){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .steps = steps};
    memcpy(player.script, script, steps * sizeof *script);
    assert_int_equal(bind(player.listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(player.listener, 4), 0);
    assert_int_equal(getsockname(player.listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(pthread_create(&player.thread, NULL, player_main, &player), 0);

    struct conn *conn = calloc(1, sizeof *conn);
    uint8_t *data cleanup_free = calloc(1, READ_BYTES); // exactly: a byte more is caught by the sanitizer
    assert_true(conn && data);
    assert_int_equal(conn_open(conn, &nfs_v3, &address, &cred, false), 0);
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    struct nfs_call call = {.op = NFS_READ,
                            .fh = {.len = 8},
                            .data = data,
                            .count = READ_BYTES,
                            .done = wake,
                            .arg = &w,
                            .deadline_ns = clock_monotonic(&clock_system) + 20 * NS_PER_S};
    conn_submit(conn, &call);
    (void)pthread_mutex_lock(&w.lock);
    while (!w.done)
        (void)pthread_cond_wait(&w.ended, &w.lock);
    (void)pthread_mutex_unlock(&w.lock);
    conn_stop(conn);
    conn_free(conn);
    free(conn);
    (void)pthread_join(player.thread, NULL);
    (void)close(player.listener);
    for (size_t i = 0; call.result == 0 && i < READ_BYTES; i++)
        assert_int_equal(data[i], (uint8_t)(i * 31));
    assert_true(call.result < 0 || (call.count == READ_BYTES && call.eof));
    return call.result;
}

static void test_busy(void **state) {
    (void)state;
    static const enum action script[] = {BUSY, BUSY, ANSWER};
    assert_int_equal(play_script(script, ARRAY_SIZE(script)), 0);
    assert_int_not_equal(player.xids[0], player.xids[1]); // another try is another call
}

static void test_cut_off(void **state) {
    (void)state;
    static const enum action script[] = {CUT, CUT, ANSWER};
    assert_int_equal(play_script(script, ARRAY_SIZE(script)), 0);
    assert_int_equal(player.xids[0], player.xids[1]); // the same call again: the server can tell
    assert_int_equal(player.xids[0], player.xids[2]);
}

// What the first answer said does not bind the second one: the file may have grown.
static void test_cut_off_then_more(void **state) {
    (void)state;
    static const enum action script[] = {CUT_SHORT, ANSWER};
    assert_int_equal(play_script(script, ARRAY_SIZE(script)), 0);
    static const enum action busy[] = {CUT_SHORT, BUSY, ANSWER}; // encoded anew
    assert_int_equal(play_script(busy, ARRAY_SIZE(busy)), 0);
}

static void test_closed(void **state) {
    (void)state;
    static const enum action script[] = {CLOSE, CLOSE, ANSWER};
    assert_int_equal(play_script(script, ARRAY_SIZE(script)), 0);
    assert_int_equal(player.xids[0], player.xids[2]);
}

static void test_nonsense(void **state) {
    (void)state;
    static const enum action script[] = {NONSENSE_MARK, STRANGER};
    assert_int_equal(play_script(script, ARRAY_SIZE(script)), 0);
    static const enum action body[] = {NONSENSE_BODY};
    assert_int_equal(play_script(body, ARRAY_SIZE(body)), -EPROTO);
}

static void test_fragments(void **state) {
    (void)state;
    static const enum action script[] = {FRAGMENTS};
    assert_int_equal(play_script(script, ARRAY_SIZE(script)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy),   cmocka_unit_test(test_cut_off),  cmocka_unit_test(test_cut_off_then_more),
        cmocka_unit_test(test_closed), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_fragments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
