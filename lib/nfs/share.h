// SPDX-License-Identifier: Apache-2.0
// What opening a share finds out, for each version, before the connections are made.
#pragma once

#include "lib/nfs/connection.h"
#include "lib/nfs/net.h"

struct share_target {
    struct sockaddr_storage address; // of the NFS service
    struct nfs_fh root;
    uint32_t read_max, write_max;
    const struct protocol *protocol;
};

// The export's handle and limits. `address` is the server's; ports are filled in here.
// -EPROTONOSUPPORT: the server does not speak this version.
int nfs_v3_find(const struct nfs_options *options, const struct sockaddr_storage *address, int64_t deadline_ns,
                struct share_target *ret, struct err *err) must_check;
int nfs_v4_find(const struct nfs_options *options, const struct sockaddr_storage *address, int64_t deadline_ns,
                struct share_target *ret, struct err *err) must_check;

// What the protocol keeps per connection (conn->state).
int nfs_v4_attach(struct conn *conn, const struct nfs_cred *cred) must_check;
void nfs_v4_detach(struct conn *conn);

// A transfer limit as the server gives it, brought to 1..NFS_IO_MAX.
uint32_t nfs_clamp_io(uint64_t limit);
// Says why the server could not be asked, naming it and the remedy.
int nfs_unreachable(const struct nfs_options *options, const char *what, uint16_t port, int r, struct err *err);
