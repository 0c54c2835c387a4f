// SPDX-License-Identifier: Apache-2.0
// Records: their file format, and a cache that neither misses a change nor asks the server for what it knows.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/store.h"
#include "controller/store_cache.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"

#define RECORDS 150 // several pages of the fake, more than one batch of reads

struct side { // one controller's view of the share
    struct fake_nfs_store *store;
    struct nfs_share *nfs;
    struct shares *shares;
    struct share *share;
    int64_t now_ns; // of its clock
    struct clock clock;
};

static int64_t fake_monotonic(void *ctx) {
    return ((struct side *)ctx)->now_ns;
}
static int64_t fake_wall(void *ctx) {
    return ((struct side *)ctx)->now_ns;
}
static void system_random(void *ctx, void *buf, size_t n) {
    (void)ctx;
    clock_random(&clock_system, buf, n);
}
static const struct clock_ops fake_clock = {fake_monotonic, fake_wall, system_random};

static int open_fake(void *arg, const struct nfs_options *options, struct nfs_share **ret, struct err *err) {
    struct side *side = arg;
    (void)options, (void)err;
    *ret = side->nfs = faulty_nfs_new(fake_nfs_open(side->store));
    return 0;
}

static int64_t soon(void) {
    return clock_monotonic(&clock_system) + 10 * NS_PER_S;
}

static void side_start(struct side *side, struct fake_nfs_store *store) {
    struct share_location location = {.server = (char *)(uintptr_t) "h", .path = (char *)(uintptr_t) "/x"};
    struct err err = ERR_NONE;
    *side = (struct side){.store = store, .now_ns = 1000 * NS_PER_S, .clock = {&fake_clock, side}};
    struct shares_options options = {.clock = &side->clock, .open = open_fake, .open_arg = side};
    assert_int_equal(shares_new(&options, &side->shares, &err), 0);
    assert_int_equal(shares_get(side->shares, &location, true, soon(), &side->share, &err), 0);
}

static void side_stop(struct side *side) {
    share_free(side->share);
    side->shares = shares_free(side->shares);
}

static struct record *sample(const char *name) {
    struct record *record = record_new(SHARED_VOLUME, name);
    assert_non_null(record);
    record->bytes = 4711;
    assert_int_equal(record_set_text(&record->sub_dir, name), 0);
    return record;
}

static void put(struct side *side, const char *name) {
    struct record *record cleanup(record_freep) = sample(name);
    struct err err = ERR_NONE;
    assert_int_equal(store_create(side->share, record, soon(), &err), 0);
}

struct seen {
    size_t count;
    int64_t bytes;
    char last[HASH_ID_LEN + 1];
};

static int see(void *arg, const char *key, const struct record *record, const struct err *damage) {
    struct seen *seen = arg;
    (void)damage;
    assert_true(strcmp(seen->last, key) < 0); // sorted, each once
    (void)snprintf(seen->last, sizeof seen->last, "%s", key);
    seen->count++;
    seen->bytes += record ? record->bytes : 0;
    return 0;
}

static struct seen list(struct side *side) {
    struct seen seen = {0};
    struct err err = ERR_NONE;
    assert_int_equal(store_list(side->share, SHARED_VOLUME, NULL, soon(), see, &seen, &err), 0);
    return seen;
}

static long calls(struct side *side, enum nfs_op op) {
    return faulty_nfs_count(side->nfs, FAULTY_OP, op);
}

static int double_bytes(struct record *record, void *arg, struct err *err) {
    (void)arg, (void)err;
    record->bytes *= 2;
    return 0;
}

static void lists_are_whole_and_cheap(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct side a, b;
    struct err err = ERR_NONE;
    char key[HASH_ID_LEN + 1];
    (void)arg;
    side_start(&a, store);
    side_start(&b, store);
    for (int i = 0; i < RECORDS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%d", i);
        put(&a, name);
    }
    assert_int_equal(list(&b).count, RECORDS);
    assert_int_equal(calls(&b, NFS_READ), 1 + RECORDS); // and the format file, when the share was opened
    assert_int_equal(list(&b).count, RECORDS);
    assert_int_equal(calls(&b, NFS_READ), 1 + RECORDS); // nothing is read twice
    assert_int_equal(list(&a).bytes, RECORDS * 4711);
    assert_int_equal(calls(&a, NFS_READ), 0); // what was written here is known here
    // The directory stays as it is for a while: it need not be read any more.
    b.now_ns += 3 * NS_PER_S;
    assert_int_equal(list(&b).count, RECORDS);
    long reads = calls(&b, NFS_READDIR);
    assert_int_equal(list(&b).count, RECORDS);
    assert_int_equal(calls(&b, NFS_READDIR), reads);
    // Each kind of change by the other controller is seen at once.
    hash_id("v7", 2, key);
    assert_int_equal(store_update(a.share, SHARED_VOLUME, key, soon(), double_bytes, NULL, &err), 0);
    assert_int_equal(list(&b).bytes, (RECORDS + 1) * 4711);
    assert_int_equal(store_remove(a.share, SHARED_VOLUME, key, soon(), &err), 0);
    assert_int_equal(list(&b).count, RECORDS - 1);
    put(&a, "another");
    assert_int_equal(list(&b).count, RECORDS);
    assert_int_equal(store_count(b.share, SHARED_VOLUME), RECORDS);
    side_stop(&a);
    side_stop(&b);
    store = fake_nfs_store_free(store);
}

