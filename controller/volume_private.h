// SPDX-License-Identifier: Apache-2.0
// What the files volume_*.c share.
#pragma once

#include "controller/record.h"
#include "controller/store.h"
#include "controller/volume.h"

struct volumes {
    struct volumes_options options;
};

struct found { // an existing volume
    struct shared_id id;
    struct share *share;
    struct record *record;
    int64_t deadline_ns;
};
void found_done(struct found *found);
// -ENOENT with a message when there is no such volume; garbage is no volume.
int volume_load(struct volumes *volumes, const struct call_context *ctx, const char *id, struct found *ret,
                struct err *err) must_check;
// Like volume_load, without reading the record: a garbage id or a share without a layout is -ENOENT.
int volume_locate(struct volumes *volumes, const struct call_context *ctx, const char *id, struct found *ret,
                  struct err *err) must_check;
// The code that csi/ shall see for what happened inside; every function of volume_ops ends with it.
int volume_answer(int r, const char *id, struct err *err);

int volume_fill_info(struct share *share, const struct record *record, struct volume_info *ret,
                     struct err *err) must_check;
int volume_check_capability(const struct volume_capability *capability, struct err *err) must_check;

// volume_ops
int volume_create(void *self, const struct call_context *ctx, const struct volume_create_request *request,
                  struct volume_info *ret, struct err *err);
int volume_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err);
int volume_get(void *self, const struct call_context *ctx, const char *id, struct volume_info *ret, struct err *err);
int volume_list(void *self, const struct call_context *ctx, const char *after, volume_emit_fn emit, void *arg,
                struct err *err);
int volume_capacity(void *self, const struct call_context *ctx, const struct string_map *parameters,
                    const char *topology, struct capacity_info *ret, struct err *err);
int volume_expand(void *self, const struct call_context *ctx, const char *id, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err);
int volume_modify(void *self, const struct call_context *ctx, const char *id, const struct string_map *parameters,
                  struct err *err);
int volume_publish(void *self, const struct call_context *ctx, const struct publish_request *request, struct err *err);
int volume_unpublish(void *self, const struct call_context *ctx, const char *id, const char *node_id, struct err *err);
int volume_supports(void *self, const struct volume_capability *capability, const struct string_map *parameters,
                    struct err *err);

// volume_plan.c: what a create request asks for, checked, as the record it would become.
struct plan {
    struct share_location location;
    struct record *record;
    int64_t limit_bytes; // 0: none
    int64_t required_bytes;
};
void plan_done(struct plan *plan);
int plan_make(struct volumes *volumes, const struct volume_create_request *request, struct plan *ret,
              struct err *err) must_check;
// Is the volume that exists what the plan asks for? -EEXIST tells what differs.
int plan_compare(const struct plan *plan, const struct record *have, struct err *err) must_check;
// A mutable parameter's new value into a record. -EINVAL for any other name.
int plan_apply_mutable(struct record *record, const struct string_map *parameters, struct err *err) must_check;

// volume_copy.c: volumes from a source. The record is there, in the state RECORD_COPYING.
int volume_copy_check(struct volumes *volumes, const struct volume_create_request *request, struct plan *plan,
                      int64_t deadline_ns, struct err *err) must_check;
// Sees to it that the copy runs; waits. 0: the volume is ready. -EAGAIN: "copying: 43 %".
int volume_copy_run(struct volumes *volumes, struct share *share, const struct record *record,
                    const struct call_context *ctx, struct err *err) must_check;
int volume_copy_start(struct volumes *volumes, struct share *share, const struct record *record, int64_t deadline_ns,
                      struct err *err) must_check;
// True while the record that `pin` names copies from this share's object.
bool volume_pin_counts(struct share *share, const char *pin, int64_t deadline_ns);
