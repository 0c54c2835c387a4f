// SPDX-License-Identifier: Apache-2.0
// Between the files of the fake class: its objects, by its lock's holder only.
#pragma once

#include "tests/fakes/fake_class.h"

struct fake_object *fake_object_by_id(struct fake_object *list, const char *id);
struct fake_object *fake_object_by_name(struct fake_object *list, const char *name);
// NULL: the list is full (fake_full).
struct fake_object *fake_object_add(struct fake_class *fake, struct fake_object *list, const char *prefix,
                                    const char *name);
void fake_object_drop(struct fake_object *object); // NULL is fine
// Enters an operation: its deadline is noted, and the failure that a test asked for happens.
int fake_enter(struct fake_class *fake, const struct call_context *ctx, struct err *err);
int fake_full(struct err *err);
// What get answers for an id that is not there: -ENOENT, or -EINVAL for garbage.
int fake_missing(const char *prefix, const char *id, struct err *err);

extern const struct snapshot_ops fake_snapshot_ops;
extern const struct node_ops fake_node_ops;
