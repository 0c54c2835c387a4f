// SPDX-License-Identifier: Apache-2.0
// What the files snapshot_*.c share.
#pragma once

#include "controller/record.h"
#include "controller/snapshot.h"
#include "controller/store.h"

struct snapshots {
    struct snapshots_options options;
};

struct snapshot_place { // where an id leads; the share is NULL when there can be nothing of ours
    struct shared_id id;
    struct share *share;
    int64_t deadline_ns;
};
void snapshot_place_done(struct snapshot_place *place);
// -ENOENT without a message: garbage, an id of another kind, or a share without a layout.
int snapshot_locate(struct snapshots *snapshots, const struct call_context *ctx, enum shared_kind kind, const char *id,
                    struct snapshot_place *ret, struct err *err) must_check;
int snapshot_answer(int r, struct err *err); // the code that csi/ shall see
int snapshot_fill(struct share *share, const struct record *record, struct snapshot_info *ret,
                  struct err *err) must_check;
int snapshot_check_parameters(const struct string_map *parameters, const struct share *share,
                              struct err *err) must_check;

// snapshot_create.c: in two steps, so that a group's copies run side by side.
// The record is there, and its copy runs unless it is ready.
int snapshot_begin(struct snapshots *snapshots, struct snapshot_place *source, const char *name, const char *group_id,
                   struct record **ret, struct err *err) must_check;
// Waits a while; *ret tells whether it is ready.
int snapshot_settle(struct snapshots *snapshots, struct share *share, const struct record *record, int64_t until_ns,
                    int64_t deadline_ns, struct snapshot_info *ret, struct err *err) must_check;
int64_t snapshot_until(const struct snapshots *snapshots, int64_t deadline_ns);

// snapshot_ops
int snapshot_create(void *self, const struct call_context *ctx, const char *name, const char *source_volume_id,
                    const struct string_map *parameters, struct snapshot_info *ret, struct err *err);
int snapshot_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err);
int snapshot_get(void *self, const struct call_context *ctx, const char *id, struct snapshot_info *ret,
                 struct err *err);
int snapshot_list(void *self, const struct call_context *ctx, const char *after, const char *source_volume_id,
                  snapshot_emit_fn emit, void *arg, struct err *err);
int group_create(void *self, const struct call_context *ctx, const char *name, const char *const *volume_ids,
                 size_t count, const struct string_map *parameters, char **ret_id, int64_t *ret_created_ns,
                 snapshot_emit_fn emit, void *arg, struct err *err);
int group_get(void *self, const struct call_context *ctx, const char *id, int64_t *ret_created_ns,
              snapshot_emit_fn emit, void *arg, struct err *err);
int group_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err);
