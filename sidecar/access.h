// SPDX-License-Identifier: Apache-2.0
// Who may do what: the server's hook before each request, and the links that carry their own right.
#pragma once

#include "sidecar/service.h"

// For http_options.authorize, with the struct service. 401: no token, or not a known one; 403: not this workspace, or it
// may only read; 503: the cluster that knows the token cannot be asked. A presigned URL counts by its signature alone, also when a token comes with it.
int access_authorize(void *arg, struct http_request *request, struct err *err);

// Whether the request would be allowed again, for the workspace it was allowed for: of answers that go on for long. Any thread,
// while the request is there. -EPERM or -EACCES as at first, for example once the token is over or was removed.
int access_holds(struct service *service, const struct http_request *request, struct err *err) must_check;

// The URL of an object for whoever gets it, below /api/v2/workspaces/…; presigned for `method`, or plain when NULL.
// To be freed. NULL: out of memory.
char *access_object_url(const struct service *service, const struct http_request *request, const char *bucket,
                        struct blob key, const char *method) must_check;
