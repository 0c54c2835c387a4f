// SPDX-License-Identifier: Apache-2.0
// Who may do what: the server's hook before each request, and the links that carry their own right.
#pragma once

#include "sidecar/service.h"

// For http_options.authorize, with the struct service. 401: no token, or not a known one; 403: not this workspace, or it
// may only read. A presigned URL counts by its signature alone, also when a token comes with it.
int access_authorize(void *arg, struct http_request *request, struct err *err);

// The URL of an object for whoever gets it, below /api/v2/workspaces/…; presigned for `method`, or plain when NULL.
// To be freed. NULL: out of memory.
char *access_object_url(const struct service *service, const struct http_request *request, const char *bucket,
                        struct blob key, const char *method) must_check;
