// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/rewalk.h"

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

#define BACK_WITHIN_NS (10 * NS_PER_S) // the lookup in between may wait for the server

// The slot that remembers the thread, else one that is free or whose thread never came back; NULL when there is none.
static struct rewalk_slot *slot_of(struct rewalk *r, pid_t pid, int64_t now_ns) {
    struct rewalk_slot *spare = NULL;
    for (size_t i = 0; i < REWALK_SLOTS; i++) {
        struct rewalk_slot *slot = &r->slots[i];
        if (slot->pid != 0 && now_ns >= slot->until_ns)
            slot->pid = 0;
        if (slot->pid == pid)
            return slot;
        if (slot->pid == 0 && !spare)
            spare = slot;
    }
    return spare;
}

bool rewalk_send(struct rewalk *r, pid_t pid, uint64_t id, bool wanted, int64_t now_ns) {
    if (pid <= 0)
        return false;
    LOCK_SCOPE(&r->lock);
    struct rewalk_slot *slot = slot_of(r, pid, now_ns);
    if (!slot)
        return false;
    // A thread opens one file at a time: with another one its last open is over, or its lookup found a new file, of which it
    // was told all.
    bool back = slot->pid == pid && slot->id == id;
    bool send = wanted && !back;
    *slot = send ? (struct rewalk_slot){.pid = pid, .id = id, .until_ns = now_ns + BACK_WITHIN_NS}
                 : (struct rewalk_slot){0};
    return send;
}
