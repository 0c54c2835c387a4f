// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/init_flags.h"

#include <string.h>

#include "lib/base/cleanup.h"

struct feature {
    uint64_t flag;
    uint64_t excludes;    // flags of the answer that it cannot be together with
    uint32_t stack_depth; // max_stack_depth that it needs; 0: none
    bool with_xattrs;     // of use where GETXATTR is answered
};

static const struct feature features[] = {
    {.flag = FUSE_ABI_HAS_RESEND}, // requests that a dead daemon had read are asked for again
    // Files of the cache are on a file system that is not stacked itself; the kernel ignores the flag beside write-back.
    {.flag = FUSE_ABI_PASSTHROUGH, .excludes = FUSE_ABI_WRITEBACK_CACHE, .stack_depth = 1},
    // Without it, each write asks for security.capability. What it promises the server keeps, as ops.c says of HANDLE_KILLPRIV.
    {.flag = FUSE_ABI_HANDLE_KILLPRIV_V2, .with_xattrs = true},
};

bool init_flags_see(struct init_flags *flags, const void *request, size_t size) {
    struct fuse_abi_in_header header;
    struct fuse_abi_init_in in = {0};
    if (flags->unique || size < sizeof header)
        return false;
    memcpy(&header, request, sizeof header);
    if (header.opcode != FUSE_ABI_INIT)
        return false;
    size_t body = size - sizeof header;
    memcpy(&in, (const char *)request + sizeof header, body < sizeof in ? body : sizeof in);
    flags->unique = header.unique;
    flags->offered = in.flags;
    if (in.flags & FUSE_ABI_INIT_EXT)
        flags->offered |= (uint64_t)in.flags2 << 32;
    return true;
}

bool init_flags_is_answer(const struct init_flags *flags, const struct iovec *iov, int count) {
    struct fuse_abi_out_header header;
    if (!flags->unique || count != 2 || iov[0].iov_len != sizeof header)
        return false;
    memcpy(&header, iov[0].iov_base, sizeof header);
    return header.unique == flags->unique && header.error == 0;
}

void init_flags_add(struct init_flags *flags, const struct iovec *iov) {
    struct fuse_abi_init_out out;
    if (iov[1].iov_len != sizeof out) // to a kernel so old that it knows none of this
        return;
    memcpy(&out, iov[1].iov_base, sizeof out);
    uint64_t answer = out.flags | (uint64_t)out.flags2 << 32;
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        const struct feature *feature = &features[i];
        if (feature->with_xattrs && !flags->has_xattrs)
            continue;
        if (!(flags->offered & feature->flag) || !(flags->offered & FUSE_ABI_INIT_EXT) || (answer & feature->excludes))
            continue;
        answer |= feature->flag | FUSE_ABI_INIT_EXT;
        if (feature->stack_depth)
            out.max_stack_depth = feature->stack_depth;
    }
    out.flags = (uint32_t)answer;
    out.flags2 = (uint32_t)(answer >> 32);
    flags->taken = answer;
    memcpy(iov[1].iov_base, &out, sizeof out);
}
