// SPDX-License-Identifier: Apache-2.0
// The StorageClass that a FileSystem asks for: a pure function of its spec.
//
// Why:     the members of a spec are the StorageClass's parameters, by the same names, and are checked by the drivers' own tables; so a
//          parameter is known here as soon as it is known there.
// Owns:    texts and JSON of the plan; filesystem_plan_done releases them.
// Fails:   -EINVAL with what is wrong and the remedy, for a person; -ENOMEM.
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct filesystem_plan {
    struct json *class;      // the whole StorageClass
    const char *provisioner; // static storage
    char *location;          // of its share, as in --share; NULL: local volumes
};
void filesystem_plan_done(struct filesystem_plan *plan);
int filesystem_plan_make(const struct json *object, struct filesystem_plan *ret, struct err *err) must_check;

// The driver of a FileSystem of this type; NULL: no such type.
const char *filesystem_provisioner(const char *type);
// A StorageClass that belongs to the FileSystem.
bool filesystem_owns(const struct json *object, const struct json *class);
// Does `class` differ from the plan in what can only be had by making it anew?
bool filesystem_class_is_other(const struct filesystem_plan *plan, const struct json *class);
// What has to be changed of it, as a merge patch; *ret NULL: nothing.
int filesystem_class_patch(const struct filesystem_plan *plan, const struct json *class, struct json **ret,
                           struct err *err) must_check;
