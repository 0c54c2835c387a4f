// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/support/cm.h"

#include "lib/base/mem.h"
#include "node-plugin/cachefs/nodes.h"

static struct nfs_fh handle(unsigned n) {
    struct nfs_fh fh = {.len = 8};
    memcpy(fh.data, &n, sizeof n);
    return fh;
}

static struct nodes *new_nodes(void) {
    struct nodes *nodes = NULL;
    struct nfs_fh root = handle(0);
    assert_int_equal(nodes_new(&root, &nodes, NULL), 0);
    return nodes;
}

static uint64_t look_up(struct nodes *nodes, unsigned n) {
    struct nfs_fh fh = handle(n);
    uint64_t id = 0;
    assert_int_equal(nodes_look_up(nodes, &fh, &id), 0);
    return id;
}

static void the_root_has_id_1_and_stays(void **state) {
    (void)state;
    struct nodes *nodes cleanup(nodes_freep) = new_nodes();
    struct nfs_fh fh, root = handle(0);
    nodes_forget(nodes, NODES_ROOT, 100);
    assert_int_equal(nodes_handle(nodes, NODES_ROOT, &fh), 0);
    assert_true(nfs_fh_eq(&fh, &root));
    assert_int_equal(look_up(nodes, 0), NODES_ROOT);
}

static void one_handle_is_one_node_until_the_last_lookup_is_forgotten(void **state) {
    (void)state;
    struct nodes *nodes cleanup(nodes_freep) = new_nodes();
    uint64_t id = look_up(nodes, 7);
    struct nfs_fh fh;
    assert_int_equal(look_up(nodes, 7), id);
    assert_int_not_equal(look_up(nodes, 8), id);
    nodes_forget(nodes, id, 1);
    assert_int_equal(nodes_handle(nodes, id, &fh), 0);
    nodes_forget(nodes, id, 1);
    assert_int_equal(nodes_handle(nodes, id, &fh), -ESTALE);
}

static void an_id_is_not_used_twice(void **state) {
    (void)state;
    struct nodes *nodes cleanup(nodes_freep) = new_nodes();
    uint64_t before = 0;
    for (unsigned i = 1; i <= 100; i++) {
        uint64_t id = look_up(nodes, i);
        struct nfs_fh fh;
        assert_true((uint32_t)id == 2); // the same slot each time
        assert_true(id > before);
        assert_int_equal(nodes_handle(nodes, before, &fh), -ESTALE);
        nodes_forget(nodes, id, 1);
        before = id;
    }
}

static void many_nodes_are_all_found(void **state) {
    (void)state;
    enum { MANY = 20000 };
    struct nodes *nodes cleanup(nodes_freep) = new_nodes();
    uint64_t *ids cleanup_free = mem_array(MANY, sizeof *ids);
    for (unsigned i = 0; i < MANY; i++)
        ids[i] = look_up(nodes, i + 1);
    for (unsigned i = 0; i < MANY; i += 2)
        nodes_forget(nodes, ids[i], 1);
    for (unsigned i = 0; i < MANY; i++) {
        struct nfs_fh fh = handle(i + 1);
        assert_int_equal(nodes_find(nodes, &fh), i % 2 ? ids[i] : 0);
    }
    assert_int_equal(nodes_count(nodes), MANY / 2 + 1);
}

static void stamps_tell_whether_a_cache_may_be_kept(void **state) {
    (void)state;
    struct nodes *nodes cleanup(nodes_freep) = new_nodes();
    uint64_t id = look_up(nodes, 1);
    struct node_stamp a = {.size = 5, .mtime.tv_sec = 9, .valid = true}, b = a;
    struct node_stamp old = nodes_swap_stamp(nodes, id, &a);
    assert_false(node_stamp_eq(&old, &a)); // nothing was known
    old = nodes_swap_stamp(nodes, id, &b);
    assert_true(node_stamp_eq(&old, &b));
    b.ctime.tv_nsec = 1;
    assert_false(node_stamp_eq(&a, &b));
    nodes_tell(nodes, id, &a);
    assert_true(nodes_was_told(nodes, id, &a));
    assert_false(nodes_was_told(nodes, id, &b));
}

