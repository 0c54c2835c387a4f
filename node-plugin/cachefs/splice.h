// SPDX-License-Identifier: Apache-2.0
// Answers a read with pages of a file, without copying them through this process.
//
// Why:     kernels before 6.9 cannot read a cached file themselves; there this saves one copy of each byte.
// Owns:    one pipe a thread that has answered so, until the thread ends.
// Threads: any.
#pragma once

#include "node-plugin/cachefs/fs.h"

#define SPLICE_MIN ((size_t)64 << 10) // bytes; below, a copy is cheaper

// Takes [offset, offset+len) of `fd` into the pipe: 0, or -errno when the file did not give all of it, and nothing was said.
int splice_load(int fd, uint64_t offset, size_t len) must_check;
// Answers with what was loaded.
void splice_reply(fuse_req_t req, size_t len);
