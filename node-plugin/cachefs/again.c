// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/again.h"

#include <errno.h>

#define COME_WITHIN_NS (30 * NS_PER_S) // the kernel puts what it sends again before everything else

static bool is_remembered(enum nfs_op operation) { // those have records of their own (writeback.h)
    return nfs_op_changes(operation) && operation != NFS_WRITE && operation != NFS_COMMIT;
}

static struct call_record *record_at(struct fs *fs, uint32_t index) {
    return slots_at(&fs->calls, index);
}

void again_find(struct op *op) {
    struct slots *calls = &op->fs->calls;
    for (uint32_t i = slots_next(calls, 0); i; i = slots_next(calls, i)) {
        struct call_record *record = record_at(op->fs, i);
        if (record->unique != op->unique)
            continue;
        op->call_record = i;
        op->before = record->submitted;
        op->before_op = record->latest;
        op->before_sent = record->sent;
        record->life = op->fs->life;
        return;
    }
}

bool again_was(const struct op *op, enum nfs_op operation) {
    return (op->before >> operation & 1) != 0;
}

void again_submitting(struct op *op) {
    if (!op->unique || !is_remembered(op->call.op))
        return;
    struct slots *calls = &op->fs->calls;
    bool fresh = op->call_record == 0;
    if (fresh)
        op->call_record = slots_take(calls);
    if (!op->call_record)
        return; // thousands are under way: this one is not protected
    struct call_record *record = record_at(op->fs, op->call_record);
    record->unique = op->unique;
    record->life = op->fs->life;
    record->sent = 0;
    record->latest = op->call.op;
    record->submitted |= 1u << op->call.op;
    op->call.sent = &record->sent;
    if (op->before_op == (unsigned)op->call.op)
        op->call.again = op->before_sent;
    op->before_sent = 0;
    if (fresh)
        slots_publish(calls, op->call_record);
}

void again_answered(struct op *op) {
    if (!op->call_record || op->result >= 0 || op->result == -EINTR || op->result == -ECANCELED ||
        again_was(op, op->call.op) || !is_remembered(op->call.op))
        return;
    record_at(op->fs, op->call_record)->submitted &= ~(1u << op->call.op); // it was not done
}

void again_done(struct op *op) {
    if (op->call_record)
        slots_give(&op->fs->calls, op->call_record);
    op->call_record = 0;
}

void again_forget_old(struct fs *fs) {
    if (!fs->resumed_ns || clock_monotonic(fs->clock) - fs->resumed_ns < COME_WITHIN_NS)
        return;
    fs->resumed_ns = 0;
    for (uint32_t i = slots_next(&fs->calls, 0); i; i = slots_next(&fs->calls, i))
        if (record_at(fs, i)->life != fs->life)
            slots_give(&fs->calls, i);
}
