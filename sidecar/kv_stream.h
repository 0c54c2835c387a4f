// SPDX-License-Identifier: Apache-2.0
// Changes of a namespace as server-sent events (WHATWG HTML, "Server-sent events").
//
// Ids:     an event has its version as id. An id without an event, "VERSION-INCARNATION", says that what was told so far is the namespace as it
//          was in that version, with no write half told; as Last-Event-ID it also tells a namespace that was made anew under its name.
// Owns:    a stream belongs to its connection and to the engine's call in flight, and goes with the later of the two.
// Threads: the connection reads, the engine delivers; one lock keeps them apart.
#pragma once

#include "sidecar/job.h"

#define KV_HEARTBEAT_S 15  // by default, and at most
#define KV_EVENTS_MAX 1000 // changes in one answer

// {"key":…,"value":…,"version":…}; a removed key has "removed":true instead of a value. NULL: out of memory.
struct json *kv_event_json(const struct kv_event *event) must_check;
#define KV_STREAM_ALL (-2) // as `since`: begins with every key there is, then what changes from then on
struct kv_position {       // where a stream begins
    int64_t since, incarnation;
};
int kv_position_parse(const char *id, struct kv_position *ret) must_check; // a Last-Event-ID; -EINVAL

// Answers with the stream: event "change" with its version as id, and a comment at its begin and every `heartbeat_s` while nothing changes.
// With `since` KV_WATCH_NOW the first bytes of the stream say that every change from then on comes. It ends after
// event "error" (with the reason) when the namespace or the request's right to it is gone, and when the store drains.
void kv_stream_start(struct service *service, struct http_request *request, const struct kv_position *from,
                     int64_t heartbeat_s);
