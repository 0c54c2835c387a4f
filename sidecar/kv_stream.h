// SPDX-License-Identifier: Apache-2.0
// Changes of a namespace as server-sent events (WHATWG HTML, "Server-sent events").
//
// Owns:    a stream belongs to its connection and to the engine's call in flight, and goes with the later of the two.
// Threads: the connection reads, the engine delivers; one lock keeps them apart.
#pragma once

#include "sidecar/job.h"

#define KV_HEARTBEAT_S 15  // by default, and at most
#define KV_EVENTS_MAX 1000 // changes in one answer

// {"key":…,"value":…,"version":…}; a removed key has "removed":true instead of a value. NULL: out of memory.
struct json *kv_event_json(const struct kv_event *event) must_check;
// Answers with the stream: event "change" with its version as id, and a comment every `heartbeat_s` while nothing changes. It ends after
// With `since` KV_WATCH_NOW the first bytes of the stream say that every change from then on comes. It ends after
// event "error" (with the reason) when the namespace or the request's right to it is gone, and when the store drains.
void kv_stream_start(struct service *service, struct http_request *request, int64_t since, int64_t heartbeat_s);
