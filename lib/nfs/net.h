// SPDX-License-Identifier: Apache-2.0
// Addresses, sockets and one-shot RPCs, all with a deadline.
#pragma once

#include <netinet/in.h>

#include "lib/nfs/message.h"

#define NET_ADDRESSES_MAX 8

struct net_addresses {
    struct sockaddr_storage items[NET_ADDRESSES_MAX];
    size_t count;
};

// Resolves a host name in a thread that may be abandoned. -ETIMEDOUT, -EHOSTUNREACH (no such host).
int net_resolve(const char *host, int64_t deadline_ns, struct net_addresses *ret, struct err *err) must_check;
void net_set_port(struct sockaddr_storage *address, uint16_t port);

// A non-blocking TCP socket that connects, from a privileged port where the process may have one: many servers
// refuse others (exports(5) "secure"). Small requests leave at once, and buffers are large.
int net_connect_start(const struct sockaddr_storage *address, int *ret_fd) must_check;
int net_connect_result(int fd); // once writable: 0 or -errno

// Sends one call (made by rpc_put_call, finished) on a connection of its own and waits for the reply.
// On success `in` is at the reply's header after the xid; *ret_buf holds it, to be freed.
int net_exchange(const struct sockaddr_storage *address, const struct xdr_out *call, int64_t deadline_ns,
                 struct xdr_in *ret_in, uint8_t **ret_buf) must_check;
