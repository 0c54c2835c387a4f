// SPDX-License-Identifier: Apache-2.0
// Replies as they are, cut at every byte, and with every byte changed: decoders neither crash nor lie about sizes.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nfs/protocol.h"
#include "lib/nfs/v3.h"
#include "lib/nfs/v4.h"
#include "tests/support/cm.h"

enum { REPLY_MAX = 4096 };

struct reply {
    const struct protocol *protocol;
    enum nfs_op op;
    uint8_t bytes[REPLY_MAX];
    size_t len;
};

static void put_fattr3(struct xdr_out *out) {
    static const uint32_t fattr[21] = {NF3REG, 0644, 1, 7, 8, 0, 4096, 0, 4096, 0, 0, 0, 1, 0, 99, 5, 0, 6, 0, 7, 0};
    for (size_t i = 0; i < ARRAY_SIZE(fattr); i++)
        xdr_put_u32(out, fattr[i]);
}

static struct reply readdirplus(void) {
    static const char *const names[] = {".", "..", "first", "a second one"};
    struct reply reply = {.protocol = &nfs_v3, .op = NFS_READDIR};
    struct xdr_out out = {.buf = reply.bytes, .cap = sizeof reply.bytes};
    xdr_put_u32(&out, NFS3_OK);
    xdr_put_u32(&out, 0); // no attributes of the directory
    xdr_put_u64(&out, 1); // verifier
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        xdr_put_u32(&out, 1);
        xdr_put_u64(&out, 10 + i);
        xdr_put_text(&out, names[i]);
        xdr_put_u64(&out, 100 + i);
        xdr_put_u32(&out, 1);
        put_fattr3(&out);
        xdr_put_u32(&out, 1);
        xdr_put_opaque(&out, "handle", 6);
    }
    xdr_put_u32(&out, 0);
    xdr_put_u32(&out, 1);
    reply.len = out.len;
    return reply;
}

static void put_fattr4(struct xdr_out *out) {
    v4_put_attr_bitmap(out);
    size_t at = out->len;
    xdr_put_u32(out, 0);
    xdr_put_u32(out, NF4DIR);
    xdr_put_u64(out, 4096); // size
    xdr_put_u64(out, 1);    // fsid
    xdr_put_u64(out, 2);
    xdr_put_u64(out, 99);      // fileid
    xdr_put_u32(out, 0755);    // mode
    xdr_put_u32(out, 3);       // links
    xdr_put_text(out, "1000"); // owner
    xdr_put_text(out, "1001@example.org");
    xdr_put_u64(out, 0);    // device
    xdr_put_u64(out, 4096); // used
    for (uint64_t i = 0; i < 3; i++) {
        xdr_put_u64(out, 5 + i);
        xdr_put_u32(out, 0);
    }
    xdr_store_u32(out->buf + at, (uint32_t)(out->len - at - 4));
}

static struct reply lookup4(void) {
    struct reply reply = {.protocol = &nfs_v4, .op = NFS_LOOKUP};
    struct xdr_out out = {.buf = reply.bytes, .cap = sizeof reply.bytes};
    xdr_put_u32(&out, NFS4_OK);
    xdr_put_u32(&out, 0); // tag
    xdr_put_u32(&out, 4);
    static const uint32_t ops[] = {OP_PUTFH, OP_LOOKUP, OP_GETFH, OP_GETATTR};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        xdr_put_u32(&out, ops[i]);
        xdr_put_u32(&out, NFS4_OK);
        if (ops[i] == OP_GETFH)
            xdr_put_opaque(&out, "a handle", 8);
        if (ops[i] == OP_GETATTR)
            put_fattr4(&out);
    }
    reply.len = out.len;
    return reply;
}

// Decodes `len` bytes from a block of exactly that size, so that the sanitizer sees every byte read beyond.
static struct nfs_call decode(const struct reply *reply, size_t len) {
    struct nfs_call call = {.op = reply->op, .want_attr = true};
    struct conn *conn = calloc(1, sizeof *conn);
    struct req req = {.call = &call, .conn = conn};
    uint8_t *bytes = malloc(len + (len == 0));
    assert_true(conn && bytes);
    memcpy(bytes, reply->bytes, len);
    struct xdr_in in = {.at = bytes, .end = bytes + len};
    call.result = reply->protocol->decode(&req, &in);
    free(bytes);
    free(conn);
    return call;
}

