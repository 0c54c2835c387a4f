// SPDX-License-Identifier: Apache-2.0
// A controller over an in-memory share: registry, volumes and a tree work that copies one file, for tests.
//
// Why:     a test can end a controller at any call and start another one over the same store.
// Threads: one test thread a fixture; two fixtures may share a store.
#pragma once

#include "controller/copy.h"
#include "controller/volume.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"

struct fake_work {
    bool hold;           // copies do not end: copy_wait answers -EAGAIN
    bool slow;           // and does so at its deadline only
    int waits;           // how often copy_wait was called
    int copies, trashed; // how many were started, how many directories came to trash/
};

struct fixture {
    struct fake_nfs_store *store; // borrowed
    struct nfs_share *nfs;        // the share that was opened last, a faulty one; closed with the registry
    long die_at;                  // changing call at which the next share that is opened dies; 0: none
    bool die_applied;
    struct fake_work work;
    struct shares *shares;
    struct volumes *volumes;
    struct call_context ctx;
};

#define FIXTURE_SERVER "10.0.0.5"
#define FIXTURE_SHARE "/data"

// `options` may be NULL; its shares and work are replaced. Connects lazily, as the controller does.
void fixture_start(struct fixture *f, struct fake_nfs_store *store, const struct volumes_options *options);
void fixture_stop(struct fixture *f);
// Ends the controller and starts it again over the same store.
void fixture_restart(struct fixture *f);
// The open share (opened now if need be); drop it with share_free.
struct share *fixture_share(struct fixture *f);

// CreateVolume with the fixture's share and one more parameter (key NULL: none).
int fixture_create(struct fixture *f, const char *name, const char *key, const char *value, struct volume_info *ret,
                   struct err *err);
// Does a path exist below the share's root? Looked up on a connection of its own.
bool fixture_exists(struct fixture *f, const char *path);
void fixture_make_file(struct fixture *f, const char *path); // directories on the way are made
void fixture_write_file(struct fixture *f, const char *path, const char *text);
size_t fixture_entries(struct fixture *f, const char *path); // of a directory; 0 when it is missing
