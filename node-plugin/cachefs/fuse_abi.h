// SPDX-License-Identifier: Apache-2.0
// The kernel's side of FUSE that the headers of the oldest supported system do not have yet.
//
// Why:     Debian 12's <linux/fuse.h> ends at protocol 7.38. Values: include/uapi/linux/fuse.h of Linux 6.9 (7.40).
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

enum { // opcodes
    FUSE_ABI_OPEN = 14,
    FUSE_ABI_INIT = 26,
    FUSE_ABI_OPENDIR = 27,
    FUSE_ABI_CREATE = 35,
};

// Flags of INIT, both ways: the low half in `flags`, the high half in `flags2`, which counts only with INIT_EXT.
#define FUSE_ABI_HANDLE_KILLPRIV_V2 (UINT64_C(1) << 28)
#define FUSE_ABI_INIT_EXT (UINT64_C(1) << 30)
#define FUSE_ABI_WRITEBACK_CACHE (UINT64_C(1) << 16)
#define FUSE_ABI_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
#define FUSE_ABI_PASSTHROUGH (UINT64_C(1) << 37)
#define FUSE_ABI_HAS_RESEND (UINT64_C(1) << 39)

#define FUSE_ABI_NOTIFY_RESEND 7                   // in `error` of a header with unique 0
#define FUSE_ABI_UNIQUE_RESEND (UINT64_C(1) << 63) // in `unique` of a request that the kernel sends again

struct fuse_abi_in_header {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid;
    uint16_t total_extlen, padding;
};

struct fuse_abi_out_header {
    uint32_t len;
    int32_t error;
    uint64_t unique;
};

struct fuse_abi_init_in {
    uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};

struct fuse_abi_init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, max_stack_depth, unused[6];
};

// Answer to OPEN, and the last part of the one to CREATE. Passthrough goes with DIRECT_IO, NOFLUSH and
// PARALLEL_DIRECT_WRITES only; what it allows beside an open file is in README.md, "What the kernel allows".
#define FUSE_ABI_FOPEN_PASSTHROUGH (1u << 7)
struct fuse_abi_open_out {
    uint64_t fh;
    uint32_t open_flags;
    int32_t backing_id; // with FOPEN_PASSTHROUGH
};

// ioctl(2) of a descriptor of /dev/fuse. OPEN returns an id above 0, which holds the open file until CLOSE.
struct fuse_abi_backing_map {
    int32_t fd;
    uint32_t flags;   // 0
    uint64_t padding; // 0
};
#define FUSE_ABI_BACKING_OPEN _IOW(229, 1, struct fuse_abi_backing_map)
#define FUSE_ABI_BACKING_CLOSE _IOW(229, 2, uint32_t)