static void a_change_outdates_what_was_asked_before(void **state) {
    (void)state;
    struct nodes *nodes cleanup(nodes_freep) = new_nodes();
    uint64_t id = look_up(nodes, 1);
    struct nfs_fh fh = handle(1), other = handle(2);
    (void)look_up(nodes, 2);
    uint64_t before = nodes_moment(nodes);
    nodes_changed(nodes, id);
    assert_true(nodes_changed_since(nodes, &fh, before));
    assert_false(nodes_changed_since(nodes, &fh, nodes_moment(nodes)));
    assert_false(nodes_changed_since(nodes, &other, before));
}

// A successor maps the same memory, whatever the process before was doing, and knows what that one knew.
static void a_successor_knows_the_nodes(void **state) {
    (void)state;
    int fd cleanup_close = memfd_create("nodes", MFD_CLOEXEC);
    struct nfs_fh root = handle(0), fh;
    struct nodes *first = NULL, *second = NULL;
    assert_int_equal(nodes_open(fd, &root, &first, NULL), 0);
    uint64_t ids[3000], gone[3000];
    for (unsigned i = 1; i < 3000; i++) {
        ids[i] = look_up(first, i);
        if (i % 3 == 0)
            nodes_forget(first, ids[i], 1);
        if (i % 5 == 0)
            gone[i] = look_up(first, i); // once more, or anew
    }
    nodes_set_error(first, ids[1], -EIO, 3);
    assert_int_equal(nodes_open(fd, NULL, &second, NULL), 0);
    assert_int_equal(nodes_count(second), nodes_count(first));
    for (unsigned i = 1; i < 3000; i++) {
        uint64_t id = i % 5 == 0 ? gone[i] : ids[i];
        struct nfs_fh want = handle(i);
        bool live = i % 3 != 0 || i % 5 == 0;
        assert_int_equal(nodes_find(second, &want), live ? id : 0);
        assert_int_equal(nodes_handle(second, id, &fh), live ? 0 : -ESTALE);
    }
    nodes_forget(second, ids[10], 1);
    assert_int_equal(nodes_handle(second, ids[10], &fh), 0); // it was looked up twice
    nodes_forget(second, ids[10], 1);
    assert_int_equal(nodes_handle(second, ids[10], &fh), -ESTALE);
    for (unsigned i = 5000; i < 7000; i++) { // slots are used again, numbers are not
        uint64_t id = look_up(second, i);
        for (unsigned k = 3; k < 3000; k += 3)
            assert_true(id != ids[k]);
    }
    int error;
    unsigned count;
    nodes_error(second, ids[1], &error, &count);
    assert_int_equal(error, -EIO);
    assert_int_equal(count, 3);
    (void)nodes_free(first);
    (void)nodes_free(second);
}

static void memory_that_is_no_table_is_refused(void **state) {
    (void)state;
    int fd cleanup_close = memfd_create("nodes", MFD_CLOEXEC);
    struct nodes *nodes = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(nodes_open(fd, NULL, &nodes, &err), -EPROTO);
    assert_null(nodes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_has_id_1_and_stays),
        cmocka_unit_test(one_handle_is_one_node_until_the_last_lookup_is_forgotten),
        cmocka_unit_test(an_id_is_not_used_twice),
        cmocka_unit_test(many_nodes_are_all_found),
        cmocka_unit_test(stamps_tell_whether_a_cache_may_be_kept),
        cmocka_unit_test(a_change_outdates_what_was_asked_before),
        cmocka_unit_test(a_successor_knows_the_nodes),
        cmocka_unit_test(memory_that_is_no_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
