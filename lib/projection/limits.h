// SPDX-License-Identifier: Apache-2.0
// What a projection may hold, and the room that this takes: who shows keys as files and who gives it a volume must agree.
#pragma once

#include <stdint.h>

#define PROJECTION_BYTES_DEFAULT "1Mi" // of keys and values, as a ConfigMap
#define PROJECTION_BYTES_MIN (INT64_C(4) << 10)
#define PROJECTION_BYTES_MAX (INT64_C(256) << 20)
#define PROJECTION_PAGE 4096     // a file takes whole ones
#define PROJECTION_KEY_COST 2048 // memory of a key beside its pages: inodes and entries in the kernel, ours

static inline int64_t projection_keys_max(int64_t bytes) {
    return 2048 + bytes / 8192;
}
// On its file system, a version takes at most this.
static inline int64_t projection_version_bytes(int64_t bytes) {
    return bytes + projection_keys_max(bytes) * PROJECTION_PAGE;
}
// What counts, what is being written, and what was replaced lately.
static inline int64_t projection_volume_bytes(int64_t bytes) {
    return 3 * projection_version_bytes(bytes);
}
// Of a process that writes into memory: the volume, changes under way, and what the kernel and we keep for each key.
static inline int64_t projection_memory_bytes(int64_t bytes) {
    return projection_volume_bytes(bytes) + 3 * bytes + projection_keys_max(bytes) * PROJECTION_KEY_COST;
}
