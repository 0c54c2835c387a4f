// SPDX-License-Identifier: Apache-2.0
// Whole block devices: found by a pattern, known by what is printed on them, looked at and erased.
//
// Why:     names as /dev/nvme1n1 change from boot to boot; what the device itself tells (sysfs) does not.
// Threads: any; one call a device at a time for what writes.
// Fails:   -errno with a message that names the device.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define DISK_PATH_SIZE 256
#define DISK_IDENTITY_SIZE 256

struct disk {
    char path[DISK_PATH_SIZE];         // "/dev/nvme1n1", symbolic links followed
    char identity[DISK_IDENTITY_SIZE]; // "wwid:eui.0025388b710116a2": its name for ever
    int64_t bytes;
};

// Whole devices that match a pattern of glob(7), each once, sorted by path; to be freed. Partitions, what is no block
// device and what tells no identity is left out.
int disk_list(const char *pattern, struct disk **ret, size_t *ret_count, struct err *err) must_check;
// Nobody uses it, it can be written, shows no file system, partition table or other signature, and begins and ends with
// zeros? -EBUSY, -EROFS or -ENOTEMPTY with what is there.
int disk_check_blank(const struct disk *disk, struct err *err) must_check;
// Zeros from *at to the end; *at is how far it came. -ETIMEDOUT at the deadline (absolute CLOCK_MONOTONIC): call again.
int disk_erase(const struct disk *disk, int64_t *at, int64_t deadline_ns, struct err *err) must_check;
// All of `from` to the beginning of `to`, which holds zeros only; blocks of zeros are left out. -ETIMEDOUT, -ECANCELED.
int disk_copy(const struct disk *from, const struct disk *to, int64_t deadline_ns, const atomic_bool *cancel,
              struct err *err) must_check;
