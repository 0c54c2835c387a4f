// SPDX-License-Identifier: Apache-2.0
// The kinds whose contents are in the store.
#pragma once

#include "controller/operator/reconciler.h"

extern const struct reconciler keyvalue_reconciler; // keyvalue.c: a namespace of keys
extern const struct reconciler queue_reconciler;    // queue.c
extern const struct reconciler bucket_reconciler;   // bucket.c: objects below one prefix
