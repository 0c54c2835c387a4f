// SPDX-License-Identifier: Apache-2.0
// The Kubernetes API, as one request at a time: who asks, where, and what came back as JSON.
//
// Why:     the few programs that need the cluster to tell them something stay at its edge. What goes on for long (watch.h, cache.h,
//          lease.h, event.h) is made of these requests.
// Owns:    a few idle connections; the token is read for each request, since kubelet writes a new one long before the old one ends.
// Threads: any.
// Fails:   -ENOENT there is no such object, -EEXIST there is one, -EAGAIN it was changed meanwhile (read it again), -EACCES RBAC does not
//          allow it, -EPERM the token is not taken, -EINVAL the request or the object is wrong, -ESTALE a list's or watch's version is too old,
//          -EBADMSG the answer is no JSON object, -EMSGSIZE it is too large; -EHOSTUNREACH, -ETIMEDOUT, -ENOSPC (429) and -EIO (5xx, TLS)
//          may pass by themselves: kube_may_pass. Every request ends in bounded time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/kube/transport.h"

struct kube;

struct kube_options {
    const char *url;              // of the API server, without a path: https://10.96.0.1:443
    const char *token_file;       // read at each request
    const char *token;            // when there is no file; NULL: no token is sent
    const char *ca_file, *ca_pem; // PEM; NULL: the system's
    const char *client_cert_file, *client_key_file, *client_cert_pem, *client_key_pem; // NULL: none
    uint32_t timeout_s;                                                                // of one request; 0: 10
};

// Is this process a container of a pod with a service account's token?
bool kube_in_cluster(void);
// The namespace of that pod; allocated, NULL when it cannot be told.
char *kube_own_namespace(void) must_check;
// What that pod connects with; kube_options_of_pod_done releases its texts. -ENOENT when there is none.
int kube_options_of_pod(struct kube_options *ret, struct err *err) must_check;
void kube_options_of_pod_done(struct kube_options *options);
// `options` NULL: as the pod's service account (environment and files that kubelet gives), -ENOENT when there is none.
int kube_new(const struct kube_options *options, struct kube **ret, struct err *err) must_check;
// Over another transport, which becomes the kube's own, also on failure.
int kube_new_over(struct kube_transport transport, struct kube **ret, struct err *err) must_check;
struct kube *kube_free(struct kube *kube);
DEFINE_CLEANUP(kube)

// ---- one object ------------------------------------------------------------------------------------------------------
// Paths such as "/api/v1/nodes/node-1"; names are to be percent-encoded with kube_path. `ret` NULL: the answer does not matter.

int kube_get(const struct kube *kube, const char *path, struct json **ret, struct err *err) must_check;
int kube_create(const struct kube *kube, const char *collection, const struct json *object, struct json **ret,
                struct err *err) must_check;
// The whole object, with the resourceVersion it was read with.
int kube_update(const struct kube *kube, const char *path, const struct json *object, struct json **ret,
                struct err *err) must_check;

enum kube_patch {
    KUBE_PATCH_MERGE, // RFC 7396: null takes a member away, lists are replaced
    KUBE_PATCH_APPLY, // server-side apply: what `object` holds is ours, whether it was there or not
};
// With metadata.resourceVersion or metadata.uid in it, only the object of that version or uid (else -EAGAIN).
int kube_patch(const struct kube *kube, const char *path, enum kube_patch kind, const struct json *object,
               struct json **ret, struct err *err) must_check;
// The status subresource.
int kube_patch_status(const struct kube *kube, const char *path, const struct json *object, struct json **ret,
                      struct err *err) must_check;
// `uid` and `version` NULL: whatever is there; else only that one (-EAGAIN). What depends on it goes in the background.
int kube_delete(const struct kube *kube, const char *path, const char *uid, const char *version,
                struct err *err) must_check;

// ---- all of a kind ---------------------------------------------------------------------------------------------------

struct kube_list_options {
    const char *collection; // "/apis/stowage.dev/v1alpha1/filesystems"
    const char *selector;   // of labels; NULL: all
    uint32_t page;          // objects a request; 0: 100. Fewer where they are large.
    bool (*cancelled)(void *arg);
    void *cancel_arg;
};
// Hands each object to `emit` and stops when it fails. *ret_version (allocated) is where a watch goes on.
int kube_list(const struct kube *kube, const struct kube_list_options *options,
              int (*emit)(void *arg, const struct json *object, struct err *err), void *arg, char **ret_version,
              struct err *err) must_check;

// Any request; a body is parsed by the caller.
int kube_send(const struct kube *kube, const struct kube_request *request, struct str *ret_body,
              struct err *err) must_check;

// "/api/v1/nodes" and "node-1" → "/api/v1/nodes/node-1". Allocated; NULL: out of memory.
char *kube_path(const char *collection, const char *name) must_check;
// "/apis/coordination.k8s.io/v1", "stowage", "leases" → "/apis/coordination.k8s.io/v1/namespaces/stowage/leases".
char *kube_collection(const char *group, const char *ns, const char *plural) must_check;
// Will the same request perhaps succeed later?
bool kube_may_pass(int error);

// A label of an object; NULL: it has none of that name.
const char *kube_label(const struct json *object, const char *name);
