// SPDX-License-Identifier: Apache-2.0
// The state directory: one JSON file per staged volume, replaced atomically and synced.
//
// Why:     what is mounted outlives this process, so what it knows about that must too.
// Owns:    the directory, by a lock file: a second node process on it is refused.
// Threads: calls about one volume in order; different volumes at once.
// Fails:   what cannot be read is never overwritten or lost: a damaged file is moved aside ("….damaged"); one that the
//          disk does not give, or that a newer version wrote, is left alone and changes to its volume are refused with
//          -EBUSY.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "node-plugin/record.h"

struct node_store;

int node_store_open(const char *directory, struct node_store **ret, struct err *err) must_check; // makes the directory
struct node_store *node_store_free(struct node_store *store);
DEFINE_CLEANUP(node_store)

// Hands every readable record to `take` (which owns it then). Unreadable ones are logged. Once, before anything else.
// What a killed process left half written is removed.
int node_store_load(struct node_store *store, int (*take)(struct staged *staged, void *arg), void *arg,
                    struct err *err) must_check;
// -EBUSY naming the remedy: there is a record of this volume, but it could not be loaded.
int node_store_check(struct node_store *store, const char *id, struct err *err) must_check;
int node_store_save(struct node_store *store, const struct staged *staged, struct err *err) must_check;
int node_store_remove(struct node_store *store, const char *id, struct err *err) must_check; // missing is fine
