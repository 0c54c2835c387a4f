// SPDX-License-Identifier: Apache-2.0
// What the fuzzers of the store's inputs do with one input, and what must hold whatever it is.
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/kv_cursor.h"
#include "sidecar/object.h"
#include "sidecar/queue_json.h"
#include "sidecar/sigv4.h"

#define FUZZ_NOW INT64_C(1800000000)

static const struct signer fuzz_signer = {.key = "0123456789abcdef0123456789abcde"};

// "PATH?QUERY": nothing that this signer did not sign is accepted, and what it signs for the path is.
static inline void fuzz_sigv4(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *mark = size ? memchr(text, '?', size) : NULL;
    size_t path_len = mark ? (size_t)(mark - text) : size;
    struct sigv4_request request = {.method = "GET", .host = "store", .path = text, .path_len = path_len};
    struct err err = ERR_NONE;
    int r = sigv4_verify(&fuzz_signer, "ws1", &request, mark ? mark + 1 : "", mark ? size - path_len - 1 : 0, FUZZ_NOW,
                         &err);
    assert(r == -EPERM && *err.msg); // the key is not known to who writes the input
    struct str query cleanup_str = {0};
    if (sigv4_presign(&fuzz_signer, "ws1", &request, FUZZ_NOW, SIGV4_EXPIRES_S, &query) < 0)
        return; // a path with a broken escape
    assert(sigv4_verify(&fuzz_signer, "ws1", &request, query.data, query.len, FUZZ_NOW, &err) == 0);
    request.method = "PUT";
    assert(sigv4_verify(&fuzz_signer, "ws1", &request, query.data, query.len, FUZZ_NOW, &err) == -EPERM);
}

// Bodies of queues: what is accepted keeps the limits that the engine relies on.
static inline void fuzz_queue_body(const uint8_t *data, size_t size) {
    struct err err = ERR_NONE;
    struct json *body cleanup(json_freep) = NULL;
    struct queue_message message;
    struct queue_settings settings = {0};
    const char **receipts = NULL;
    size_t count = 0;
    if (json_parse_body((const char *)data, size, size, &body, &err) < 0 || !json_is_an_object(body))
        return;
    if (queue_read_message(body, &message, &err) == 0) {
        assert(message.body.data && message.body.len <= 4 * QUEUE_MESSAGE_MAX && message.delay_ms >= -1 &&
               message.delay_ms <= 900000);
    }
    if (queue_read_settings(body, &settings, &err) == 0) {
        assert(settings.dedup_ms >= -1 && settings.visibility_ms <= 43200000 && settings.max_receives >= -1);
    }
    if (queue_read_receipts(body, &receipts, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            assert(receipts[i]);
    free(receipts);
}

// Cursors, ranges and keys: what is accepted is inside its limits, and a cursor is the number it came from.
static inline void fuzz_values(const uint8_t *data, size_t size) {
    char *key = NULL;
    size_t len = 0;
    struct err err = ERR_NONE;
    if (kv_cursor_decode((const char *)data, size, &key, &len) == 0) {
        char *digits cleanup_free = len ? kv_cursor_encode(key, len) : NULL;
        size_t zeros = 0;
        while (zeros < size && data[zeros] == '0')
            zeros++;
        assert(len == 0 || len > KV_CURSOR_KEY_MAX ||
               (digits && strlen(digits) == size - zeros && memcmp(digits, data + zeros, size - zeros) == 0));
        free(key);
    }
    if (object_check_key((struct blob){(const char *)data, size}, &err) == 0)
        assert(size > 0 && size <= OBJECT_KEY_MAX && !memchr(data, 0, size));
    char *text cleanup_free = mem_strndup((const char *)data, size);
    int64_t offset = 0, part = 0;
    if (text && object_parse_range(text, 1000, &offset, &part) == OBJECT_PART)
        assert(offset >= 0 && part > 0 && offset + part <= 1000);
}
