// SPDX-License-Identifier: Apache-2.0
// A controller over a real NFS server, whose process may die at any call that changes the share.
//
// Why:     what a kill leaves is looked at from beside: by a connection of the test's own, the probe.
// Threads: one test thread; the controller has its own.
#pragma once

#include <stdatomic.h>

#include "controller/snapshot.h"
#include "controller/tree_work.h"
#include "controller/volume.h"
#include "tests/support/nfs_server.h"

extern struct nfs_server real_server;
extern struct nfs_share *real_probe; // looks at the share beside the controllers

struct real_controller {
    struct shares *shares;
    struct tree_worker *worker;
    struct volumes *volumes;
    struct snapshots *snapshots;
    long kill_at; // 0: lives
    bool kill_after;
    atomic_long calls;
};

int real_open_probe(void);
void real_close_probe(void);
struct call_context real_soon(void); // 30 s from now

void real_start(struct real_controller *c);
void real_stop(struct real_controller *c);
void real_resume(struct real_controller *c); // what the process does after it opened the share
struct share *real_open_share(struct real_controller *c);
void real_location(struct share_location *ret, char server_text[32], char path[16]);
// CreateVolume; a success has the id `id`.
int real_make_volume(struct real_controller *c, const char *name, const char *id, enum content_source source,
                     const char *source_id, const char *on_delete, struct err *err);

// Through the probe. Paths are relative to the export.
bool real_exists(const char *path);
size_t real_entries(const char *path); // 0 when it is missing
void real_drain(const char *path);     // waits until it is empty
void real_age(const char *path);       // everything in it was last touched long ago: leases have run out
void real_fill(const char *path);      // with the tree that is_whole knows
bool real_is_whole(const char *path);
