// SPDX-License-Identifier: Apache-2.0
// The records of one share: atomic, exclusive on creation, cached, and seen alike by every controller.
//
//     create   CREATE tmp/<random>, WRITE stable, LINK to <key>.json (-EEXIST: somebody was first), REMOVE tmp
//     replace  CREATE tmp/<random>, WRITE stable, RENAME over <key>.json       only under the record's lock (lock.h)
//     remove   REMOVE <key>.json                                              only under the record's lock
//
// Why:     a reader sees a whole record or none, after any crash and on any server; no rename ever brings back what
//          another controller removed, because both hold the lock.
// Owns:    the cache keeps each record's file as its JSON text (about 400 bytes a volume), checked against handle,
//          fileid, mtime and size at every use.
// Threads: any.
// Fails:   -ENOENT; -EBADMSG for a damaged file and -EPROTO for a newer one, with the file's name and the remedy.
#pragma once

#include "controller/record.h"
#include "controller/share.h"

struct store *store_new(void) must_check; // NULL: out of memory
struct store *store_free(struct store *store);
DEFINE_CLEANUP(store)

// Always as on the server now: one LOOKUP, and one READ when the file is not the cached one.
int store_get(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns, struct record **ret,
              struct err *err) must_check;
int store_create(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) must_check;
int store_replace(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) must_check;
// A record that is not there is removed already: 0.
int store_remove(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns,
                 struct err *err) must_check;

// Brings the cache up to date with READDIRPLUS (changed files are read in parallel), then hands out every record in the
// order of the keys, those behind `after` (NULL: all), until `emit` returns non-zero, which is returned.
// A file that cannot be used is handed out with record NULL and the reason in `damage`.
typedef int (*store_emit_fn)(void *arg, const char *key, const struct record *record, const struct err *damage);
int store_list(struct share *share, enum shared_kind kind, const char *after, int64_t deadline_ns, store_emit_fn emit,
               void *arg, struct err *err) must_check;

// The two halves of store_list, for those who merge several shares: the keys after a refresh, sorted, and one record as
// it was then (or as it is now, when it was replaced since; -ENOENT when it was removed).
struct store_key {
    char text[HASH_ID_LEN + 1];
};
int store_refresh(struct share *share, enum shared_kind kind, int64_t deadline_ns, struct store_key **ret,
                  size_t *ret_count, struct err *err) must_check;
int store_peek(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns, struct record **ret,
               struct err *err) must_check;

// Marks a directory (a path below the share) as one that several volumes may use, for ever; asked by store_is_marked.
int store_mark_shared(struct share *share, const char *sub_dir, int64_t deadline_ns, struct err *err) must_check;
// 1 marked, 0 not, or -errno.
int store_is_marked(struct share *share, const char *sub_dir, int64_t deadline_ns, struct err *err) must_check;

// Read, change, write back, under the record's lock. `change` gets the record as it is now and returns 0 to have it
// written, 1 when nothing needs to be written, or -errno with `err` set. A call that holds the lock is waited for
// (lock_wait); -EAGAIN: it does not end, or died.
typedef int (*store_change_fn)(struct record *record, void *arg, struct err *err);
int store_update(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns,
                 store_change_fn change, void *arg, struct err *err) must_check;

size_t store_count(struct share *share, enum shared_kind kind); // cached records, for metrics
enum share_dir store_dir(enum shared_kind kind);
