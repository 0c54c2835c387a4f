// SPDX-License-Identifier: Apache-2.0
// Checks of what a request says, before anything is looked up. All give -EINVAL with the field's name, or what is
// noted.
#pragma once

#include "csi/volume.h"
#include "proto/csi.pb-c.h"

// 1..128 characters of UTF-8 without control characters (CSI specification, CreateVolumeRequest.name).
int check_name(const char *name, struct err *err) must_check;
// An absolute path below PATH_MAX bytes.
int check_path(const char *field, const char *path, struct err *err) must_check;
int check_max_entries(int32_t max_entries, struct err *err) must_check;

struct byte_range {
    int64_t required, limit; // 0: not given
};
// NULL: nothing given.
int check_range(const Csi__V1__CapacityRange *range, struct byte_range *ret, struct err *err) must_check;

// Only keys that the class takes.
int check_mutable(const struct volume_class *class, const struct string_map *parameters, struct err *err) must_check;
