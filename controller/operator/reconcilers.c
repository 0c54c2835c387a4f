// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/reconciler.h"

#include <stddef.h>

#include "controller/operator/filesystem.h"
#include "controller/operator/tenants.h"

const struct reconciler *const reconcilers[] = {&filesystem_reconciler, &keyvalue_reconciler, &queue_reconciler,
                                                &bucket_reconciler, NULL};
