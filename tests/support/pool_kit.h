// SPDX-License-Identifier: Apache-2.0
// A pool of local volumes in a directory of the test's own. A failing call fails the test.
#pragma once

#include "node-plugin/local/pool.h"

struct pool_kit {
    char directory[64];
    struct local_pool *pool;      // "fast"
    struct local_record taken[8]; // by the last opening
    size_t taken_count;
    int take_code; // what taking a record results in
};

int pool_kit_setup(void **state); // *state: the kit, its pool not open yet
int pool_kit_teardown(void **state);
void pool_kit_open(struct pool_kit *kit); // anew, as after a restart
void pool_kit_close(struct pool_kit *kit);

struct pool_kit_id {
    char text[CSI_ID_MAX + 1]; // "v-<key>@fast"
    char key[HASH_ID_LEN + 1];
};
struct pool_kit_id pool_kit_id(const char *name);
// Files below the pool's own folder: "data/<key>". A NUL-terminated path in static storage, good until the next call.
const char *pool_kit_path(const struct pool_kit *kit, const char *folder, const char *prefix, const char *name,
                          const char *suffix);
void pool_kit_write(const char *path, const char *text);
bool pool_kit_exists(const char *path); // links are not followed
