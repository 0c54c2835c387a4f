// SPDX-License-Identifier: Apache-2.0
// What works while this process leads: a cache for each source, one queue, and the threads that reconcile what is in it.
//
// Why:     it is made when leading begins and taken down when it ends; whoever leads starts from what the cluster says.
// Threads: its own; team_free waits for them, so for the request each is in.
// Order:   reconciles begin when every cache has been listed once, so that nothing is taken for gone that was only not seen yet.
#pragma once

#include "controller/operator/reconciler.h"

struct team;

struct team_options {
    const struct kube *kube;
    struct kube_events *events;
    struct reach *reach;
    struct hits *hits; // NULL: nodes are not asked
    struct data_store *store;
    struct survey *survey;
    const char *ns;
    unsigned threads;
    const struct reconciler *const *reconcilers; // NULL-terminated
    bool (*leading)(void *arg);                  // asked before each reconcile
    void *arg;
};
int team_new(const struct team_options *options, struct team **ret, struct err *err) must_check;
struct team *team_free(struct team *team);
DEFINE_CLEANUP(team)

size_t team_waiting(struct team *team); // objects that are due, or will be