static void walk(struct nfs_call *call) {
    for (size_t i = 0; i < call->entry_count; i++) {
        assert_in_range(strlen(call->entries[i].name), 1, NFS_NAME_MAX);
        assert_null(strchr(call->entries[i].name, '/'));
        assert_true(call->entries[i].fh.len <= NFS_FH_MAX);
    }
    assert_true(call->out_fh.len <= NFS_FH_MAX);
    free(call->entries);
}

static void torture(struct reply reply) {
    for (size_t len = 0; len < reply.len; len++) {
        struct nfs_call call = decode(&reply, len);
        assert_int_equal(call.result, -EPROTO);
        walk(&call);
    }
    for (size_t i = 0; i < reply.len; i++) {
        static const uint8_t values[] = {0, 1, 0x2f, 0x7f, 0x80, 0xff};
        uint8_t kept = reply.bytes[i];
        for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
            reply.bytes[i] = values[v];
            struct nfs_call call = decode(&reply, reply.len);
            walk(&call);
        }
        reply.bytes[i] = kept;
    }
}

static void test_readdirplus(void **state) {
    (void)state;
    struct reply reply = readdirplus();
    struct nfs_call call = decode(&reply, reply.len);
    assert_int_equal(call.result, 0);
    assert_int_equal(call.entry_count, 2);
    assert_string_equal(call.entries[0].name, "first");
    assert_string_equal(call.entries[1].name, "a second one");
    assert_int_equal(call.entries[1].fileid, 13);
    assert_int_equal(call.entries[1].attr.mode, S_IFREG | 0644);
    assert_int_equal(call.entries[1].attr.size, 4096);
    assert_int_equal(call.entries[1].fh.len, 6);
    assert_int_equal(call.cookie, 103);
    assert_true(call.eof);
    walk(&call);
    torture(reply);
}

static void test_lookup4(void **state) {
    (void)state;
    struct reply reply = lookup4();
    struct nfs_call call = decode(&reply, reply.len);
    assert_int_equal(call.result, 0);
    assert_true(call.has_attr);
    assert_int_equal(call.attr.mode, S_IFDIR | 0755);
    assert_int_equal(call.attr.uid, 1000);
    assert_int_equal(call.attr.gid, 1001);
    assert_int_equal(call.attr.atime.tv_sec, 5);
    assert_int_equal(call.attr.ctime.tv_sec, 6);
    assert_int_equal(call.attr.mtime.tv_sec, 7);
    assert_int_equal(call.out_fh.len, 8);
    torture(reply);
}

// A server that leaves out what it made is asked again; a directory page that brings nothing is no page.
static void test_gaps(void **state) {
    (void)state;
    struct reply made = {.protocol = &nfs_v3, .op = NFS_MKDIR};
    struct xdr_out out = {.buf = made.bytes, .cap = sizeof made.bytes};
    for (int i = 0; i < 5; i++)
        xdr_put_u32(&out, 0);
    made.len = out.len;
    assert_int_equal(decode(&made, made.len).result, PROTOCOL_NEXT);
    struct reply page = {.protocol = &nfs_v3, .op = NFS_READDIR};
    out = (struct xdr_out){.buf = page.bytes, .cap = sizeof page.bytes};
    for (int i = 0; i < 6; i++)
        xdr_put_u32(&out, 0); // status, attributes, verifier, no entry, not the end
    page.len = out.len;
    assert_int_equal(decode(&page, page.len).result, -EPROTO);
}

static struct reply status4(uint32_t status, enum nfs_op op) {
    struct reply reply = {.protocol = &nfs_v4, .op = op};
    struct xdr_out out = {.buf = reply.bytes, .cap = sizeof reply.bytes};
    xdr_put_u32(&out, status);
    xdr_put_u32(&out, 0); // tag
    xdr_put_u32(&out, 0);
    reply.len = out.len;
    return reply;
}

