// SPDX-License-Identifier: Apache-2.0
// The kinds that the operator takes care of: one row each.
#include "controller/operator/filesystem.h"
#include "controller/operator/reconciler.h"

const struct reconciler *const reconcilers[] = {
    &filesystem_reconciler,
    NULL,
};
