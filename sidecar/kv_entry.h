// SPDX-License-Identifier: Apache-2.0
// Keys, values, versions and conditions as they stand in requests and answers.
#pragma once

#include "sidecar/job.h"

#define KV_TTL_MAX_S (INT64_C(10) * 365 * 24 * 3600) // ten years

// 1..KV_KEY_MAX bytes without NUL. -EINVAL, -E2BIG with the limit.
int kv_check_key(struct blob key, struct err *err) must_check;
int kv_check_value(struct blob value, struct err *err) must_check;
// If-Match: "VERSION", If-None-Match: *, Stowage-TTL: SECONDS, into a change.
int kv_read_conditions(const struct http_request *request, struct kv_change *ret, struct err *err) must_check;
// Does If-None-Match name this version?
bool kv_is_known(const struct http_request *request, int64_t version);
void kv_reply_version(struct http_request *request, int64_t version); // header ETag
// "NAME": text, or "NAME_base64" for bytes that are no UTF-8.
int kv_set_bytes(struct json *object, const char *name, const char *data, size_t len) must_check;
// The reverse. -ENOENT when neither is there; *ret is borrowed from the object or kept in *keep, to be freed.
int kv_get_bytes(const struct json *object, const char *name, struct blob *ret, char **keep,
                 struct err *err) must_check;
