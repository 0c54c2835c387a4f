// SPDX-License-Identifier: Apache-2.0
// Routes, requests and answers of the HTTP server: what the folders that serve an API include.
//
// Why:     a handler reads: look at the arguments, act, answer. Parsing, limits, methods, logging, counting and the
//          error body {"code","message"} stand in the generic path; a new route is one row.
// Owns:    a request lives until its answer is sent. What http_request_* returns is borrowed and lives as long.
// Threads: a handler runs on the thread of its connection and must not wait. It answers exactly once, at once or later
//          and from any thread; until then the connection is suspended.
// Fails:   a handler that cannot do its work answers with http_reply_error.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE, HTTP_OPTIONS };

enum http_body {
    HTTP_BODY_NONE,  // a body is refused with 413
    HTTP_BODY_WHOLE, // at most body_max bytes, in memory; `handle` runs when it is complete
    HTTP_BODY_STREAM // `handle` runs after the headers and takes the body with http_request_stream, or refuses it
};

struct http_request;

struct http_route {
    enum http_method method; // a GET route serves HEAD too, unless a HEAD route is there
    // Below the server's prefixes. "{name}" matches one segment, "{name...}" all that is left (may be empty, keeps "//").
    // Arguments are percent-decoded exactly once; "%2F" in a "{name}" is a slash of that name.
    const char *pattern;
    bool raw_query; // "?..." belongs to the last argument: the route has no query parameters
    enum http_body body;
    size_t body_max; // bytes; 0: no limit for HTTP_BODY_STREAM, nothing for HTTP_BODY_WHOLE
    void (*handle)(void *arg, struct http_request *request);
    const char *name;    // of the route in metrics, logs and as OpenAPI operationId: "kv_get"
    const char *summary; // one line, for OpenAPI
    unsigned access;     // for the server's `authorize` hook; its meaning is the caller's
};

// Of the request. Arguments and query values may hold any byte; *ret_len says how many (NULL: not asked).
enum http_method http_request_method(const struct http_request *request);
const struct http_route *http_request_route(const struct http_request *request);
const char *http_request_arg(const struct http_request *request, const char *name, size_t *ret_len);   // never NULL
const char *http_request_query(const struct http_request *request, const char *name, size_t *ret_len); // NULL: absent
const char *http_request_header(const struct http_request *request, const char *name);                 // NULL: absent
const char *http_request_target(const struct http_request *request); // as received: path and query, undecoded
const char *http_request_prefix(const struct http_request *request, const char **ret_workspace); // which one matched
const void *http_request_body(const struct http_request *request, size_t *ret_len);              // HTTP_BODY_WHOLE
int64_t http_request_content_length(const struct http_request *request); // -1: chunked; 0: no body
const char *http_request_id(const struct http_request *request);         // for logs; also sent as X-Request-Id
// True once the client has hung up (or closed its sending side): before something irrevocable is done for it. Any thread.
bool http_request_gone(const struct http_request *request);
// Ends what `authorize` began with -EINPROGRESS: 0 lets the request in, an error is answered. Any thread; the request is there
// until then, also when its client has left.
void http_request_admit(struct http_request *request, int r, const struct err *err);
void http_request_set_user(struct http_request *request, void *user, void (*free_user)(void *));
void *http_request_user(const struct http_request *request);

// The content of the one part named `field` of a multipart/form-data body held whole. -EBADMSG: not multipart or cut
// short; -ENOENT: no such part.
int http_request_form_part(struct http_request *request, const char *field, const void **ret, size_t *ret_len,
                           struct err *err) must_check;

// Takes the body piece by piece, on the connection's thread. `end` is called exactly once: with 0 after the last byte,
// or with -errno: what `write` gave, -E2BIG beyond body_max, -EBADMSG (chunks or form malformed or cut short), or
// -ECONNRESET when the client is gone; then it answers, for example with http_reply_error(request, the same error as
// http_request_error). With -ECONNRESET the request ends when `end` returns, and answers are ignored.
// A `write` may return -EAGAIN after it arranged for one http_request_resume: the same bytes come again (back-pressure). `end`
// does not come before that resume, so the request is there for it.
struct http_sink {
    int (*write)(void *arg, const void *data, size_t len, struct err *err);
    void (*end)(void *arg, struct http_request *request, int rc);
};
void http_request_stream(struct http_request *request, const char *form_field, // NULL: the raw body
                         const struct http_sink *sink, void *arg);
const struct err *http_request_error(const struct http_request *request); // of the body, in `end`
void http_request_resume(struct http_request *request); // any thread, while the sink or source has not ended

// Answers. Each ends the request for the handler. Headers are copied; those set before the reply are sent with it.
int http_reply_header(struct http_request *request, const char *name, const char *value) must_check; // -EINVAL: CR, LF
void http_reply(struct http_request *request, unsigned status, const char *type, const void *data, size_t len);
void http_reply_empty(struct http_request *request, unsigned status);
void http_reply_take(struct http_request *request, unsigned status, const char *type, char *data, size_t len); // freed
void http_reply_error(struct http_request *request, const struct err *err); // status from the code: lib/http/status.h
void http_reply_status(struct http_request *request, unsigned status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// A part of a file, by sendfile where the connection allows it. Takes the descriptor.
void http_reply_file(struct http_request *request, unsigned status, const char *type, int fd, int64_t offset,
                     int64_t len);
// A body of unknown length (server-sent events, archives): `read` gives 0 < n <= len bytes, 0 at the end, -EAGAIN after
// it arranged for http_request_resume, or another -errno to cut the connection. `close` is called exactly once, also while
// a resume is awaited: what would resume must be told, for the request ends with it.
struct http_source {
    int64_t (*read)(void *arg, void *buf, size_t len);
    void (*close)(void *arg);
};
void http_reply_source(struct http_request *request, unsigned status, const char *type,
                       const struct http_source *source, void *arg);
// The same, of `len` bytes: a source that ends before them cuts the connection, so that no client takes a part for the whole.
// An answer to HEAD tells the length and reads nothing. -1: of unknown length.
void http_reply_source_sized(struct http_request *request, unsigned status, const char *type, int64_t len,
                             const struct http_source *source, void *arg);
