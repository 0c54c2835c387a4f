// SPDX-License-Identifier: Apache-2.0
// The status of an object: written only when it is another than before.
//
// Owns:    nothing.
// Fails:   as lib/kube/kube.h; an object that is gone has no status, which is no failure.
#pragma once

#include "controller/operator/reconciler.h"

// Would a merge patch with these members change what the object has? A null is a member that is to go.
bool status_differs(const struct json *object, const struct json *status);
// Writes it, to the object that was looked at: one of the same name may have taken its place. `path` is the object's.
int status_write(const struct operator_context *ctx, const struct json *object, const char *path, struct json *status,
                 struct err *err) must_check;
