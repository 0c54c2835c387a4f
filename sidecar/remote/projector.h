// SPDX-License-Identifier: Apache-2.0
// Namespaces of keys as files of a pod, current by the store's watch: as the volume of a ConfigMap, in milliseconds (decision 19).
//
// Why:     a program that reads its settings from files needs no client; one that follows a ConfigMap's volume follows this.
// Owns:    one thread for all of them, since files are not to be written in an event loop; each namespace has a stream on the server's
//          first loop.
// Threads: projector_ready from any; the rest from one.
// Fails:   while the store is away, the namespace is gone or too large, the files stay as they are, and a metric and the log say so.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "sidecar/remote/spec.h"

struct http_server;
struct remote;

struct projector_options {
    struct project_specs specs; // borrowed
    int64_t bytes_max;          // of keys and values, of each namespace
    uint32_t mode;              // of the files
    const char *notify;         // URL; NULL: nobody is told
};

struct projector;
int projector_new(const struct projector_options *options, const struct remote *remote, struct projector **ret,
                  struct err *err) must_check;
int projector_start(struct projector *projector, struct http_server *server, struct err *err) must_check;
void projector_stop(struct projector *projector);              // before the server stops; the files stay
struct projector *projector_free(struct projector *projector); // after http_server_free

// Are all files there? Else `err` says which are not, and why. (They may be those of before.)
bool projector_ready(struct projector *projector, struct err *err);
