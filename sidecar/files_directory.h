// SPDX-License-Identifier: Apache-2.0
// A directory as a file system: how its paths are walked.
#pragma once

#include "sidecar/files.h"

struct directory {
    int fd; // of the root
};

// Opens "" or "a/b" below the root and never outside it (openat2(2), RESOLVE_BENEATH). -EACCES: a link leads out.
int directory_open_at(const struct directory *dir, const char *path, int flags, unsigned mode, int *ret,
                      struct err *err) must_check;
// The directory that holds the last component, and that component inside `path`. -EINVAL for the root.
int directory_open_parent(const struct directory *dir, const char *path, int *ret, const char **ret_name,
                          struct err *err) must_check;
// Everything below, then itself. Links are removed, not followed.
int directory_remove_tree(int parent, const char *name, struct err *err) must_check;
// Bytes that the files below occupy. -ETIMEDOUT.
int directory_usage(int root, int64_t deadline_ns, int64_t *ret_bytes) must_check;
int directory_error(int code, const char *path, struct err *err); // names the path
int directory_sync(int parent, const char *path, struct err *err) must_check;
extern const char directory_hidden[]; // what names of uploads under way begin with

int directory_upload(void *self, const char *path, struct file_upload **ret, struct err *err);
int directory_upload_write(struct file_upload *upload, const void *data, size_t len, struct err *err);
int directory_upload_commit(struct file_upload *upload, struct err *err);
void directory_upload_cancel(struct file_upload *upload);
