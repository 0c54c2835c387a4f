// SPDX-License-Identifier: Apache-2.0
// Inside the HTTP server: what of a message goes on to the next hop, and what belongs to the connection it came by (RFC 9110, 7.6.1).
#pragma once

#include "lib/http/connection.h"
#include "lib/http/upstream.h"

// The head of a request as it is passed on. -ENOMEM.
int http_hop_request(struct http_buffer *out, const struct http_head *head, const struct http_forward *forward);
// Copies the fields of an answer to ours, but those that the server writes itself. -ENOMEM.
int http_hop_answer(struct http_request *request, const struct http_head *head);
