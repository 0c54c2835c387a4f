// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/rewalk.h"

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

#define BACK_WITHIN_NS (10 * NS_PER_S) // the lookup in between may wait for the server

bool rewalk_send(struct rewalk *r, pid_t pid, uint64_t id, bool wanted, int64_t now_ns) {
    struct rewalk_slot *slot = &r->slots[(uint32_t)pid % REWALK_SLOTS];
    if (pid <= 0)
        return false;
    LOCK_SCOPE(&r->lock);
    bool taken = slot->pid != 0 && now_ns < slot->until_ns;
    if (taken && slot->pid == pid && slot->id == id)
        slot->pid = 0; // here it is again
    else if (!taken && wanted)
        *slot = (struct rewalk_slot){.pid = pid, .id = id, .until_ns = now_ns + BACK_WITHIN_NS};
    return !taken && wanted;
}
