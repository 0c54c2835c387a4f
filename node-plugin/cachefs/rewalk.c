// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/rewalk.h"

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

#define BACK_WITHIN_NS (10 * NS_PER_S) // the lookup in between may wait for the server
#define UNKNOWN_WITHIN_NS (2 * NS_PER_S)
#define REWALK_UNKNOWN (-1)

// The slot that remembers the opener, else one that is free or whose opener never came back; NULL when there is none.
static struct rewalk_slot *slot_of(struct rewalk *r, pid_t pid, uint64_t id, int64_t now_ns) {
    struct rewalk_slot *spare = NULL;
    for (size_t i = 0; i < REWALK_SLOTS; i++) {
        struct rewalk_slot *slot = &r->slots[i];
        if (slot->pid != 0 && now_ns >= slot->until_ns)
            slot->pid = 0;
        if (slot->pid == pid && (pid != REWALK_UNKNOWN || slot->id == id))
            return slot;
        if (slot->pid == 0 && !spare)
            spare = slot;
    }
    return spare;
}

bool rewalk_send(struct rewalk *r, pid_t pid, uint64_t id, bool wanted, int64_t now_ns) {
    if (pid <= 0)
        pid = REWALK_UNKNOWN;
    LOCK_SCOPE(&r->lock);
    struct rewalk_slot *slot = slot_of(r, pid, id, now_ns);
    if (!slot)
        return false;
    bool back = slot->pid == pid; // maybe with another file, which its lookup found
    if (back && pid == REWALK_UNKNOWN)
        return false; // this one, or another: the slot ends with its time
    bool send = wanted && !back;
    int64_t within = pid == REWALK_UNKNOWN ? UNKNOWN_WITHIN_NS : BACK_WITHIN_NS;
    *slot = send ? (struct rewalk_slot){.pid = pid, .id = id, .until_ns = now_ns + within} : (struct rewalk_slot){0};
    return send;
}
