// SPDX-License-Identifier: Apache-2.0
// File systems on block devices: found out, made, checked, mounted, grown, held still. The work is the system's own tools'.
//
// Why:     mkfs, fsck and the tools that grow know their file systems; each runs in a child that ends at the deadline.
// Threads: any; one call a device at a time.
// Fails:   -errno with a message that names device and tool; -ETIMEDOUT at the deadline (absolute CLOCK_MONOTONIC);
//          -EINVAL for a type that is not served; -ENOEXEC when the tool is missing.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define FILESYSTEM_TYPE_SIZE 16

bool filesystem_is_known(const char *type); // "ext4" or "xfs"
// What is on the device: a file system's type, "" when it is blank, or the kind of what else is there ("dos", "LVM2_member").
int filesystem_probe(const char *device, char ret[static FILESYSTEM_TYPE_SIZE], struct err *err) must_check;
int filesystem_make(const char *device, const char *type, int64_t deadline_ns, struct err *err) must_check;
// Repairs what can be repaired without a question. -EUCLEAN: more is broken than that.
int filesystem_check(const char *device, const char *type, int64_t deadline_ns, struct err *err) must_check;
// `options`: as mount(8)'s -o, may be "".
int filesystem_mount(const char *device, const char *target, const char *type, const char *options, int64_t deadline_ns,
                     struct err *err) must_check;
// To the size of its device; `target` is where it is mounted.
int filesystem_grow(const char *device, const char *target, const char *type, int64_t deadline_ns,
                    struct err *err) must_check;
// Writes out what is dirty and holds every further write until it is thawed (FIFREEZE).
int filesystem_freeze(const char *target, struct err *err) must_check;
int filesystem_thaw(const char *target, struct err *err) must_check; // not frozen: 0