// Another client's change of the directory at each READDIR but the first takes this side's place in the list away.
struct busy {
    struct side *side;
    struct nfs_share base, *inner;
    int left;
};

static void busy_submit(struct nfs_share *base, struct nfs_call *call) {
    struct busy *busy = (struct busy *)((char *)base - offsetof(struct busy, base));
    if (call->op == NFS_READDIR && call->cookie && busy->left > 0) {
        char name[16];
        (void)snprintf(name, sizeof name, "late%d", busy->left--);
        put(busy->side, name);
    }
    nfs_submit(busy->inner, call);
}
static void busy_cancel(struct nfs_share *base, struct nfs_call *call) {
    nfs_cancel(((struct busy *)((char *)base - offsetof(struct busy, base)))->inner, call);
}

static int list_while_it_changes(struct side *side, struct side *other, int changes, struct seen *seen,
                                 struct err *err) {
    static const struct nfs_backend backend = {.submit = busy_submit, .cancel = busy_cancel};
    struct busy busy = {.side = other, .base = {&backend}, .inner = side->share->nfs, .left = changes};
    fake_nfs_set_strict_cookies(side->store, true);
    side->share->nfs = &busy.base;
    int r = store_list(side->share, SHARED_VOLUME, NULL, soon(), see, seen, err);
    side->share->nfs = busy.inner;
    fake_nfs_set_strict_cookies(side->store, false);
    return r;
}

static void a_list_that_lost_its_place_begins_again(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct side a, b;
    struct err err = ERR_NONE;
    struct seen seen = {0}, all = {0};
    (void)arg;
    side_start(&a, store);
    side_start(&b, store);
    for (int i = 0; i < RECORDS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%d", i);
        put(&a, name);
    }
    assert_int_equal(list_while_it_changes(&b, &a, 3, &seen, &err), 0);
    assert_int_equal(seen.count, RECORDS + 3); // `see` proves that none came twice
    assert_int_equal(list_while_it_changes(&b, &a, 1000, &all, &err), -EAGAIN);
    assert_non_null(strstr(err.msg, "changes faster"));
    assert_int_equal(all.count, 0);
    side_stop(&a);
    side_stop(&b);
    store = fake_nfs_store_free(store);
}

static int take_too_long(struct record *record, void *arg, struct err *err) {
    struct side *side = arg;
    (void)err;
    record->bytes = 1;
    side->now_ns += 60 * NS_PER_S; // the lease has run out: another controller may have the lock by now
    return 0;
}

static void nothing_is_written_after_the_lease(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct side side;
    struct record *found cleanup(record_freep) = NULL;
    struct err err = ERR_NONE;
    char key[HASH_ID_LEN + 1];
    (void)arg;
    side_start(&side, store);
    put(&side, "v");
    hash_id("v", 1, key);
    assert_int_equal(store_update(side.share, SHARED_VOLUME, key, soon(), take_too_long, &side, &err), -EAGAIN);
    assert_int_equal(store_get(side.share, SHARED_VOLUME, key, soon(), &found, &err), 0);
    assert_int_equal(found->bytes, 4711);
    side_stop(&side);
    store = fake_nfs_store_free(store);
}

static void creation_is_exclusive(void **arg) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct side a, b;
    struct record *record cleanup(record_freep) = sample("v"), *found cleanup(record_freep) = NULL;
    struct err err = ERR_NONE;
    (void)arg;
    side_start(&a, store);
    side_start(&b, store);
    assert_int_equal(store_get(b.share, SHARED_VOLUME, record->key, soon(), &found, &err), -ENOENT);
    assert_int_equal(store_create(a.share, record, soon(), &err), 0);
    record->bytes = 1;
    assert_int_equal(store_create(b.share, record, soon(), &err), -EEXIST);
    assert_int_equal(store_get(b.share, SHARED_VOLUME, record->key, soon(), &found, &err), 0);
    assert_int_equal(found->bytes, 4711);
    side_stop(&a);
    side_stop(&b);
    store = fake_nfs_store_free(store);
}

