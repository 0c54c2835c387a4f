// SPDX-License-Identifier: Apache-2.0
// Objects in requests and answers: keys, conditions, ranges, uploads.
#pragma once

#include "sidecar/job.h"

// The bucket of the request's route: "public" or "private".
const char *object_bucket(const struct http_request *request);
// 1..OBJECT_KEY_MAX bytes of UTF-8 that can be a path: no "." or ".." between slashes, nothing empty but before a leading
// slash, at most 255 bytes each, no control characters.
int object_check_key(struct blob key, struct err *err) must_check;

enum object_answer { OBJECT_FULL, OBJECT_PART, OBJECT_NOT_MODIFIED, OBJECT_FAILED_CONDITION, OBJECT_BAD_RANGE };
// What RFC 9110 asks for (If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, then Range and If-Range).
// A part is one range: *ret_offset, *ret_len. Several ranges at once are answered with the whole.
enum object_answer object_evaluate(const struct http_request *request, const struct object_info *info,
                                   int64_t *ret_offset, int64_t *ret_len);
// "bytes=0-99" of `size` bytes. OBJECT_FULL: not understood, so to be ignored.
enum object_answer object_parse_range(const char *text, int64_t size, int64_t *ret_offset, int64_t *ret_len);

// If-Match and If-None-Match of a write: one ETag or "*", without quotes, in `texts`.
struct object_condition_text {
    char match[64], none_match[64];
};
int object_read_condition(const struct http_request *request, struct object_condition_text *texts,
                          struct object_condition *ret, struct err *err) must_check;

void object_reply_headers(struct http_request *request, const struct object_info *info); // ETag, Last-Modified, …
// Takes the raw body as an object and answers when it is stored.
void object_upload_start(struct service *service, struct http_request *request);
