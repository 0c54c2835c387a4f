// SPDX-License-Identifier: Apache-2.0
// All that is served, as the HTTP server takes it: the API below its prefixes, then health, metrics and description.
#pragma once

#include "lib/http/server.h"
#include "sidecar/service.h"

#define API_TABLES 2

struct api {
    struct http_route *rows; // of the API, all files together
    size_t count;
    struct http_table tables[API_TABLES];
    struct service *service;
};

int api_build(struct service *service, struct api *ret, struct err *err) must_check;
void api_done(struct api *api);