static void test_cookies_gone(void **state) {
    (void)state;
    struct reply reply = status4(NFS4ERR_NOT_SAME, NFS_READDIR);
    assert_int_equal(decode(&reply, reply.len).result, -EBADE); // start again; not: no directory
    reply = status4(NFS4ERR_NOT_SAME, NFS_RMDIR);
    assert_int_equal(decode(&reply, reply.len).result, -ENOTDIR);
}

// A page that ends where it began would be asked for for ever.
static void test_page_without_progress(void **state) {
    (void)state;
    struct reply reply = readdirplus();
    reply.bytes[reply.len - 1] = 0; // not the end
    struct nfs_call call = {.op = NFS_READDIR, .want_attr = true, .cookie = 103};
    struct conn conn = {0};
    struct req req = {.call = &call, .conn = &conn};
    struct xdr_in in = {.at = reply.bytes, .end = reply.bytes + reply.len};
    assert_int_equal(nfs_v3.decode(&req, &in), -EPROTO);
    call.cookie = 50;
    in = (struct xdr_in){.at = reply.bytes, .end = reply.bytes + reply.len};
    assert_int_equal(nfs_v3.decode(&req, &in), 0);
    free(call.entries);
}

// A LOOKUP without attributes is completed by a GETATTR of what was found.
static void test_missing_attributes(void **state) {
    (void)state;
    struct nfs_call call = {.op = NFS_LOOKUP, .fh = {.len = 4}, .name = "x"};
    struct conn conn = {0};
    struct req req = {.call = &call, .conn = &conn};
    uint8_t bytes[256];
    struct xdr_out out = {.buf = bytes, .cap = sizeof bytes};
    xdr_put_u32(&out, NFS3_OK);
    xdr_put_opaque(&out, "handle", 6);
    xdr_put_u32(&out, 0);
    xdr_put_u32(&out, 0);
    struct xdr_in in = {.at = bytes, .end = bytes + out.len};
    assert_int_equal(nfs_v3.decode(&req, &in), PROTOCOL_NEXT);
    assert_int_equal(nfs_v3.procedure(&req), NFS3_GETATTR);
    out = (struct xdr_out){.buf = bytes, .cap = sizeof bytes};
    assert_int_equal(nfs_v3.encode(&req, &out), 0);
    assert_int_equal(out.len, 4 + 8);
    assert_memory_equal(bytes + 4, "handle", 6);
    out = (struct xdr_out){.buf = bytes, .cap = sizeof bytes};
    xdr_put_u32(&out, NFS3_OK);
    put_fattr3(&out);
    in = (struct xdr_in){.at = bytes, .end = bytes + out.len};
    assert_int_equal(nfs_v3.decode(&req, &in), 0);
    assert_true(call.has_attr);
    assert_int_equal(call.attr.fileid, 99);
}

// An open that was refused for now is another owner's when it comes again: the first one's number may be used up, and
// the server would give the same answer for ever.
static void test_refused_open_gets_another_owner(void **state) {
    (void)state;
    struct v4_client client = {.state = V4_CLIENT_READY};
    struct conn conn = {.state = &client};
    struct nfs_call call = {.op = NFS_CREATE, .fh = {.len = 4}, .name = "x"};
    struct req req = {.call = &call, .conn = &conn};
    uint8_t first[512], second[512];
    struct xdr_out out = {.buf = first, .cap = sizeof first};
    assert_int_equal(nfs_v4.encode(&req, &out), 0);
    size_t len = out.len;
    struct reply reply = status4(NFS4ERR_GRACE, NFS_CREATE);
    struct xdr_in in = {.at = reply.bytes, .end = reply.bytes + reply.len};
    assert_int_equal(nfs_v4.decode(&req, &in), -EAGAIN);
    out = (struct xdr_out){.buf = second, .cap = sizeof second};
    assert_int_equal(nfs_v4.encode(&req, &out), 0);
    assert_int_equal(out.len, len);
    assert_memory_not_equal(first, second, len);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readdirplus),
                                       cmocka_unit_test(test_lookup4),
                                       cmocka_unit_test(test_gaps),
                                       cmocka_unit_test(test_cookies_gone),
                                       cmocka_unit_test(test_page_without_progress),
                                       cmocka_unit_test(test_missing_attributes),
                                       cmocka_unit_test(test_refused_open_gets_another_owner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
