// SPDX-License-Identifier: Apache-2.0
// A FUSE server that does with each request what the test says: it speaks the protocol raw, so that nothing is between a
// test and the kernel.
//
// Why:     What the kernel allows beside an open file depends on the flags and the backing id in the reply to OPEN; the
//          programs of this repository never send the replies that it refuses.
// Owns:    A mount below a tmpfs of the process's own (fuse_kit_prepare), and the process of the server. Files are "a" to
//          "h" (nodes 2 to 9 at first); what the server reads out of any of them is FUSE_KIT_BYTE.
// Threads: One. The server is a process, since a test that dies with open files must find it alive; it goes with the test.
// Fails:   A call of the kit that fails, fails the test.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "node-plugin/cachefs/fuse_abi.h"

#define FOPEN_PASSTHROUGH FUSE_ABI_FOPEN_PASSTHROUGH // beside those of <linux/fuse.h>

#define FUSE_KIT_DIR "/tmp" // a tmpfs, seen by the test alone
#define FUSE_KIT_MOUNT FUSE_KIT_DIR "/mount"
#define FUSE_KIT_BYTE 'D'
#define FUSE_KIT_SIZE 65536 // of every file at first

enum { FUSE_KIT_FILES = 8, FUSE_KIT_NODES = 32, FUSE_KIT_LOG = 4096 };

struct fuse_kit_node {
    uint64_t size;  // in attributes and READ
    uint32_t flags; // in replies to OPEN: FOPEN_*
    int32_t backing_id;
    int open_error; // 0, or the errno that OPEN is answered with
};

// Memory that the test and its servers share. The test writes while the server has nothing to do.
struct fuse_kit_shared {
    uint64_t node_of[FUSE_KIT_FILES]; // by name; 0: no such file
    struct fuse_kit_node nodes[FUSE_KIT_NODES];
    uint32_t held;    // an opcode that is not answered until fuse_kit_let_go
    uint64_t offered; // flags of INIT, by the kernel
    int results[4];   // of a `start`, for the test
    struct {
        uint32_t opcode;
        uint64_t node;
    } log[FUSE_KIT_LOG]; // requests in the order of their arrival, without FORGET and INIT
    _Atomic unsigned logged;
};

struct fuse_kit_options {
    uint64_t init_flags;
    uint32_t max_stack_depth;
    uint16_t max_background;
    unsigned long mount_flags; // MS_*
};
extern const struct fuse_kit_options fuse_kit_passthrough; // as a daemon would want it: depth 1

struct fuse_kit {
    int device, wake;
    pid_t server;
    struct fuse_kit_options options;
    struct fuse_kit_shared *shared;
};

// Gives the process mounts of its own, with a tmpfs on FUSE_KIT_DIR. False: cannot be, `*ret_why` tells what is missing.
bool fuse_kit_prepare(const char **ret_why);

void fuse_kit_mount(struct fuse_kit *kit, const struct fuse_kit_options *options);
// Unmounts, kills the server and closes the device, in this order.
void fuse_kit_unmount(struct fuse_kit *kit);
// A server that has nothing but the device; `start`, if any, runs in it first.
void fuse_kit_serve(struct fuse_kit *kit, void (*start)(struct fuse_kit *kit));
void fuse_kit_kill(struct fuse_kit *kit); // with SIGKILL; the test keeps the device open

// Opens file "a", "b" … while OPEN of its node is answered so. A descriptor or -errno.
int fuse_kit_open(struct fuse_kit *kit, const char *name, int flags, uint32_t reply_flags, int32_t backing_id);
struct fuse_kit_node *fuse_kit_node(struct fuse_kit *kit, const char *name);

int fuse_kit_register(const struct fuse_kit *kit, int fd); // a backing id or -errno
int fuse_kit_unregister(const struct fuse_kit *kit, int32_t id);
void fuse_kit_make_file(const char *path, char fill, size_t size); // `size` times `fill`
// Makes such a file, and registers a read-only descriptor of it that is closed then.
int32_t fuse_kit_backing(const struct fuse_kit *kit, const char *path, char fill, size_t size);

unsigned fuse_kit_count(const struct fuse_kit *kit, uint32_t opcode); // since the last fuse_kit_forget
void fuse_kit_forget(struct fuse_kit *kit);
void fuse_kit_wait(const struct fuse_kit *kit, uint32_t opcode, unsigned count); // at most ten seconds
// Answers the requests kept back by `held`, and keeps no more.
void fuse_kit_let_go(struct fuse_kit *kit);
