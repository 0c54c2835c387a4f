// SPDX-License-Identifier: Apache-2.0
#include "controller/ask.h"

#include "controller/share.h"

static int64_t limited(uint64_t bytes) {
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

int ask_location(void *shares, const char *location, int64_t deadline_ns, int64_t *ret_total, int64_t *ret_available,
                 struct err *err) {
    struct share_location parsed cleanup(share_location_done) = {0};
    struct share *share cleanup(share_freep) = NULL;
    int r = share_location_parse(location, &parsed, err);
    if (r == 0)
        r = shares_get(shares, &parsed, true, deadline_ns, &share, err);
    if (r < 0)
        return r;
    struct nfs_call stat = {.op = NFS_FSSTAT, .fh = share->root, .deadline_ns = deadline_ns};
    r = share_call(share, &stat, "ask for the free space", err);
    *ret_total = limited(stat.fsstat.total_bytes);
    *ret_available = limited(stat.fsstat.avail_bytes);
    return r;
}
