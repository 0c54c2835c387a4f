// SPDX-License-Identifier: Apache-2.0
// A JSON Patch (RFC 6902) under way: operations in order, each on what those before it left.
//
// Owns:    its operations; values handed over are taken, also on failure.
// Threads: one.
// Fails:   a failure stays: adding goes on without effect, and patch_end tells it.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

struct patch {
    struct json *ops;
    int failed; // 0 or -errno
};

// The path is printed like printf; names in it have no '/' and no '~'. Takes `value`; NULL counts as out of memory.
void patch_add(struct patch *patch, struct json *value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void patch_replace(struct patch *patch, struct json *value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// Takes `value`. Appends to the list `list` of the object at the path that is printed, whose value now is `now`; NULL: there is none.
void patch_append(struct patch *patch, const char *at, const char *list, const struct json *now, struct json *items);
// The operations; NULL when nothing is to be done.
int patch_end(struct patch *patch, struct json **ret) must_check;
void patch_done(struct patch *patch);
