// SPDX-License-Identifier: Apache-2.0
// Queues, their settings and their messages as JSON. Times are seconds, or milliseconds in members that end in _ms.
#pragma once

#include "sidecar/job.h"

#define QUEUE_BATCH_MAX 100 // messages or receipts in one request

// dedup, visibility, delay, retention, max_receives, dead_letter; what is left out stays as it is.
int queue_read_settings(const struct json *object, struct queue_settings *ret, struct err *err) must_check;
struct json *queue_info_json(const struct queue_info *info) must_check; // NULL: out of memory
struct json *queue_delivery_json(const struct queue_delivery *delivery, enum queue_receive_mode mode) must_check;
// "message" (text), "dedup_id", "delay". -EINVAL, -E2BIG with the limit.
int queue_read_message(const struct json *object, struct queue_message *ret, struct err *err) must_check;
// "receipts": a list of texts. *ret is allocated, its texts are the body's.
int queue_read_receipts(const struct json *object, const char ***ret, size_t *ret_count, struct err *err) must_check;
