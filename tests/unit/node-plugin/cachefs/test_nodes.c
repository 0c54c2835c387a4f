// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include <stdio.h>
#include <string.h>
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_has_id_1_and_stays),
        cmocka_unit_test(one_handle_is_one_node_until_the_last_lookup_is_forgotten),
        cmocka_unit_test(an_id_is_not_used_twice),
        cmocka_unit_test(many_nodes_are_all_found),
        cmocka_unit_test(stamps_tell_whether_a_cache_may_be_kept),
        cmocka_unit_test(a_change_outdates_what_was_asked_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
