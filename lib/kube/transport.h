// SPDX-License-Identifier: Apache-2.0
// How a request reaches the API server: the seam between what is asked and who carries it.
//
// Why:     watches that break off, half lines and answers of 410 cannot be ordered from a real server; a fake gives them.
// Owns:    the body of an answer is the caller's.
// Threads: `send` on several threads at once.
// Fails:   -ENOENT 404, -EACCES 403, -EPERM 401, -EEXIST 409, -ESTALE 410, -ENOSPC 429, -EINVAL other 4xx, -EIO 5xx and TLS, -EHOSTUNREACH
//          no connection, -ETIMEDOUT no answer in time, -EMSGSIZE an answer beyond `max`, -ECANCELED given up by `cancelled`; or what
//          `chunk` returned.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

struct kube_request {
    const char *method, *path; // with its query, percent-encoded
    const char *content_type;  // of `body`; NULL: there is none
    const char *body;
    size_t body_len;
    size_t max; // bytes of an answer that is collected; 0: KUBE_ANSWER_MAX
    // A watch: each part of a 2xx answer as it comes. NULL: the answer is collected.
    int (*chunk)(void *arg, const char *data, size_t len, struct err *err);
    bool (*cancelled)(void *arg); // asked once a second at least; NULL: never
    void *arg;                    // of both
    // Seconds of the whole request; of a watch: without a byte. 0: the transport's own.
    uint32_t timeout_s;
};
#define KUBE_ANSWER_MAX (8U << 20) // an object in etcd has at most 1.5 MiB

struct kube_transport_ops {
    int (*send)(void *self, const struct kube_request *request, struct str *ret_body, struct err *err);
    void (*free)(void *self);
};
struct kube_transport {
    const struct kube_transport_ops *ops;
    void *self;
};

struct kube_options;
// Over HTTP, with the credentials of `options`. Keeps a few idle connections.
int kube_transport_http(const struct kube_options *options, struct kube_transport *ret, struct err *err) must_check;
