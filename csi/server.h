// SPDX-License-Identifier: Apache-2.0
// The CSI services of one process on one unix socket.
#pragma once

#include "csi/volume.h"

struct csi_server;
struct csi_server_options {
    const char *socket;               // path, with or without "unix://"; a stale socket file is replaced
    const struct volume_class *class; // borrowed; must outlive the server
    unsigned threads;                 // handlers at once, 1..256; 0: 16
    unsigned deadline_s;              // of an RPC that brings none; 0: 60
};

// -EADDRINUSE when a living server holds the socket; messages name the path.
int csi_server_start(const struct csi_server_options *options, struct csi_server **ret, struct err *err) must_check;
// Refuses new RPCs (UNAVAILABLE), waits for running ones at most `grace_ms`, then cancels them; frees. Accepts NULL.
struct csi_server *csi_server_stop(struct csi_server *server, unsigned grace_ms);
