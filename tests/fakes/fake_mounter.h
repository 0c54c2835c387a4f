// SPDX-License-Identifier: Apache-2.0
// A mounter that keeps its mount table in memory, notes what it is told, and fails where a test says so.
#pragma once

#include <stdbool.h>

#include "lib/base/str.h"
#include "node-plugin/mounter.h"

#define FAKE_MOUNTS_MAX 32
#define FAKE_DAEMONS_MAX 16

struct fake_mount {
    char target[256], source[256], fs_type[32];
    int id, parent, device;
    bool read_only;
};

struct fake_mounter {
    struct fake_mount mounts[FAKE_MOUNTS_MAX];
    size_t count;
    int next_id, next_device;
    struct {
        bool alive;
        int device;              // of what it serves; it ends with the last mount of it
        int event;               // readable once the daemon ended: stands for a pidfd
    } daemons[FAKE_DAEMONS_MAX]; // by pid
    int daemon_count;
    struct str calls; // "mount fuse s:/e/d /x; bind /x /y ro; "
    // What fails, and how: 0 or -errno.
    int mount_result, origin_result, bind_result, plain_result, space_result;
    bool mounts_anyway; // a failing mount or bind leaves its mount behind
    void (*step)(void); // called before and after each change; NULL: not
};

struct mounter fake_mounter(struct fake_mounter *fake);
void fake_mounter_done(struct fake_mounter *fake);
// Mounts by somebody else.
void fake_mounter_add(struct fake_mounter *fake, const char *source, const char *fs_type, const char *target);
void fake_mounter_kill(struct fake_mounter *fake, int pid);
// In a process that was forked, with the fake in shared memory: descriptors and texts of the other process are replaced.
void fake_mounter_inherit(struct fake_mounter *fake);
