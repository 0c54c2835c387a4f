// SPDX-License-Identifier: Apache-2.0
#include "tests/support/snapshot_scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "tests/support/cm.h"

#define TRIES_MAX 2000

static char snapshot_data[64]; // path of the snapshot "s"

static void know_paths(void) {
    char key[HASH_ID_LEN + 1];
    hash_id("s", 1, key);
    (void)snprintf(snapshot_data, sizeof snapshot_data, ".stowage/snapshot-data/%s", key);
}

// The tree at `path` is whole, or not there, or (a volume's directory before its content came) empty.
static void assert_not_half(struct fake_nfs_store *store, const char *path, const char *whole) {
    char *now = snapshot_kit_describe(store, path);
    if (now && strcmp(now, whole) != 0)
        assert_int_equal(snapshot_kit_entries(store, path), 0);
    free(now);
}

static void assert_whole(struct fake_nfs_store *store, const char *path, const char *whole) {
    char *now = snapshot_kit_describe(store, path);
    assert_non_null(now);
    assert_string_equal(now, whole);
    free(now);
}

static int take_snapshot(struct snapshot_kit *kit, struct snapshot_scene *scene, struct err *err) {
    bool ready = false;
    int r = snapshot_kit_snapshot(kit, "s", scene->volume_id, scene->snapshot_id, &ready, err);
    return r == 0 && !ready ? -EAGAIN : r;
}

static int restore(struct snapshot_kit *kit, struct snapshot_scene *scene, struct err *err) {
    return snapshot_kit_volume(kit, "restored", CONTENT_SNAPSHOT, scene->snapshot_id, NULL, err);
}

static int clone_volume(struct snapshot_kit *kit, struct snapshot_scene *scene, struct err *err) {
    return snapshot_kit_volume(kit, "cloned", CONTENT_VOLUME, scene->volume_id, NULL, err);
}

static int delete_snapshot(struct snapshot_kit *kit, struct snapshot_scene *scene, struct err *err) {
    return snapshot_ops.destroy(kit->snapshots, &kit->base.ctx, scene->snapshot_id, err);
}

const struct snapshot_deed snapshot_deeds[SNAPSHOT_DEEDS] = {
    {"snapshot", false, snapshot_data, take_snapshot},
    {"restore", true, "restored", restore},
    {"clone", false, "cloned", clone_volume},
    {"delete", true, NULL, delete_snapshot},
};

void snapshot_until_done(struct snapshot_kit *kit, struct snapshot_scene *scene, const struct snapshot_deed *deed) {
    struct err err = ERR_NONE;
    int r = -EAGAIN;
    for (int i = 0; r == -EAGAIN && i < TRIES_MAX; i++) {
        err = ERR_NONE;
        r = deed->act(kit, scene, &err);
    }
    if (r != 0)
        fail_msg("%s: %d, %s", deed->name, r, err_text(&err));
}

void snapshot_scene_set(struct snapshot_scene *scene, const struct snapshot_deed *deed) {
    struct snapshot_kit kit;
    struct err err = ERR_NONE;
    know_paths();
    *scene = (struct snapshot_scene){.store = fake_nfs_store_new()};
    snapshot_kit_start(&kit, scene->store, 0, false, 0);
    assert_int_equal(snapshot_kit_volume(&kit, "src", CONTENT_EMPTY, NULL, scene->volume_id, &err), 0);
    snapshot_kit_fill(scene->store, "src");
    scene->whole = snapshot_kit_describe(scene->store, "src");
    if (deed->needs_snapshot)
        snapshot_until_done(&kit, scene, &snapshot_deeds[0]);
    snapshot_kit_stop(&kit);
}

void snapshot_scene_end(struct snapshot_scene *scene) {
    free(scene->whole);
    scene->store = fake_nfs_store_free(scene->store);
}

void snapshot_check_not_half(struct snapshot_scene *scene, const struct snapshot_deed *deed) {
    assert_not_half(scene->store, snapshot_data, scene->whole);
    if (deed->result)
        assert_not_half(scene->store, deed->result, scene->whole);
    assert_whole(scene->store, "src", scene->whole);
    if (snapshot_kit_entries(scene->store, ".stowage/snapshots") == 0) // no data that nobody can name any more
        assert_int_equal(snapshot_kit_entries(scene->store, ".stowage/snapshot-data"), 0);
}

void snapshot_check_end(struct snapshot_scene *scene, const struct snapshot_deed *deed) {
    if (deed->result)
        assert_whole(scene->store, deed->result, scene->whole);
    else
        assert_null(snapshot_kit_describe(scene->store, snapshot_data));
    assert_int_equal(snapshot_kit_entries(scene->store, ".stowage/snapshots"),
                     deed->act == take_snapshot || deed->act == restore);
    snapshot_kit_drain(scene->store, ".stowage/work");
    snapshot_kit_drain(scene->store, ".stowage/trash");
}
