// SPDX-License-Identifier: Apache-2.0
// Inside the HTTP server: bytes that grow and are consumed from the front.
//
// Fails: -ENOMEM leaves what was there.
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"

#define HTTP_KEEP_MAX (64U * 1024) // a buffer above this is not kept for the next request

struct http_buffer {
    char *data;
    size_t len;
    size_t cap;
};
int http_buffer_reserve(struct http_buffer *b, size_t more) must_check; // room for `more` bytes after `len`
int http_buffer_append(struct http_buffer *b, const void *data, size_t len) must_check;
int http_buffer_prepend(struct http_buffer *b, const void *data, size_t len) must_check;
void http_buffer_consume(struct http_buffer *b, size_t len); // from the front
void http_buffer_done(struct http_buffer *b);
