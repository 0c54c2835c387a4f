// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum {
    PORT_FIRST = 665, // the range of the kernel's client (sunrpc.min_resvport): clear of well-known services
    PORT_COUNT = 1024 - PORT_FIRST,
    SOCKET_BUFFER = 4 * 1024 * 1024,
    USER_TIMEOUT_MS = 60 * 1000,
    EXCHANGE_MAX = 64 * 1024,
};

struct net_lookup { // shared by the asking and the resolving thread; the last one frees it
    pthread_mutex_t lock;
    pthread_cond_t ended;
    atomic_int refs;
    bool done;
    int failure; // EAI_*
    struct net_addresses found;
    char host[];
};

static void lookup_unref(struct net_lookup *l) {
    if (atomic_fetch_sub(&l->refs, 1) > 1)
        return;
    (void)pthread_cond_destroy(&l->ended);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

static int lookup_now(const char *host, int flags, struct net_addresses *ret) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list = NULL;
    int failure = getaddrinfo(host, NULL, &hints, &list);
    if (failure != 0)
        return failure;
    ret->count = 0;
    for (const struct addrinfo *a = list; a && ret->count < NET_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
            continue;
        memcpy(&ret->items[ret->count++], a->ai_addr, a->ai_addrlen);
    }
    freeaddrinfo(list);
    return ret->count > 0 ? 0 : EAI_NONAME;
}

static void *lookup_main(void *arg) {
    struct net_lookup *l = arg;
    struct net_addresses found = {0};
    int failure = lookup_now(l->host, AI_ADDRCONFIG, &found);
    (void)pthread_mutex_lock(&l->lock);
    l->found = found;
    l->failure = failure;
    l->done = true;
    (void)pthread_cond_signal(&l->ended);
    (void)pthread_mutex_unlock(&l->lock);
    lookup_unref(l);
    return NULL;
}

static int lookup_wait(struct net_lookup *l, int64_t deadline_ns, struct net_addresses *ret, struct err *err) {
    struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    LOCK_SCOPE(&l->lock);
    for (int r = 0; !l->done && r == 0;)
        r = pthread_cond_clockwait(&l->ended, &l->lock, CLOCK_MONOTONIC, &until);
    if (!l->done)
        return err_set(err, -ETIMEDOUT, "the name of the NFS server '%s' was not resolved in time: check DNS", l->host);
    if (l->failure != 0)
        return err_set(err, -EHOSTUNREACH, "the NFS server '%s' is not known (%s): check its name and DNS", l->host,
                       gai_strerror(l->failure));
    *ret = l->found;
    return 0;
}

static struct net_lookup *lookup_new(const char *host) {
    size_t len = strlen(host);
    bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
    struct net_lookup *l = mem_zalloc(sizeof *l + len + 1);
    if (!l)
        return NULL;
    memcpy(l->host, brackets ? host + 1 : host, brackets ? len - 2 : len);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->ended, NULL);
    atomic_init(&l->refs, 1);
    return l;
}

static int lookup_run(struct net_lookup *l) {
    pthread_t thread;
    (void)atomic_fetch_add(&l->refs, 1);
    int r = pthread_create(&thread, NULL, lookup_main, l);
    if (r == 0)
        (void)pthread_detach(thread);
    else
        lookup_unref(l);
    return -r;
}

int net_resolve(const char *host, int64_t deadline_ns, struct net_addresses *ret, struct err *err) {
    struct net_lookup *l = lookup_new(host);
    if (!l)
        return err_set(err, -ENOMEM, "out of memory");
    int r = 0;
    if (lookup_now(l->host, AI_NUMERICHOST, ret) != 0)
        r = lookup_run(l) == 0 ? lookup_wait(l, deadline_ns, ret, err)
                               : err_set(err, -EAGAIN, "no thread could be started to resolve '%s'", l->host);
    lookup_unref(l);
    return r;
}

struct net_lookup *net_lookup_start(const char *host) {
    struct net_addresses ignored = {0};
    struct net_lookup *l = lookup_new(host);
    if (l && lookup_now(l->host, AI_NUMERICHOST, &ignored) != 0 && lookup_run(l) == 0)
        return l;
    net_lookup_drop(l);
    return NULL;
}

bool net_lookup_ended(struct net_lookup **lookup, struct net_addresses *ret) {
    struct net_lookup *l = *lookup;
    (void)pthread_mutex_lock(&l->lock);
    bool ended = l->done;
    *ret = l->found;
    (void)pthread_mutex_unlock(&l->lock);
    if (ended)
        net_lookup_drop(take_ptr(*lookup));
    return ended;
}

