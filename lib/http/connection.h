// SPDX-License-Identifier: Apache-2.0
// Inside the HTTP server: a connection with the one request it is at, and the event loop it belongs to.
//
// Owns:    a connection owns its socket, its buffers and the request; the loop owns its connections. One whose handler has not
//          answered outlives its socket, and even its server: the answer frees it.
// Threads: everything belongs to the loop's thread but what stands under `worker.lock` and the reply of a request, which
//          belongs to the handler until it is posted.
//
//   HEAD ──► WAIT (handler) ──► BODY ──► WAIT ──► SEND ──► HEAD … or LINGER ──► DEAD
//     └──► BODY (whole) ──► WAIT           any of them ──► DEAD; SEND ──► BODY (a rest, dropped) ──► HEAD
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "lib/http/buffer.h"
#include "lib/http/chunk.h"
#include "lib/http/head.h"
#include "lib/http/multipart.h"
#include "lib/http/server.h"

// ---- request ------------------------------------------------------------------------------------------------------

enum http_reply_kind { HTTP_REPLY_NONE, HTTP_REPLY_BYTES, HTTP_REPLY_TAKEN, HTTP_REPLY_FILE, HTTP_REPLY_SOURCE };

struct http_reply {
    enum http_reply_kind kind;
    unsigned status;
    bool ended;              // the source has given its last
    char type[256];          // a stored type has 255 bytes at most
    char code[40];           // of an error, for the log
    struct http_buffer head; // header fields of the handler
    struct http_buffer body;
    char *taken;
    size_t taken_len;
    int fd;
    int64_t offset;
    int64_t left;
    struct http_source source;
    void *source_arg;
    int64_t source_left; // bytes it still owes; -1: until it ends
    size_t sent;         // of head and body
    int64_t total;       // bytes of content sent
};

struct http_named {
    const char *name;
    size_t name_len;
    const char *value;
    size_t len;
};

#define HTTP_QUERY_MAX 64
struct http_request {
    struct http_head head;
    const struct http_route *route;
    const struct http_table *table;
    size_t route_index; // among all routes, for counting
    const char *prefix;
    struct http_named args[HTTP_ARGS_MAX];
    size_t arg_count;
    struct http_named *query;
    size_t query_count;
    char *arena; // of decoded arguments and query
    char id[20];
    int64_t begun_ns;
    void *user;
    void (*free_user)(void *);
    struct err err; // what the answer or the body said
    int admitted;   // of http_request_admit
    // the body
    struct http_buffer body; // whole, or decoded and not taken yet
    int64_t body_left;       // by Content-Length
    int64_t body_seen;
    struct http_chunk chunk;
    const struct http_sink *sink;
    struct http_sink sink_ops;
    void *sink_arg;
    char form_field[64];
    struct http_multipart form;
    bool form_wanted; // inside the part
    bool form_seen;
    bool decoded;   // nothing more comes from the client for this request
    bool continued; // 100 was sent or is not asked for
    atomic_bool gone;
    // On the loop's thread, perhaps more than once: the client closed its sending side, or (`wholly`) the connection is cut.
    void (*left)(void *arg, bool wholly);
    void *left_arg;
    struct http_reply reply;
};

// ---- connection ---------------------------------------------------------------------------------------------------

enum http_phase {
    HTTP_PHASE_HEAD,
    HTTP_PHASE_BODY,
    HTTP_PHASE_WAIT,
    HTTP_PHASE_SEND,
    HTTP_PHASE_LINGER,
    HTTP_PHASE_DEAD
};
enum { HTTP_POST_REPLY = 1, HTTP_POST_STREAM = 2, HTTP_POST_RESUME = 4, HTTP_POST_NEW = 8, HTTP_POST_ADMIT = 16 };
enum http_step { HTTP_STEP_ON, HTTP_STEP_BLOCKED };

struct http_worker;
struct http_connection {
    struct http_worker *worker;
    struct http_connection *next, **link; // of the loop's list
    int fd;                               // -1: closed
    bool tcp;
    void *tls; // session, or NULL
    enum http_phase phase;
    bool readable, writable, hung_up;
    bool streams;  // a sink takes the body
    bool stalled;  // the sink or source asked for a pause
    bool retry;    // the pause is over
    bool discard;  // what is left of the body is read and dropped
    bool answered; // the handler has answered
    bool handling; // a handler has the request and owes an answer
    bool decided;  // whether the request is let in, after -EINPROGRESS
    bool keep_alive;
    unsigned posted;                    // under worker.lock
    bool queued;                        // under worker.lock
    struct http_connection *queue_next; // under worker.lock
    struct http_buffer in;              // the head; the request points into it
    struct http_buffer surplus;         // what came after the head and is not decoded yet
    struct http_buffer out;             // the head of the answer, or a piece of a source
    size_t head_len;                    // of `in`
    struct http_head_scan scan;
    int64_t deadline_ns; // of the phase; 0: none
    int64_t moved;       // bytes since the deadline was set
    struct http_request request;
};

struct http_connection *http_connection_new(struct http_worker *worker, int fd, bool tcp, void *tls);
void http_connection_run(struct http_connection *c);
struct http_connection *
http_connection_enter(struct http_connection *c); // answers on this thread need no post; the one before
void http_connection_take(struct http_connection *c, unsigned posted); // what was posted takes effect
void http_connection_post(struct http_connection *c, unsigned what);   // any thread
void http_connection_finish(struct http_connection *c);                // the answer is out
void http_connection_cut(struct http_connection *c);                   // the socket is gone or must go
void http_connection_tick(struct http_connection *c, int64_t now_ns);
void http_connection_destroy(struct http_connection *c);                // frees; nothing may refer to it
bool http_connection_idle(const struct http_connection *c);             // between requests
void http_connection_wait(struct http_connection *c, unsigned seconds); // sets the deadline

// ---- the steps of a connection: each does what it can ------------------------------------------------------------------

ssize_t http_io_read(struct http_connection *c, void *data, size_t len); // 0: end; -EAGAIN; other -errno
ssize_t http_io_write(struct http_connection *c, const struct iovec *iov, int count, bool more);

void http_request_begin(
    struct http_connection *c); // the head is read: route it, authorize, choose what to do with the body
void http_request_let_in(struct http_connection *c); // or not, as was decided
void http_request_end(struct http_connection *c);    // the answer is out, or never will be
void http_request_handle(struct http_connection *c);
void http_request_refuse(struct http_connection *c, unsigned status, const struct err *err); // and close
void http_request_reset(struct http_request *request); // frees what the request holds, but two buffers of usual size
enum http_step http_body_pump(struct http_connection *c);
void http_body_abort(struct http_connection *c, int rc); // ends the sink
enum http_step http_send_pump(struct http_connection *c);
int http_reply_compose(struct http_connection *c) must_check; // status line and fields of the answer that was given
static inline struct http_connection *http_connection_of(const struct http_request *request) {
    return (struct http_connection *)((char *)(uintptr_t)request - offsetof(struct http_connection, request));
}
