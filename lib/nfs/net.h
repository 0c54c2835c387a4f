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

// The same without waiting. NULL: not now, or the host is an address.
struct net_lookup *net_lookup_start(const char *host);
// False: not yet. True: freed, *lookup is NULL; no addresses when it failed.
bool net_lookup_ended(struct net_lookup **lookup, struct net_addresses *ret);
void net_lookup_drop(struct net_lookup *lookup); // accepts NULL
// Keeps the address when it is among those found, else takes the first of them; the port stays.
void net_choose_address(const struct net_addresses *found, struct sockaddr_storage *address);

// A non-blocking TCP socket that connects, from a privileged port where the process may have one: many servers
// refuse others (exports(5) "secure"). `local_port`, when not 0 and free, is preferred. Small requests leave at once,
// and buffers are large. Closing it resets the connection: a port in TIME_WAIT would be lost for a minute, and there
// are 359 of them.
int net_connect_start(const struct sockaddr_storage *address, uint16_t local_port, int *ret_fd) must_check;
uint16_t net_local_port(int fd); // 0: unknown
int net_connect_result(int fd);  // once writable: 0 or -errno

// Sends one call (made by rpc_put_call, finished) on a connection of its own and waits for the reply.
// On success `in` is at the reply's header after the xid; *ret_buf holds it, to be freed.
int net_exchange(const struct sockaddr_storage *address, const struct xdr_out *call, int64_t deadline_ns,
                 struct xdr_in *ret_in, uint8_t **ret_buf) must_check;
