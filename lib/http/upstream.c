// SPDX-License-Identifier: Apache-2.0
#include "lib/http/upstream.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/mem.h"
#include "lib/http/uplink.h"

int http_upstream_new(const struct http_upstream_options *options, struct http_upstream **ret, struct err *err) {
    struct http_upstream *upstream cleanup(http_upstream_freep) = mem_zalloc(sizeof *upstream);
    if (!upstream)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&upstream->lock, NULL);
    struct http_upstream_options *own = &upstream->options;
    *own = *options;
    own->name = mem_strdup(options->name);
    own->remedy = mem_strdup(options->remedy);
    own->host = mem_strdup(options->host);
    own->connect_s = own->connect_s ? own->connect_s : 5;
    own->answer_s = own->answer_s ? own->answer_s : 120;
    own->idle_s = own->idle_s ? own->idle_s : 30;
    own->idle_max = own->idle_max ? own->idle_max : 64;
    upstream->pools = mem_array(HTTP_LOOPS_MAX, sizeof *upstream->pools);
    if (!own->name || !own->remedy || !own->host || !upstream->pools)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(upstream);
    return 0;
}

struct http_upstream *http_upstream_free(struct http_upstream *upstream) {
    if (!upstream)
        return NULL;
    free((char *)(uintptr_t)upstream->options.name);
    free((char *)(uintptr_t)upstream->options.remedy);
    free((char *)(uintptr_t)upstream->options.host);
    free(upstream->pools);
    (void)pthread_mutex_destroy(&upstream->lock);
    free(upstream);
    return NULL;
}

static void set_addresses(struct http_upstream *upstream, const struct http_address *addresses, size_t count) {
    LOCK_SCOPE(&upstream->lock);
    memcpy(upstream->addresses, addresses, count * sizeof *addresses);
    upstream->address_count = count;
}

int http_upstream_resolve(struct http_upstream *upstream, const char *host, const char *port, struct err *err) {
    struct http_address found[HTTP_ADDRESSES_MAX];
    size_t count = 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = getaddrinfo(host, port, &hints, &list);
    if (r != 0)
        return err_set(err, -EHOSTUNREACH, "the name '%.100s' cannot be looked up: %s", host, gai_strerror(r));
    for (const struct addrinfo *at = list; at && count < HTTP_ADDRESSES_MAX; at = at->ai_next) {
        if (at->ai_addrlen > sizeof found[count].address)
            continue;
        memcpy(&found[count].address, at->ai_addr, at->ai_addrlen);
        found[count++].len = at->ai_addrlen;
    }
    freeaddrinfo(list);
    set_addresses(upstream, found, count);
    return 0;
}

int http_upstream_set_unix(struct http_upstream *upstream, const char *path, struct err *err) {
    struct http_address address = {.len = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)&address.address;
    if (strlen(path) >= sizeof un->sun_path)
        return err_set(err, -EINVAL, "'%.100s': a socket's path has at most %zu bytes", path, sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    (void)snprintf(un->sun_path, sizeof un->sun_path, "%s", path);
    set_addresses(upstream, &address, 1);
    return 0;
}

bool http_upstream_missed(struct http_upstream *upstream) {
    return atomic_exchange(&upstream->missed, false);
}
