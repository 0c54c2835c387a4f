// SPDX-License-Identifier: Apache-2.0
// Written data whose daemon died at any moment: a second write-back over the same memory sends what the server may lack,
// in order, and nothing that it has.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/state.h"
#include "node-plugin/cachefs/writeback_piece.h"

#define FILE_SIZE ((size_t)256 * 1024)

// One life: a daemon's write-back of one file, on a server that the test answers for.
struct life {
    struct nfs_share share;
    struct nfs_info info;
    struct nfs_call *calls[512];
    size_t count;
    struct spool spool;
    struct slots records;
    struct bufs bufs;
    struct wb_mount mount;
    struct wb wb;
};

static struct state *state;
static uint8_t server[FILE_SIZE], model[FILE_SIZE]; // what the server holds; what it must hold in the end
static uint64_t seed;
static const struct nfs_cred cred = {.uid = 7};

static void submit(struct nfs_share *share, struct nfs_call *call) {
    struct life *life = (struct life *)(void *)share;
    assert_true(life->count < ARRAY_SIZE(life->calls));
    life->calls[life->count++] = call;
    if (call->sent)
        *call->sent = (uint64_t)1 << 32 | (seed & 0xffff);
}
static const struct nfs_info *info(struct nfs_share *share) {
    return &((struct life *)(void *)share)->info;
}
static const struct nfs_backend backend = {.submit = submit, .info = info};

