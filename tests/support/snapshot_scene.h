// SPDX-License-Identifier: Apache-2.0
// A filled volume and what is done with it: snapshot, restore, clone, delete of the snapshot. Faults are put into each
// of them; whatever happens, no final name shows half a tree, and repeated without fault the deed ends whole.
#pragma once

#include "tests/support/snapshot_kit.h"

struct snapshot_scene {
    struct fake_nfs_store *store;
    char volume_id[CSI_ID_MAX + 1], snapshot_id[CSI_ID_MAX + 1];
    char *whole;
};

struct snapshot_deed {
    const char *name;
    bool needs_snapshot;
    const char *result; // path, NULL: nothing is left
    int (*act)(struct snapshot_kit *kit, struct snapshot_scene *scene, struct err *err);
};

enum { SNAPSHOT_TAKE, SNAPSHOT_RESTORE, SNAPSHOT_CLONE, SNAPSHOT_DELETE, SNAPSHOT_DEEDS };
extern const struct snapshot_deed snapshot_deeds[SNAPSHOT_DEEDS];

// A store with the volume "src", and its snapshot when the deed needs one.
void snapshot_scene_set(struct snapshot_scene *scene, const struct snapshot_deed *deed);
void snapshot_scene_end(struct snapshot_scene *scene);
void snapshot_until_done(struct snapshot_kit *kit, struct snapshot_scene *scene, const struct snapshot_deed *deed);
void snapshot_check_not_half(struct snapshot_scene *scene, const struct snapshot_deed *deed);
void snapshot_check_end(struct snapshot_scene *scene, const struct snapshot_deed *deed); // it is whole, nothing is left
