// SPDX-License-Identifier: Apache-2.0
// One volume that is staged on this node: what was asked, what was mounted, where it is published.
//
// Why:     a node process that was restarted finds its mounts again from this and the mount table.
// Owns:    all texts are allocated copies; staged_free releases them.
// Threads: changed by the volume's own RPC under the node's lock (node.h); `daemon_dead` from any thread.
// Fails:   decoding: -EBADMSG with what is wrong; -EPROTONOSUPPORT for a record of a newer version.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "csi/shared_volume.h"
#include "csi/volume.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/mount/process.h"

#define RECORD_VERSION 1

struct staged_target {
    char *path;
    bool read_only;
    enum access_mode access;
};

struct staged {
    char *id, *staging_path;
    char *source;         // "server:/directory", as the mount table shows it
    enum mount_mode mode; // kernel or fuse
    struct string_pair *context;
    size_t context_count;
    char **flags; // mount flags of the capability
    size_t flag_count;
    bool is_inline;           // of a pod, and staged by its publish: unstaged with its last unpublish
    struct process_id daemon; // of a FUSE mount; pid 0: none
    struct staged_target *targets;
    size_t target_count;
    // not saved
    atomic_bool daemon_dead;
    bool leaving; // is being unstaged: the end of its daemon is no failure
    bool has_usage;
    struct node_usage usage; // the last that the file system told
};

struct staged *staged_new(const char *id, const char *staging_path) must_check; // NULL: out of memory
struct staged *staged_free(struct staged *staged);
DEFINE_CLEANUP(staged)
int staged_set_context(struct staged *staged, const struct string_map *context) must_check;
int staged_set_flags(struct staged *staged, const char *const *flags, size_t count) must_check;
bool staged_flags_equal(const struct staged *staged, const char *const *flags, size_t count);

struct staged_target *staged_find_target(const struct staged *staged, const char *path); // NULL: none
int staged_add_target(struct staged *staged, const char *path, bool read_only, enum access_mode access) must_check;
void staged_remove_target(struct staged *staged, const char *path);

struct json *staged_encode(const struct staged *staged) must_check; // NULL: out of memory
int staged_decode(const struct json *json, struct staged **ret, struct err *err) must_check;