static uint32_t any(uint32_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void ignore(struct wb_wait *wait, int result) {
    (void)wait;
    (void)result;
}
static struct wb_wait nobody = {.run = ignore};

static struct life *begin(bool resumed) {
    struct life *life = mem_zalloc(sizeof *life);
    struct nfs_fh fh = {.len = 1};
    size_t bytes, record;
    life->share.backend = &backend;
    life->info.write_max = 1 << 20;
    assert_int_equal(spool_open(&life->spool, state->fds[STATE_SPOOL]), 0);
    void *memory = state_region(state, STATE_PIECES, &bytes, &record);
    slots_open(&life->records, memory, bytes, record);
    bufs_init(&life->bufs, (1 << 20) + 4096, &life->spool);
    wb_mount_init(&life->mount, &life->share, &life->bufs, &life->records, 64 << 20);
    wb_init(&life->wb, &life->mount, &fh);
    for (uint32_t i = slots_next(&life->records, 0); resumed && i; i = slots_next(&life->records, i))
        assert_int_equal(wb_restore(&life->wb, i), 0);
    if (resumed)
        wb_kick(&life->mount);
    return life;
}

// Without another word: what the process had on its heap is gone, what lies in the shared memory stays.
static void die(struct life *life) {
    for (struct wb_list *list = &life->wb.active; list; list = list == &life->wb.active ? &life->wb.kept : NULL)
        for (struct wb_piece *p = list->head, *next; p; p = next) {
            next = p->next;
            free(p);
        }
    bufs_done(&life->bufs);
    wb_mount_done(&life->mount);
    slots_done(&life->records);
    spool_done(&life->spool);
    free(life);
}

static void write_some(struct life *life) {
    static uint8_t data[40000];
    size_t len = 1 + any(any(2) ? 200 : sizeof data), offset = any((uint32_t)(FILE_SIZE - len));
    memset(data, (int)any(256), len);
    struct wb_write w = {.offset = offset, .len = len, .data = data, .cred = &cred};
    if (any(2)) { // as a large request comes: in a buffer of the spool
        w.buf = bufs_get(&life->bufs);
        w.data = memcpy((uint8_t *)w.buf + 80, data, len);
    }
    assert_int_equal(wb_write(&life->wb, &w, &nobody), 1);
    bufs_put(&life->bufs, w.buf);
    memcpy(model + offset, data, len);
}

static void carry_out(struct nfs_call *call) {
    call->result = 0;
    memset(call->verifier, 1, sizeof call->verifier);
    if (call->op == NFS_WRITE)
        memcpy(server + call->offset, call->data, call->count);
}

static struct nfs_call *take(struct life *life, size_t at) {
    struct nfs_call *call = life->calls[at];
    memmove(life->calls + at, life->calls + at + 1, (--life->count - at) * sizeof call);
    return call;
}

static void step(struct life *life) {
    uint32_t choice = any(10);
    if (choice < 6) {
        write_some(life);
    } else if (choice < 9 && life->count) { // any of those in flight may be the next
        struct nfs_call *call = take(life, any((uint32_t)life->count));
        carry_out(call);
        call->done(call);
    } else {
        wb_sync_all(&life->mount);
        life->mount.stopping = false;
    }
}

static void finish(struct life *life) {
    static struct wb_wait wait = {.run = ignore};
    (void)wb_sync(&life->wb, &wait);
    while (life->count) {
        struct nfs_call *call = take(life, 0);
        carry_out(call);
        call->done(call);
    }
    assert_true(wb_clean(&life->wb));
    assert_int_equal(slots_count(&life->records), 0);
}

static int set_up(void **unused) {
    (void)unused;
    memset(server, 0, sizeof server);
    memset(model, 0, sizeof model);
    return state_open(NULL, false, &state, NULL);
}
static int tear_down(void **unused) {
    (void)unused;
    state = state_free(state);
    return 0;
}

static void nothing_acknowledged_is_lost(void **unused) {
    (void)unused;
    struct life *life = begin(false);
    for (seed = 1; seed < 300; seed++) {
        uint64_t keep = seed;
        for (uint32_t steps = any(60); steps > 0; steps--)
            step(life);
        for (uint32_t i = any(3); i > 0 && life->count; i--)
            carry_out(take(life, 0)); // the server did it, nobody heard
        die(life);
        life = begin(true);
        if (keep % 7 == 0) {
            finish(life);
            assert_memory_equal(server, model, FILE_SIZE);
        }
        seed = keep;
    }
    finish(life);
    assert_memory_equal(server, model, FILE_SIZE);
    die(life);
}

static void what_the_server_has_is_not_sent_again(void **unused) {
    (void)unused;
    struct life *life = begin(false);
    struct wb_wait wait = {.run = ignore};
    struct wb_write w = {.offset = 0, .len = 4, .data = "abcd", .cred = &cred},
                    far = {.offset = 9000, .len = 4, .data = "efgh", .cred = &cred};
    assert_int_equal(wb_write(&life->wb, &w, &nobody), 1);
    assert_int_equal(wb_write(&life->wb, &far, &nobody), 1);
    (void)wb_wait_range(&life->wb, &wait, 0, 0);
    assert_int_equal(life->count, 2);
    struct nfs_call *first = take(life, 0);
    assert_int_equal(first->offset, 0);
    carry_out(first);
    first->done(first); // kept until a COMMIT
    die(life);
    life = begin(true);
    assert_int_equal(life->count, 1);
    assert_int_equal(life->calls[0]->offset, 9000);
    assert_true(life->calls[0]->again != 0); // under the number of the first time
    // The server restarts now: what it had is sent all the same.
    struct nfs_call *second = take(life, 0);
    carry_out(second);
    memset(second->verifier, 2, sizeof second->verifier);
    second->done(second);
    (void)wb_sync(&life->wb, &wait);
    struct nfs_call *commit = take(life, 0);
    assert_int_equal(commit->op, NFS_COMMIT);
    carry_out(commit);
    memset(commit->verifier, 2, sizeof commit->verifier);
    commit->done(commit);
    assert_int_equal(life->count, 1);
    assert_int_equal(life->calls[0]->offset, 0);
    assert_true(life->calls[0]->again == 0);
    finish(life);
    die(life);
}

static void newer_data_is_kept_as_long_as_older(void **unused) {
    (void)unused;
    struct life *life = begin(false);
    struct wb_wait wait = {.run = ignore};
    struct wb_write old = {.offset = 0, .len = 4, .data = "old!", .cred = &cred};
    struct wb_write new = {.offset = 2, .len = 4, .data = "new!", .cred = &cred, .stable = true};
    assert_int_equal(wb_write(&life->wb, &old, &nobody), 1);
    (void)wb_wait_range(&life->wb, &wait, 0, 0);
    struct nfs_call *call = take(life, 0);
    carry_out(call);
    call->done(call);
    assert_int_equal(wb_write(&life->wb, &new, &wait), 0);
    call = take(life, 0);
    carry_out(call);
    call->committed = true;
    call->done(call);
    assert_int_equal(slots_count(&life->records), 2);
    memcpy(server, "????????", 8); // the server forgets both: they come again in order
    (void)wb_sync(&life->wb, &wait);
    call = take(life, 0);
    assert_int_equal(call->op, NFS_COMMIT);
    call->result = 0;
    memset(call->verifier, 9, sizeof call->verifier);
    call->done(call);
    finish(life);
    assert_memory_equal(server, "olnew!??", 8);
    die(life);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_acknowledged_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_server_has_is_not_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(newer_data_is_kept_as_long_as_older, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
