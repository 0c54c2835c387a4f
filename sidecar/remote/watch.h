// SPDX-License-Identifier: Apache-2.0
// What the store's stream of changes says (docs/kv.md, "Watching"), out of its bytes as they come.
//
// Owns:    a reader has the line that is not complete yet; watch_reader_done releases it.
// Threads: one at a time.
// Fails:   -EPIPE the store ended it, and why is in `error`; -EBADMSG, -EMSGSIZE what comes is no such stream; -ENOMEM.
#pragma once

#include "lib/base/json.h"

#define WATCH_HEARTBEAT_S 2 // how often the store is asked to say something

struct watch_ops {
    // How a key stands now. Non-zero ends the reading, and is what watch_read returns.
    int (*change)(void *arg, const struct json *event);
    // Nothing that was told is half a write; `id` continues from here. NULL: nobody asks.
    int (*settled)(void *arg, const char *id);
};

struct watch_reader { // zeroed at the begin
    struct str line;
    bool has_id, has_data, has_error; // of the event that is under way
    char id[48];
    char error[200];
};
int watch_read(struct watch_reader *reader, const char *data, size_t len, const struct watch_ops *ops,
               void *arg) must_check;
void watch_reader_done(struct watch_reader *reader);

// The member `name` or `name`_base64 of an event; -ENOENT: it has neither. The data has a NUL behind it and lives as long as both.
struct watch_bytes {
    const char *data;
    size_t len;
    char *owned;
};
int watch_bytes_get(const struct json *event, const char *name, struct watch_bytes *ret) must_check;
static inline void watch_bytes_done(struct watch_bytes *bytes) {
    free(bytes->owned);
}
