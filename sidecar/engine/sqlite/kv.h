// SPDX-License-Identifier: Apache-2.0
// Keys and values: the reads, for the table in kv_write.c.
#pragma once

#include "sidecar/engine/sqlite/store.h"

void kv_describe(void *self, struct kv_namespaces *call);
void kv_get(void *self, struct kv_get *call);
void kv_list(void *self, struct kv_list *call);
void kv_watch(void *self, struct kv_watch *call);
int kv_version_of(struct db *db, int64_t ns, int64_t *ret, struct err *err) must_check; // as the database has it now
