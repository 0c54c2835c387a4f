// SPDX-License-Identifier: Apache-2.0
// The Kubernetes API, as one object at a time: who asks, where, and what came back as JSON.
//
// Why:     the few programs that need the cluster to tell them something stay at its edge; what they ask for is a path and
//          an answer, so that each further verb is one function here over the same request.
// Owns:    nothing but its settings: a connection is made for each request, since requests are rare and tokens change
//          (kubelet writes a new one long before the old one ends).
// Threads: any.
// Fails:   -ENOENT there is no such object, -EACCES RBAC does not allow it, -EPERM the token is not taken, -EINVAL the request
//          is wrong, -EBADMSG the answer is no JSON object; -EHOSTUNREACH, -ETIMEDOUT, -ENOSPC (429) and -EIO (5xx, TLS) may
//          pass by themselves: kube_may_pass.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct kube;

struct kube_options {
    const char *url;        // of the API server, without a path: https://10.96.0.1:443
    const char *token_file; // read at each request; NULL: no token is sent
    const char *ca_file;    // PEM; NULL: the system's
    uint32_t timeout_s;     // of one request; 0: 10
};

// Is this process a container of a pod with a service account's token?
bool kube_in_cluster(void);
// `options` NULL: as the pod's service account (environment and files that kubelet gives), -ENOENT when there is none.
int kube_new(const struct kube_options *options, struct kube **ret, struct err *err) must_check;
struct kube *kube_free(struct kube *kube);
DEFINE_CLEANUP(kube)

// The object at a path such as "/api/v1/nodes/node-1"; names are to be percent-encoded with kube_path.
int kube_get(const struct kube *kube, const char *path, struct json **ret, struct err *err) must_check;
// "/api/v1/nodes" and "node-1" → "/api/v1/nodes/node-1". Allocated; NULL: out of memory.
char *kube_path(const char *collection, const char *name) must_check;
// Will the same request perhaps succeed later?
bool kube_may_pass(int error);

// A label of an object; NULL: it has none of that name.
const char *kube_label(const struct json *object, const char *name);
