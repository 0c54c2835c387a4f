// SPDX-License-Identifier: Apache-2.0
// Growing a volume: its data and its record. What shows it follows at the node: loop device and file system (node.c,
// stage.c).
#include <errno.h>
#include <inttypes.h>

#include "lib/base/log.h"
#include "node-plugin/local/local.h"

static int choose_bytes(const struct local_record *record, int64_t required_bytes, int64_t limit_bytes, int64_t *ret,
                        struct err *err) {
    *ret = record->bytes;
    if (required_bytes <= record->bytes)
        return limit_bytes > 0 && record->bytes > limit_bytes
                   ? err_set(err, -ERANGE, "volume '%.60s' has %" PRId64 " bytes already; it cannot shrink", record->id,
                             record->bytes)
                   : 0;
    if (required_bytes > INT64_MAX - LOCAL_BYTES_UNIT)
        return err_set(err, -ERANGE, "%" PRId64 " bytes are more than any disk has", required_bytes);
    *ret = (required_bytes + LOCAL_BYTES_UNIT - 1) / LOCAL_BYTES_UNIT * LOCAL_BYTES_UNIT;
    if (limit_bytes > 0 && *ret > limit_bytes)
        return err_set(err, -ERANGE, "the volume would have %" PRId64 " bytes, above the limit of %" PRId64, *ret,
                       limit_bytes);
    return 0;
}

int local_grow(struct local *local, const struct local_pool *pool, struct local_record *record, int64_t required_bytes,
               int64_t limit_bytes, struct err *err) {
    int64_t bytes = 0;
    int r = choose_bytes(record, required_bytes, limit_bytes, &bytes, err);
    if (r < 0 || bytes == record->bytes)
        return r;
    int64_t more = bytes - record->bytes;
    r = local_reserve(local, pool, more, err);
    if (r < 0)
        return r;
    struct local_record grown = *record;
    grown.bytes = bytes;
    // The data first: a call that was cut short between the two is repeated, and finds the data large enough.
    r = pool->allocation->grow(pool, record->id, bytes, record->full, err);
    if (r == 0)
        r = local_save(local, &grown, err);
    local_release(local, pool, more);
    if (r < 0)
        return r;
    *record = grown;
    log_info("local volume grown", LOG_S("volume", record->id), LOG_I("bytes", bytes));
    return 0;
}

int local_expand(void *self, const struct call_context *ctx, const char *id, int64_t required_bytes,
                 int64_t limit_bytes, int64_t *ret_bytes, struct err *err) {
    struct local *local = self;
    struct local_record record;
    struct local_pool *pool = NULL;
    (void)ctx;
    int r = local_get(local, id, LOCAL_VOLUME, &record, err);
    if (r == 0)
        r = local_pool_for(local, id, &pool, err);
    if (r == 0)
        r = local_grow(local, pool, &record, required_bytes, limit_bytes, err);
    *ret_bytes = r == 0 ? record.bytes : 0;
    return r;
}
