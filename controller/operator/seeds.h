// SPDX-License-Identifier: Apache-2.0
// What a KeyValue begins with: its data and binaryData, written to the store when they are new or were changed in the object.
//
// Why:     what pods write afterwards must stay, over restarts of the operator and changes of other keys. So the status has a digest
//          of each key with the value that was written; what has its digest there is not written again.
// Owns:    nothing beyond a call. Seeds are large: the cache does not keep them, they are read when the object's generation changes.
// Fails:   as a reconciler; what the store says is in the report.
#pragma once

#include "controller/operator/tenant.h"

// `all`: whatever was written before (the namespace is new). *ret_seeds: for status.seeds; NULL: the object is gone.
int seeds_write(const struct operator_context *ctx, const struct json *object, const char *path, bool all,
                struct json **ret_seeds, struct tenant_report *report, struct err *err) must_check;
