// SPDX-License-Identifier: Apache-2.0
// File systems that are served at /storage: which workspace has which, and what can be done in one.
//
// Why:     the routes know paths and HTTP; a file system knows how its kind is reached.
// Owns:    file systems live as long as the registry.
// Threads: any. Operations may wait for a disk or a server: they run on workers, never on a connection's thread.
// Fails:   -ENOENT, -EEXIST, -ENOTDIR, -EISDIR, -ENOTEMPTY, -ENOSPC, -EDQUOT; -EACCES for a link that leads out.
#pragma once

#include "sidecar/engine/engine.h"

struct file_entry {
    char *name;
    bool is_directory;
    int64_t size, modified_ms;
};
struct file_list {
    struct file_entry *items;
    size_t count;
};
void file_list_done(struct file_list *list);

struct file_upload; // of the kind

// Paths are relative and normal: "" is the root, else "a/b/c" of components that str_is_path_component accepts.
struct file_ops {
    int (*stat)(void *self, const char *path, struct file_entry *ret, struct err *err); // ret->name stays NULL
    int (*list)(void *self, const char *path, struct file_list *ret, struct err *err);  // sorted by name
    int (*open)(void *self, const char *path, int *ret_fd, int64_t *ret_size, struct err *err);
    int (*make_directory)(void *self, const char *path, struct err *err);         // with its parents; there is fine
    int (*remove)(void *self, const char *path, bool recursive, struct err *err); // never the root
    int (*usage)(void *self, int64_t deadline_ns, int64_t *ret_bytes, struct err *err);
    int (*upload)(void *self, const char *path, struct file_upload **ret, struct err *err);
    int (*upload_write)(struct file_upload *upload, const void *data, size_t len, struct err *err);
    int (*upload_commit)(struct file_upload *upload, struct err *err); // replaces a file at once; frees
    void (*upload_cancel)(struct file_upload *upload);                 // frees
    void (*close)(void *self);
};
struct file_system {
    const struct file_ops *ops;
    void *self;
    char *workspace, *name;
};

#define FILE_PATH_MAX 4096 // bytes
// "//a//b/" → "a/b". -EINVAL for ".", "..", control characters, what is no UTF-8 or too long. *ret to be freed.
int file_path_normalise(const char *path, size_t len, char **ret, struct err *err) must_check;

struct file_systems; // the registry
// `folder`: where a workspace without a file system of its own gets one, named "default", when it first asks.
int file_systems_new(const char *folder, struct file_systems **ret, struct err *err) must_check;
struct file_systems *file_systems_free(struct file_systems *all);
DEFINE_CLEANUP(file_systems)
// "NAME=DIRECTORY" for `workspace`, or "WORKSPACE/NAME=DIRECTORY". `workspace` NULL: it must be named.
int file_systems_add(struct file_systems *all, const char *text, const char *workspace, struct err *err) must_check;
// -ENOENT names what is missing.
int file_systems_find(struct file_systems *all, const char *workspace, const char *name, struct file_system **ret,
                      struct err *err) must_check;
// Those of a workspace, in the order they were given; at most `max`.
size_t file_systems_of(struct file_systems *all, const char *workspace, struct file_system **ret, size_t max);

// A directory of this machine, perhaps a mount. Links inside are followed as long as they stay inside.
int file_directory_open(const char *path, struct file_system *ret, struct err *err) must_check;
