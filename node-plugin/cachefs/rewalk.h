// SPDX-License-Identifier: Apache-2.0
// Who was sent to look a name up once more, so that nobody is sent twice.
//
// Why:     an open cannot tell the kernel a file's new size, but O_APPEND writes at, and splice(2) reads up to, the size
//          that the kernel knows. An open that is answered ESTALE is tried once more by the kernel, with a lookup of the name before it,
//          whose reply does tell the size (Documentation/filesystems/path-lookup.rst, "REVAL-walk"). The second ESTALE
//          would reach the application.
// Threads: any.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REWALK_SLOTS 64u

struct rewalk {
    pthread_mutex_t lock;
    struct rewalk_slot {
        pid_t pid; // of the thread that opens; 0: free
        uint64_t id;
        int64_t until_ns;
    } slots[REWALK_SLOTS];
};

// Thread `pid` (0: not known) opens node `id`, and would better look its name up once more if `wanted`: shall it be sent
// back? Not if it just was, with this file or with the one that the name led to before, or when there is no room to remember it.
// Every open asks, so that it is known who came back. Of threads that are not known, one in two seconds is sent for a node.
bool rewalk_send(struct rewalk *r, pid_t pid, uint64_t id, bool wanted, int64_t now_ns);
