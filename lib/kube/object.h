// SPDX-License-Identifier: Apache-2.0
// What every Kubernetes object has: names, versions, finalizers, conditions; and how much of it is worth keeping.
//
// Owns:    getters point into the object; what is returned as `char *` or built is the caller's.
// Threads: any; an object belongs to one at a time.
// Fails:   builders -ENOMEM.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

// The text or value behind a path such as "metadata.uid", "spec.claimRef.name". A name with a dot in it cannot be reached.
const char *kube_text(const struct json *object, const char *path); // NULL: none, or no text
const struct json *kube_value(const struct json *object, const char *path);
const char *kube_name(const struct json *object); // "" when it has none

// "namespace/name", or "name" of an object in no namespace. Allocated; NULL: out of memory.
char *kube_key(const struct json *object) must_check;

// A copy of what `paths` (NULL-terminated) name and the object has. NULL: out of memory.
struct json *kube_keep(const struct json *object, const char *const *paths) must_check;

bool kube_is_ending(const struct json *object); // metadata.deletionTimestamp
bool kube_has_finalizer(const struct json *object, const char *name);
// A merge patch that adds or removes a finalizer of just this version of the object. NULL: out of memory.
struct json *kube_finalizer_patch(const struct json *object, const char *name, bool present) must_check;

#define KUBE_TIME_SIZE 32
void kube_time(int64_t wall_ns, char ret[static KUBE_TIME_SIZE]);       // "2026-11-28T10:00:00Z"
void kube_time_micro(int64_t wall_ns, char ret[static KUBE_TIME_SIZE]); // "2026-11-28T10:00:00.000000Z"

struct kube_condition {
    const char *type;   // "Ready"
    const char *status; // "True", "False", "Unknown"
    const char *reason; // CamelCase
    const char *message;
};
// Appends it to `conditions`, with the time of its last change: now, or that of `before` (the object's status.conditions, may be
// NULL) when its status is the same there.
int kube_condition_add(struct json *conditions, const struct json *before, const struct kube_condition *condition,
                       int64_t generation, int64_t wall_ns) must_check;
// A condition of an object's status by its type; NULL: there is none.
const struct json *kube_condition_find(const struct json *conditions, const char *type);
