// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/allocation.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/local/device.h"
#include "node-plugin/local/image.h"
#include "node-plugin/local/pool.h"
#include "node-plugin/local/quota.h"

static const struct allocation *const rows[] = {&allocation_image, &allocation_quota, &allocation_device};

const struct allocation *allocation_named(const char *name, size_t len) {
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strlen(rows[i]->name) == len && memcmp(rows[i]->name, name, len) == 0)
            return rows[i];
    return NULL;
}

const char *allocation_names(void) {
    return "image, quota, device or device+wipe";
}

int allocation_complain(const struct local_pool *pool, int code, const char *verb, struct err *err) {
    if (code == -ENOSPC || code == -EDQUOT)
        return err_set(err, -ENOSPC, "pool '%s' is full: %s is not possible; delete volumes or give it more space",
                       pool->name, verb);
    return err_set(err, code, "pool '%s': %s: %s", pool->name, verb, err_name(code));
}
