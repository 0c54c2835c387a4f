// SPDX-License-Identifier: Apache-2.0
// A small HTTP client over libcurl, whose header is included in client.c only.
//
// Why:     bodies are streamed both ways through callbacks, so that memory does not grow with what is sent.
// Owns:    a client keeps its connection between requests; an answer owns its texts (http_answer_done).
// Threads: a client belongs to one thread at a time.
// Fails:   an answer beyond 2xx is an error with the server's own message: 401 -EPERM, 403 -EACCES, 404 -ENOENT, 409 -EEXIST,
//          410 -ESTALE, 412 -EAGAIN, 413 -E2BIG, 429 and 507 -ENOSPC, other 4xx -EINVAL, else -EIO. No connection: -EHOSTUNREACH; no
//          answer in time: -ETIMEDOUT; given up by `cancelled`: -ECANCELED. Redirects are never followed: the token would go with them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

struct http_client;

struct http_client_options {
    const char *url;     // http://HOST[:PORT][/PATH], https://…, or unix:SOCKET[:/PATH]
    const char *token;   // sent as bearer token; NULL: none
    const char *ca_cert; // PEM file that signs the server's certificate; NULL: the system's
    bool root;           // paths are of the host, whatever path the URL has
    // Who asks, by TLS (PEM): as texts, or as files that are read for each connection. NULL: nobody in particular.
    const char *ca_pem, *client_cert_pem, *client_key_pem;
    const char *client_cert, *client_key;
    size_t buffer;      // bytes of a transfer's buffer; 0: 256 KiB
    uint32_t timeout_s; // of a short request as a whole; of a streamed one: without a byte
};

// Reads the next bytes of a body: how many, 0 at its end, -errno to give up (with a message).
typedef int64_t http_client_read_fn(void *arg, char *buf, size_t max, struct err *err);
// Takes the next bytes of a 2xx answer. 0, or -errno to give up (with a message).
typedef int http_client_write_fn(void *arg, const char *data, size_t len, struct err *err);

// Asked about once a second while a transfer goes on: is nobody interested in it any more?
typedef bool http_client_cancelled_fn(void *arg);

struct http_exchange {
    const char *method;
    const char *path;           // behind the client's URL, percent-encoded, begins with '/'
    const char *const *headers; // "Name: value", NULL-terminated; NULL: none
    const char *body;           // a whole body of `size` bytes, or
    http_client_read_fn *read;  // a streamed one of `size` bytes, -1: not known
    int64_t size;
    const char *form_part;               // the body goes as this part of a multipart/form-data form; NULL: as it is
    http_client_write_fn *write;         // NULL: the answer is collected, up to
    size_t answer_max;                   // bytes; 0: HTTP_ANSWER_MAX
    http_client_cancelled_fn *cancelled; // NULL: never
    void *arg;                           // of read, write and cancelled
    bool redirect_ok;                    // 3xx is a success
};

#define HTTP_ANSWER_MAX (64U << 20)

struct http_answer {
    unsigned status;
    char *etag, *location, *expires_ms; // ETag without quotes, Location, Stowage-Expires-Ms; NULL when not sent
    struct str body;                    // what was collected
};

int http_client_new(const struct http_client_options *options, struct http_client **ret, struct err *err) must_check;
struct http_client *http_client_free(struct http_client *client);
DEFINE_CLEANUP(http_client)

int http_client_send(struct http_client *client, const struct http_exchange *exchange, struct http_answer *ret,
                     struct err *err) must_check;
void http_answer_done(struct http_answer *answer);
#define cleanup_answer cleanup(http_answer_done)

// Percent-encodes all bytes that are not unreserved (RFC 3986); `keep_slashes`: '/' stays as well, as in a path.
int http_append_encoded(struct str *out, const char *text, size_t len, bool keep_slashes);
