// SPDX-License-Identifier: Apache-2.0
// Volumes of one controller over an in-memory share: set-up and the calls that most tests make.
#pragma once

#include "lib/base/str.h"
#include "tests/fakes/controller_fixture.h"

struct volume_kit {
    struct fake_nfs_store *store;
    struct fixture f;
};

int volume_kit_setup(void **state);
int volume_kit_teardown(void **state);

// The new volume's id, to be freed; with one more parameter. Failure fails the test.
char *volume_kit_make(struct fixture *f, const char *name);
char *volume_kit_make_with(struct fixture *f, const char *name, const char *key, const char *value);
int volume_kit_destroy(struct fixture *f, const char *id, struct err *err);
// A volume_emit_fn over a struct str: the share of each volume's id, `!` behind a damaged one, a space.
int volume_kit_collect(const struct volume_info *info, void *arg);
