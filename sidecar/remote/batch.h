// SPDX-License-Identifier: Apache-2.0
// Changes of keys on their way from the store's stream to the files: of each key the last one.
//
// Owns:    the values.
// Threads: one at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/strmap.h"

struct change {
    char *value; // NULL: the key is removed
    size_t len;
};

struct batch { // zeroed: no change
    struct strmap changes;
    int64_t bytes;  // of keys and values
    bool whole;     // what is not in it is not there
    char id[48];    // from which the stream goes on behind it
    int64_t due_ns; // when it was settled
};

// Takes `value`, also on failure.
int batch_put(struct batch *batch, const char *key, char *value, size_t len) must_check;
// Moves what is in `from` behind what is in `into`.
int batch_move(struct batch *into, struct batch *from) must_check;
void batch_done(struct batch *batch);
