// SPDX-License-Identifier: Apache-2.0
// The status of a FileSystem: conditions and numbers, written only when they are others than before.
//
// Owns:    nothing; a report borrows its texts.
#pragma once

#include "controller/operator/filesystem_class.h"
#include "controller/operator/reconciler.h"

struct filesystem_volumes { // PersistentVolumes of its class
    size_t count;
    int64_t bytes;             // of them together
    struct str names;          // of the first few, with their claims
    uint64_t opens, open_hits; // of files on all nodes, and those that were in the cache
};
void filesystem_volumes_done(struct filesystem_volumes *volumes);
int filesystem_volumes_count(const struct operator_context *ctx, const struct json *object, const char *provisioner,
                             struct filesystem_volumes *ret, struct err *err) must_check;

struct filesystem_report {
    const char *provisioner;      // NULL: there is no class
    bool ready;                   // of the condition Ready, with
    const char *reason, *message; // these
    const char *reachable;        // of the condition Reachable: "True", "False", "Unknown", with
    const char *reach_reason, *reach_message;
    int64_t total_bytes, available_bytes; // -1: not known
    const struct filesystem_volumes *volumes;
};
// Fills in what is known of how the file system can be reached. *ret_again_ms: when to ask again.
// `buf` is where messages are put.
int filesystem_reach(const struct operator_context *ctx, const struct json *object, const struct filesystem_plan *plan,
                     struct filesystem_report *report, char buf[static 256], int64_t *ret_again_ms,
                     struct err *err) must_check;
int filesystem_status_write(const struct operator_context *ctx, const struct json *object,
                            const struct filesystem_report *report, struct err *err) must_check;
