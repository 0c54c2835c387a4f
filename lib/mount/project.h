// SPDX-License-Identifier: Apache-2.0
// Project quota of XFS and ext4 (xfs_quota(8), quotactl(2)): directories with a hard limit on what they hold.
//
// Why:     the file system itself counts and refuses, at its full speed, and df in the directory shows the limit.
// Threads: any. Choosing a free project and giving it a limit is one step: callers take one lock a file system.
// Fails:   -errno with a message; -EOPNOTSUPP with the remedy where there is no project quota.
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define PROJECT_NONE 0U // what every file has that nobody gave a project

// Does the file system of `fd` keep project limits? *ret_type: "ext4" or "xfs".
int project_probe(int fd, const char **ret_type, struct err *err) must_check;
// A project that has neither limit nor files, `first` or one of the next; never PROJECT_NONE.
int project_choose(int fd, uint32_t first, uint32_t *ret, struct err *err) must_check;
// Hard limit in bytes, rounded up to 1 KiB; 0 takes it away.
int project_limit(int fd, uint32_t project, int64_t bytes, struct err *err) must_check;
int project_used(int fd, uint32_t project, int64_t *ret_bytes, struct err *err) must_check;
// Of the directory `fd`; what is made in it inherits it.
int project_set(int fd, uint32_t project, struct err *err) must_check;
int project_get(int fd, uint32_t *ret, struct err *err) must_check;
