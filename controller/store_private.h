// SPDX-License-Identifier: Apache-2.0
// What store.c and store_list.c share.
#pragma once

#include <pthread.h>

#include "controller/store.h"
#include "controller/store_cache.h"

#define STORE_KINDS 3
#define STORE_NAME_SIZE (HASH_ID_LEN + sizeof ".json")

struct store {
    pthread_mutex_t lock; // never held around an NFS call
    struct cache caches[STORE_KINDS];
    struct strmap marks; // known to be there: they are never removed
};

struct cache *store_cache(struct share *share, enum shared_kind kind);
void store_file_name(const char *key, char ret[static STORE_NAME_SIZE]);
void store_where(struct share *share, enum shared_kind kind, const char *key, char *buf, size_t size);
// The whole file behind a handle, allocated; a file that is too large gives no text and length 0.
int store_read_file(struct share *share, const struct nfs_fh *fh, uint64_t size, int64_t deadline_ns, char **ret,
                    size_t *ret_len, struct err *err) must_check;
