// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/readahead.h"

#define SLACK (8u << 20) // as far as the kernel's own readahead reorders

static bool goes_on(const struct readahead *r, uint64_t offset, uint64_t len) {
    if (r->steps == 0)
        return offset == 0;
    uint64_t slack = r->window ? SLACK : 0;
    return offset <= r->reached + slack && offset + len + slack >= r->reached;
}

bool readahead_is_forward(const struct readahead *r) {
    return r->steps >= 2;
}

bool readahead_next(struct readahead *r, uint64_t offset, uint64_t len, uint64_t size, uint64_t *ret_from,
                    uint64_t *ret_to) {
    uint64_t end = offset + len;
    if (!goes_on(r, offset, len)) {
        *r = (struct readahead){.reached = end, .fetched = end, .steps = 1};
        return false;
    }
    r->steps++;
    if (r->reached < end)
        r->reached = end;
    if (r->fetched < r->reached)
        r->fetched = r->reached;
    if (!readahead_is_forward(r) || r->fetched >= size || r->fetched - r->reached > r->window / 2)
        return false;
    r->window = r->window == 0 ? READAHEAD_FIRST : r->window < READAHEAD_MOST ? r->window * 2 : READAHEAD_MOST;
    *ret_from = r->fetched;
    *ret_to = r->reached + r->window < size ? r->reached + r->window : size;
    r->fetched = *ret_to;
    return *ret_to > *ret_from;
}
