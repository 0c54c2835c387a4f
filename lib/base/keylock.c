// SPDX-License-Identifier: Apache-2.0
#include "lib/base/keylock.h"

#include <errno.h>

int keylock_try(struct keylock *locks, const char *key) {
    LOCK_SCOPE(&locks->lock);
    if (strmap_get(&locks->held, key))
        return -EAGAIN;
    return strmap_put(&locks->held, key, locks);
}

void keylock_release(struct keylock *locks, const char *key) {
    LOCK_SCOPE(&locks->lock);
    (void)strmap_remove(&locks->held, key);
}

void keylock_done(struct keylock *locks) {
    strmap_done(&locks->held);
    (void)pthread_mutex_destroy(&locks->lock);
}
