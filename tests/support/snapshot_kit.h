// SPDX-License-Identifier: Apache-2.0
// A controller over an in-memory share with the real background work: volumes, snapshots, copies and removals.
#pragma once

#include "controller/snapshot.h"
#include "controller/tree_work.h"
#include "tests/fakes/controller_fixture.h"

struct snapshot_kit {
    struct fixture base; // its `volumes` use the real tree work
    struct tree_worker *worker;
    struct snapshots *snapshots;
};

// `die_at`: at which changing call, counted after the layout was found, the share dies; 0: never. `wait_ms`: of create.
void snapshot_kit_start(struct snapshot_kit *kit, struct fake_nfs_store *store, long die_at, bool applied,
                        unsigned wait_ms);
void snapshot_kit_stop(struct snapshot_kit *kit);
// What the process does after it opened the share: takes up unfinished copies, empties the trash.
void snapshot_kit_resume(struct snapshot_kit *kit);

int snapshot_kit_volume(struct snapshot_kit *kit, const char *name, enum content_source source, const char *source_id,
                        char ret_id[CSI_ID_MAX + 1], struct err *err);
int snapshot_kit_snapshot(struct snapshot_kit *kit, const char *name, const char *volume_id,
                          char ret_id[CSI_ID_MAX + 1], bool *ret_ready, struct err *err);

// On a connection of their own. A path below the root as text (kit_describe), NULL when it is not there.
char *snapshot_kit_describe(struct fake_nfs_store *store, const char *path);
void snapshot_kit_fill(struct fake_nfs_store *store,
                       const char *path);                  // with a small tree: a hard and a symbolic link, a hole
void snapshot_kit_age_locks(struct fake_nfs_store *store); // every lease has run out
size_t snapshot_kit_entries(struct fake_nfs_store *store, const char *path);
void snapshot_kit_drain(struct fake_nfs_store *store, const char *path); // waits until the directory is empty
