// SPDX-License-Identifier: Apache-2.0
// A private nfs-ganesha for a test program, started and stopped by tests/support/nfs-server.sh.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/nfs/nfs.h"

struct nfs_server {
    char dir[64]; // of its state; the exported directory is `export` in it
    uint16_t nfs_port, mount_port;
    pid_t pid;
};

// 0; -ENOENT when what it needs is not installed or the user is not root (the reason was printed): skip the test.
int nfs_server_start(struct nfs_server *server) must_check;
int nfs_server_restart(struct nfs_server *server) must_check; // kill -9, then start on the same ports
void nfs_server_freeze(const struct nfs_server *server);      // SIGSTOP; returns when every thread stands still
void nfs_server_thaw(const struct nfs_server *server);
void nfs_server_stop(struct nfs_server *server); // also removes the exported files
struct nfs_options nfs_server_options(const struct nfs_server *server, int version, unsigned connections);