void net_lookup_drop(struct net_lookup *l) {
    if (l)
        lookup_unref(l);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
                      sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

static uint16_t get_port(const struct sockaddr_storage *address) {
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

void net_choose_address(const struct net_addresses *found, struct sockaddr_storage *address) {
    for (size_t i = 0; i < found->count; i++)
        if (same_host(&found->items[i], address))
            return;
    if (found->count == 0)
        return;
    uint16_t port = get_port(address);
    *address = found->items[0];
    net_set_port(address, port);
}

void net_set_port(struct sockaddr_storage *address, uint16_t port) {
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static socklen_t address_len(const struct sockaddr_storage *address) {
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool bind_port(int fd, sa_family_t family, uint16_t port) {
    struct sockaddr_storage local = {.ss_family = family};
    net_set_port(&local, port);
    return bind(fd, (const struct sockaddr *)&local, address_len(&local)) == 0;
}

static void bind_privileged(int fd, sa_family_t family) {
    unsigned start = 0;
    clock_random(&clock_system, &start, sizeof start);
    for (unsigned i = 0; i < PORT_COUNT; i++) {
        if (bind_port(fd, family, (uint16_t)(PORT_FIRST + (start + i) % PORT_COUNT)) || errno != EADDRINUSE)
            return; // without the privilege any port must do
    }
}

static void set_option(int fd, int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value); // what the kernel does not grant is not needed to work
}

int net_connect_start(const struct sockaddr_storage *address, uint16_t local_port, int *ret_fd) {
    const struct linger reset = {.l_onoff = 1};
    int fd cleanup(cleanup_closep) = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (local_port == 0 || !bind_port(fd, address->ss_family, local_port))
        bind_privileged(fd, address->ss_family);
    if (connect(fd, (const struct sockaddr *)address, address_len(address)) < 0 && errno != EINPROGRESS)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

uint16_t net_local_port(int fd) {
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof local;
    return getsockname(fd, (struct sockaddr *)&local, &len) == 0 ? get_port(&local) : 0;
}

int net_connect_result(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

static int wait_for(int fd, short events, int64_t deadline_ns) {
    for (;;) {
        int64_t left = deadline_ns - clock_monotonic(&clock_system);
        if (left <= 0)
            return -ETIMEDOUT;
        struct pollfd p = {.fd = fd, .events = events};
        int ms = left > 60 * NS_PER_S ? 60 * 1000 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
        int r = poll(&p, 1, ms);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

static int send_all(int fd, const uint8_t *data, size_t len, int64_t deadline_ns) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n < 0) {
            int r = wait_for(fd, POLLOUT, deadline_ns);
            if (r < 0)
                return r;
            continue;
        }
        data += n, len -= (size_t)n;
    }
    return 0;
}

static int receive_all(int fd, uint8_t *data, size_t len, int64_t deadline_ns) {
    while (len > 0) {
        ssize_t n = recv(fd, data, len, 0);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n < 0) {
            int r = wait_for(fd, POLLIN, deadline_ns);
            if (r < 0)
                return r;
            continue;
        }
        data += n, len -= (size_t)n;
    }
    return 0;
}

int net_exchange(const struct sockaddr_storage *address, const struct xdr_out *call, int64_t deadline_ns,
                 struct xdr_in *ret_in, uint8_t **ret_buf) {
    int fd cleanup(cleanup_closep) = -1;
    uint8_t mark[4], *buf cleanup_free = NULL;
    if (call->full)
        return -EMSGSIZE;
    int r = net_connect_start(address, 0, &fd);
    if (r == 0)
        r = wait_for(fd, POLLOUT, deadline_ns);
    if (r == 0)
        r = net_connect_result(fd);
    if (r == 0)
        r = send_all(fd, call->buf, call->len, deadline_ns);
    if (r == 0)
        r = receive_all(fd, mark, sizeof mark, deadline_ns);
    if (r < 0)
        return r;
    uint32_t len = xdr_load_u32(mark);
    if (!(len & RPC_LAST_FRAGMENT) || (len &= ~RPC_LAST_FRAGMENT) > EXCHANGE_MAX || len < 4)
        return -EPROTO;
    buf = mem_alloc(len);
    if (!buf)
        return -ENOMEM;
    r = receive_all(fd, buf, len, deadline_ns);
    if (r < 0)
        return r;
    if (memcmp(buf, call->buf + 4, 4) != 0) // another xid
        return -EPROTO;
    *ret_in = (struct xdr_in){.at = buf + 4, .end = buf + len};
    *ret_buf = take_ptr(buf);
    return 0;
}
