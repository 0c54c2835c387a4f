// SPDX-License-Identifier: Apache-2.0
// What the kernel offers and we know is taken, nothing else, and only in the answer to INIT.
#include "tests/support/cm.h"

#include <string.h>

#include "node-plugin/cachefs/init_flags.h"

struct request {
    struct fuse_abi_in_header header;
    struct fuse_abi_init_in in;
};

static struct init_flags flags;
static struct fuse_abi_out_header header;
static struct fuse_abi_init_out out;
static struct iovec iov[2] = {{&header, sizeof header}, {&out, sizeof out}};

static void ask(uint64_t offered) {
    struct request request = {.header = {.opcode = FUSE_ABI_INIT, .unique = 2},
                              .in = {.flags = (uint32_t)offered, .flags2 = (uint32_t)(offered >> 32)}};
    request.header.len = sizeof request;
    flags = (struct init_flags){0};
    header = (struct fuse_abi_out_header){.len = sizeof header + sizeof out, .unique = 2};
    out = (struct fuse_abi_init_out){.major = 7, .minor = 38, .flags = 1};
    assert_true(init_flags_see(&flags, &request, sizeof request));
}

static void offered_is_taken(void **state) {
    (void)state;
    ask(FUSE_ABI_INIT_EXT | FUSE_ABI_HAS_RESEND);
    assert_true(init_flags_is_answer(&flags, iov, 2));
    init_flags_add(&flags, iov);
    assert_int_equal(out.flags, 1 | FUSE_ABI_INIT_EXT);
    assert_int_equal(out.flags2, 1 << 7);
    assert_true(flags.taken & FUSE_ABI_HAS_RESEND);
}

// Asked for where GETXATTR is answered, because each write would ask for security.capability otherwise; else all stays as it was.
static void killpriv_comes_with_xattrs(void **state) {
    (void)state;
    ask(FUSE_ABI_INIT_EXT | FUSE_ABI_HANDLE_KILLPRIV_V2);
    init_flags_add(&flags, iov);
    assert_false(flags.taken & FUSE_ABI_HANDLE_KILLPRIV_V2);
    ask(FUSE_ABI_INIT_EXT | FUSE_ABI_HANDLE_KILLPRIV_V2);
    flags.has_xattrs = true;
    init_flags_add(&flags, iov);
    assert_int_equal(out.flags, 1 | FUSE_ABI_INIT_EXT | FUSE_ABI_HANDLE_KILLPRIV_V2);
}

static void what_is_not_offered_is_left(void **state) {
    (void)state;
    ask(FUSE_ABI_INIT_EXT);
    init_flags_add(&flags, iov);
    assert_int_equal(out.flags, 1);
    assert_int_equal(out.flags2, 0);
    ask(FUSE_ABI_HAS_RESEND); // flags2 means nothing without INIT_EXT
    init_flags_add(&flags, iov);
    assert_int_equal(out.flags2, 0);
    assert_false(flags.taken & FUSE_ABI_HAS_RESEND);
}

static void other_messages_pass(void **state) {
    (void)state;
    struct fuse_abi_in_header lookup = {.opcode = 1, .unique = 4, .len = sizeof lookup};
    flags = (struct init_flags){0};
    assert_false(init_flags_see(&flags, &lookup, sizeof lookup));
    assert_false(init_flags_is_answer(&flags, iov, 2));
    ask(FUSE_ABI_INIT_EXT);
    header.unique = 4;
    assert_false(init_flags_is_answer(&flags, iov, 2));
    header.unique = 2;
    header.error = -71;
    assert_false(init_flags_is_answer(&flags, iov, 2));
}

static void old_answers_stay(void **state) {
    (void)state;
    struct iovec small[2] = {iov[0], {&out, 24}};
    ask(FUSE_ABI_INIT_EXT | FUSE_ABI_HAS_RESEND);
    init_flags_add(&flags, small);
    assert_int_equal(out.flags, 1);
    assert_int_equal(flags.taken, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offered_is_taken),
        cmocka_unit_test(killpriv_comes_with_xattrs),
        cmocka_unit_test(what_is_not_offered_is_left),
        cmocka_unit_test(other_messages_pass),
        cmocka_unit_test(old_answers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
