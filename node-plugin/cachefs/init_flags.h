// SPDX-License-Identifier: Apache-2.0
// Features of the kernel that libfuse 3.14 does not know: asked for by changing its answer to INIT on the way.
//
// Why:     the answer is negotiated once a mount; the kernel offers, we take what is in the table of init_flags.c.
// Threads: one, until the answer to INIT is written; afterwards it is only read.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "node-plugin/cachefs/fuse_abi.h"

struct init_flags {
    bool has_xattrs;  // GETXATTR is answered; set before INIT
    uint64_t unique;  // of the INIT request; 0: not seen yet
    uint64_t offered; // FUSE_ABI_*, by the kernel
    uint64_t taken;   // in the answer
};

// Every request passes here until INIT was seen. True: this one is INIT.
bool init_flags_see(struct init_flags *flags, const void *request, size_t size);
// Is this message the answer to INIT (a success)?
bool init_flags_is_answer(const struct init_flags *flags, const struct iovec *iov, int count);
// Adds what is taken to the answer, in place.
void init_flags_add(struct init_flags *flags, const struct iovec *iov);
