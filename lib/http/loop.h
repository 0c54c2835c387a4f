// SPDX-License-Identifier: Apache-2.0
// Inside the HTTP server: the server, its event loops, listeners and compiled routes, and what is counted.
//
// Owns:    the server is shared by its owner, its loops and its connections: the last one frees it.
// Threads: a loop's own fields belong to its thread, what stands under `lock` to whoever holds it.
#pragma once

#include "lib/http/connection.h"

// ---- TLS, behind a table so that a program without it does not load a library ------------------------------------------

struct http_tls {
    void *(*open)(struct http_tls *tls, int fd); // a session; NULL: out of memory
    ssize_t (*read)(void *session, void *data, size_t len);
    ssize_t (*write)(void *session, const void *data, size_t len);
    void (*close)(void *session);
};

// ---- loops and server ----------------------------------------------------------------------------------------------

struct http_compiled {
    const struct http_table *table;
    const struct http_route *route;
    struct http_pattern pattern;
    size_t index; // of the row, over all tables
};
struct http_mount {
    const struct http_table *table;
    const char *text; // of the prefix
    struct http_pattern prefix;
    const struct http_compiled *rows; // of the table, the more exact before the less
};

struct http_listener {
    int fd;
    bool tcp;
    char *path; // of a unix socket, removed at the end
};

// A descriptor in the loop that is no client's: a connection to another server.
//
// Owns:    whoever adds it; after http_watch_remove, `release` is called once, when no event can name it any more.
struct http_watch {
    int fd;
    void (*ready)(struct http_watch *watch, uint32_t events); // of epoll, edge-triggered
    void (*tick)(struct http_watch *watch, int64_t now_ns);   // once a second
    void (*stop)(struct http_watch *watch);                   // the loop ends: remove it
    void (*release)(struct http_watch *watch);
    struct http_worker *worker; // from here on: the loop's
    struct http_watch *next, **link;
};
int http_watch_add(struct http_worker *worker, struct http_watch *watch) must_check; // -errno: of epoll
void http_watch_remove(struct http_watch *watch);                                    // closes nothing

#define HTTP_SCRATCH (128 * 1024)
struct http_worker {
    struct http_server *server;
    pthread_t thread;
    bool started;
    int epoll;
    int wake;
    pthread_mutex_t lock; // protects what follows, up to `stopped`, and `posted`, `queued` of the connections
    struct http_connection *posted, **posted_end;
    struct http_subscription *subscriptions; // that are to begin
    bool stopped;                            // nobody runs this loop any more
    unsigned index;
    struct http_connection *connections;
    struct http_watch *watches, *removed;
    struct http_counts *counts; // per route
    int64_t now_ns;             // read once a turn
    char date[40];
    int64_t date_s;
    bool accepting;
    char *scratch; // HTTP_SCRATCH bytes, while the loop has connections
};

struct http_server {
    struct http_options options;
    struct http_compiled *rows;
    size_t row_count;
    struct http_mount *mounts;
    size_t mount_count;
    struct http_listener *listeners;
    size_t listener_count;
    uint16_t port;
    struct http_worker *workers;
    unsigned worker_count;
    atomic_uint connections;
    atomic_uint turn;
    atomic_uint references; // the owner's, one a worker, one a connection
    atomic_bool draining;
    atomic_bool quit;
    char id_prefix[9]; // of the request ids, by chance
    atomic_ullong ids;
};

void http_server_unref(struct http_server *server);
int http_worker_start(struct http_server *server, unsigned index, struct err *err) must_check;
void http_worker_stop(struct http_worker *worker);
void http_worker_wake(struct http_worker *worker);
bool http_worker_is_turning(
    const struct http_worker *worker); // this thread is it, and takes what is posted before it waits
void http_worker_adopt(struct http_worker *worker, struct http_connection *c); // new connection, any thread
void http_worker_now(struct http_worker *worker);

int http_listen(struct http_server *server, const char *address, struct http_listener *ret, struct err *err) must_check;
void http_listener_done(struct http_listener *listener);
bool http_accept(struct http_worker *worker, const struct http_listener *listener); // false: out of descriptors

int http_routes_compile(struct http_server *server, struct err *err) must_check;
// Fills route, table, prefix and arguments. 0, or the HTTP status to answer; Allow goes to `allow`.
unsigned http_routes_find(struct http_server *server, struct http_request *request, char allow[static 64],
                          struct err *err);

// ---- requests of our own; on the loop's thread ---------------------------------------------------------------------------

void http_subscriptions_begin(struct http_worker *worker);
void http_subscriptions_drop(struct http_worker *worker); // nobody runs the loop any more

// ---- counting and logging ------------------------------------------------------------------------------------------

int http_observe_start(struct http_server *server) must_check;
void http_observe_stop(struct http_server *server); // takes the counts along
void http_observe_begin(struct http_connection *c);
void http_observe_end(struct http_connection *c);