static void records_survive_the_round_trip(void **arg) {
    struct record *record cleanup(record_freep) = sample("ümlaut / \"quoted\""), *back cleanup(record_freep) = NULL;
    struct err err = ERR_NONE;
    (void)arg;
    record->state = RECORD_COPYING;
    record->created_ns = INT64_MAX;
    record->on_delete = ON_DELETE_ARCHIVE;
    record->mount_mode = MOUNT_MODE_FUSE;
    record->mount_permissions = 02770;
    record->uid = 0;
    record->gid = UINT32_MAX - 1;
    record->source = CONTENT_SNAPSHOT;
    assert_int_equal(record_set_text(&record->source_id, "s-x"), 0);
    assert_int_equal(record_list_add(&record->pins, &record->pin_count, "v-1"), 0);
    assert_int_equal(record_list_add(&record->pins, &record->pin_count, "v-1"), 0);
    record->nodes = mem_array(1, sizeof *record->nodes);
    record->nodes[0] = (struct record_node){mem_strdup("n"), true, 5};
    record->node_count = 1;
    char *text cleanup_free = record_encode(record);
    assert_int_equal(record_decode(text, strlen(text), SHARED_VOLUME, record->key, "here", &back, &err), 0);
    char *again cleanup_free = record_encode(back);
    assert_string_equal(text, again);
    assert_int_equal(back->pin_count, 1);
    assert_true(back->nodes[0].read_only);
    assert_int_equal(back->gid, UINT32_MAX - 1);
}

static void damage_is_told_from_newer(void **arg) {
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"", -EBADMSG},
        {"{", -EBADMSG},
        {"[]", -EBADMSG},
        {"{\"version\":3,\"anything\":true}", -EPROTO},
        {"{\"version\":2,\"kind\":\"volume\",\"name\":\"v\",\"state\":\"ready\",\"created\":1,\"bytes\":1,\"subDir\":"
         "\"v\","
         "\"group\":{\"cacheMode\":\"ttl\"}}",
         -EBADMSG},
        {"{\"version\":2,\"kind\":\"volume\",\"name\":\"v\",\"state\":\"ready\",\"created\":1,\"bytes\":1,\"subDir\":"
         "\"v\","
         "\"group\":{\"nodeGroup\":\"a\",\"tomorrow\":\"x\"}}",
         -EBADMSG},
        {"{\"version\":1,\"kind\":\"volume\",\"name\":\"other\",\"state\":\"ready\",\"created\":1,\"bytes\":1}",
         -EBADMSG},
        {"{\"version\":1,\"kind\":\"group\",\"name\":\"v\",\"state\":\"ready\",\"created\":1,\"bytes\":1}", -EBADMSG},
        {"{\"version\":1,\"kind\":\"volume\",\"name\":\"v\",\"state\":\"ready\",\"created\":1,\"bytes\":1}", -EBADMSG},
        {"{\"version\":1,\"kind\":\"volume\",\"name\":\"v\",\"state\":\"odd\",\"created\":1,\"bytes\":1,\"subDir\":"
         "\"v\"}",
         -EBADMSG},
        {"{\"version\":1,\"kind\":\"volume\",\"name\":\"v\",\"state\":\"ready\",\"created\":1,\"bytes\":1,\"subDir\":"
         "\"v\"}",
         0},
    };
    char key[HASH_ID_LEN + 1];
    (void)arg;
    hash_id("v", 1, key);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record *record cleanup(record_freep) = NULL;
        struct err err = ERR_NONE;
        int r = record_decode(rows[i].text, strlen(rows[i].text), SHARED_VOLUME, key, "the file", &record, &err);
        assert_int_equal(r, rows[i].code);
        if (r < 0)
            assert_non_null(strstr(err.msg, "the file"));
    }
}

// Two replacements within one tick of the server's clock, the second one in the inode of the first file.
static void a_reused_inode_is_another_file(void **arg) {
    struct cache cache = {0};
    struct nfs_attr attr = {.fileid = 7, .size = 2, .mtime = {.tv_sec = 1}};
    struct nfs_fh first = {.len = 8, .data = {7, 0, 0, 0, 1}}, again = {.len = 8, .data = {7, 0, 0, 0, 2}};
    (void)arg;
    assert_int_equal(cache_put(&cache, "key", &first, &attr, "{}", 2), 0);
    const struct cached *entry = strmap_get(&cache.entries, "key");
    assert_true(cache_matches(entry, &first, &attr));
    assert_false(cache_matches(entry, &again, &attr));
    cache_done(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_whole_and_cheap),          cmocka_unit_test(creation_is_exclusive),
        cmocka_unit_test(records_survive_the_round_trip),     cmocka_unit_test(damage_is_told_from_newer),
        cmocka_unit_test(a_reused_inode_is_another_file),     cmocka_unit_test(a_list_that_lost_its_place_begins_again),
        cmocka_unit_test(nothing_is_written_after_the_lease),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
