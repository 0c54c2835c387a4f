// SPDX-License-Identifier: Apache-2.0
// One lock per name, taken without waiting: a second call on a busy volume is refused, not queued
// (CSI specification, "Concurrency": the plugin SHOULD answer ABORTED).
#pragma once

#include <pthread.h>

#include "lib/base/strmap.h"

struct keylock {
    pthread_mutex_t lock;
    struct strmap held;
};
#define KEYLOCK_INIT                                                                                                   \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

int keylock_try(struct keylock *locks, const char *key) must_check; // 0, -EAGAIN when held, -ENOMEM
void keylock_release(struct keylock *locks, const char *key);
void keylock_done(struct keylock *locks);
