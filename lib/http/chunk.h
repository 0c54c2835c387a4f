// SPDX-License-Identifier: Apache-2.0
// The chunked transfer coding, decoded in place and strictly (RFC 9112 section 7.1).
// Limits: 16 hex digits, 256 bytes of extensions a chunk, 8 KiB of trailer fields (which are dropped).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

enum http_chunk_state {
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_EXTENSION,
    HTTP_CHUNK_SIZE_LF,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_DATA_CR,
    HTTP_CHUNK_DATA_LF,
    HTTP_CHUNK_TRAILER, // at the begin of a line
    HTTP_CHUNK_TRAILER_LINE,
    HTTP_CHUNK_TRAILER_LF,
    HTTP_CHUNK_END_LF,
    HTTP_CHUNK_DONE
};
struct http_chunk {
    enum http_chunk_state state;
    uint64_t left;  // of this chunk, or its size while that is read
    unsigned count; // of digits, or of bytes of extensions or trailer
};

// Decodes from `data` into its own beginning: *ret_out bytes of content, *ret_used bytes taken. -EBADMSG: malformed.
int http_chunk_decode(struct http_chunk *c, char *data, size_t len, size_t *ret_used, size_t *ret_out) must_check;
