// SPDX-License-Identifier: Apache-2.0
// What a kind of objects needs so that the operator takes care of it: one file that fills this table, one row in reconcilers.c.
//
// Why:     watching, queueing, leading, retrying, logging and counting are the same for every kind; what a kind means is not.
// Owns:    tables are static; a reconcile owns nothing beyond its call.
// Threads: several objects at once, one object never by two threads.
// Fails:   -errno with a message for the log; the object is taken up again later, ever later when it fails in a row. -EAGAIN (it was
//          changed meanwhile) is no failure worth a line. What a person should do something about belongs into the object's
//          conditions and Events, and is no failure of the reconcile.
#pragma once

#include "lib/base/clock.h"
#include "lib/kube/cache.h"
#include "lib/kube/event.h"
#include "lib/kube/kube.h"

#define STOWAGE_API_VERSION "stowage.dev/v1alpha1"
#define STOWAGE_GROUP "/apis/stowage.dev/v1alpha1"

// Objects of the cluster that are watched and kept, as far as somebody reads them.
struct source {
    const char *group, *plural; // "/apis/storage.k8s.io/v1", "storageclasses"
    bool own_namespace;         // only those of the operator's own namespace
    const char *selector;       // of labels; NULL: all
    const char *const *kept;    // paths (lib/kube/object.h); NULL-terminated
    const char *index;          // path of a text by which they are found; NULL: none
    uint32_t page;              // objects a request when listed; 0: 100
};

struct operator_context {
    const struct kube *kube;
    struct kube_events *events;
    struct reach *reach;      // reach.h
    struct hits *hits;        // hits.h; NULL: nodes are not asked
    struct data_store *store; // data_store.h
    struct survey *survey;    // survey.h
    const struct clock *clock;
    const char *ns;                                                                      // the operator's own namespace
    struct kube_cache *(*cache)(const struct operator_context *, const struct source *); // of a source that is watched
    void *arg;
};

struct reconciler {
    const char *kind;             // "FileSystem"
    const struct source *objects; // what it takes care of
    // What else makes work: the index of such an object (its name, when the source has no index) is the key of ours.
    const struct source *const *related; // NULL-terminated; NULL: nothing
    const struct source *const
        *looked_at; // what it reads beside that, and no change of which makes work; NULL: nothing
    // Makes the cluster as `object` says. *ret_again_ms: to be looked at again then although nothing changed; 0: no need.
    int (*reconcile)(const struct operator_context *ctx, const struct json *object, int64_t *ret_again_ms,
                     struct err *err);
};

extern const struct reconciler *const reconcilers[]; // reconcilers.c; NULL-terminated
