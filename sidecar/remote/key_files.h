// SPDX-License-Identifier: Apache-2.0
// The keys of a namespace as files of a directory: what is shown, and what is to be shown next.
//
// Why:     values stay in memory only until they are written; what did not change is linked from the version before (atomic_dir.h).
// Threads: one.
// Fails:   -E2BIG more than the limit, and what was shown stays; -ENOMEM; else as atomic_dir_write.
#pragma once

#include "lib/base/err.h"
#include "lib/base/json.h"
#include "sidecar/remote/batch.h"

struct key_files_options {
    const char *dir;
    int64_t bytes_max; // of keys and values; 0: none
    uint32_t mode;     // of the files; 0: 0644
};

struct key_files;
int key_files_open(const struct key_files_options *options, struct key_files **ret, struct err *err) must_check;
struct key_files *key_files_free(struct key_files *files); // what is shown stays

bool key_files_any(const struct key_files *files); // is a version there, of this process or one before?
// The changes belong to what is shown next; the batch is empty then.
int key_files_apply(struct key_files *files, struct batch *batch, struct err *err) must_check;
void key_files_forget(struct key_files *files); // what is to be shown comes whole with the next batch
// *ret_changed: a file is another one now.
int key_files_write(struct key_files *files, bool *ret_changed, struct err *err) must_check;
int64_t key_files_tidy(struct key_files *files); // as atomic_dir_tidy

struct key_files_counts {
    size_t keys, skipped; // skipped: without a name, see key_name.h
    int64_t bytes;
    char skipped_key[64]; // the begin of one of these, for people
};
const struct key_files_counts *key_files_counts(const struct key_files *files);
// The files that changed since this was asked last, an object whose members are their names; NULL: perhaps all of them.
struct json *key_files_take_changed(struct key_files *files);
