// SPDX-License-Identifier: Apache-2.0
// Asking and telling a mounted cache (lib/cache/control.h) from the command line.
//
// Why:   a path on a cached volume is enough, on the node and in a pod alike; on the node, where the mounts are seen, a volume's
//        id will do as well.
// Fails: -EOPNOTSUPP when the path is not on a cached volume, and the like; each message names the path and what to do.
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"

// The path that the command's argument and --path name. Allocated.
int cache_find(const struct cli *cli, char **ret, struct err *err) must_check;
// "warm", "pin", "evict" or "status" of a path. -ENODATA: nothing was started there; the caller says so.
int cache_ask(const char *path, const char *what, struct json **ret, struct err *err) must_check;
// As root or owner of the path. Waits for pin and evict.
int cache_tell(const char *path, const char *what, const char *value, struct err *err) must_check;
// The status of each cached volume that is mounted here, once; stops when `fn` returns non-zero, and returns that.
int cache_each_mount(int (*fn)(const char *path, const struct json *status, void *arg), void *arg);

const char *cache_bytes(const struct json *object, const char *key, char buf[static 24]); // "1.5Gi"
// "412 of 500 files, 3.1Gi of 4Gi"
void cache_describe_work(const struct json *work, char *buf, size_t size);
// Tells, waits, and prints what was done: `done` is a printf format of files and bytes, `skipped` one of files.
struct cache_words {
    const char *what, *value, *done, *skipped;
};
int cache_do(struct cli *cli, const struct cache_words *words, struct err *err) must_check;
