// SPDX-License-Identifier: Apache-2.0
// The engine that owns its data: one SQLite database and a folder of files for larger objects.
//
// Why:     one writer thread commits one transaction for all waiting writes and syncs once for all of them; readers run
//          beside it on connections of their own (docs/decisions/0009).
// Owns:    its folder, alone: a second process is refused (-EBUSY).
// Threads: open, close, restore: one. The rest: any.
// Fails:   -EIO damaged (the message names the file and the remedy); -EPROTO the folder is of a newer version;
//          -EBUSY in use by another process. After an I/O error every write is refused with -EIO until opened again.
// Order:   no call is started after sqlite_engine_close began.
#pragma once

#include "lib/base/clock.h"
#include "sidecar/engine/engine.h"

struct sqlite_engine_options {
    const char *folder;        // made when it is not there
    const struct clock *clock; // NULL: clock_system
    uint32_t readers;          // connections for reading; 0: 8
    bool skip_check;           // do not read the whole database at the start
};

int sqlite_engine_open(const struct sqlite_engine_options *options, struct engine *ret, struct err *err) must_check;
// What waits ends with -ESHUTDOWN; what was started is carried out first. NULL self: nothing.
void sqlite_engine_close(struct engine *engine);

// A copy of everything as of now, into a folder that must not exist yet, while the engine runs. Files of objects are linked
// where that is possible. A failure leaves no folder behind.
int sqlite_engine_backup(const struct engine *engine, const char *target, struct err *err) must_check;
// Makes a folder for sqlite_engine_open from a backup; `folder` must be empty or not exist (-ENOTEMPTY).
int sqlite_engine_restore(const char *backup, const char *folder, struct err *err) must_check;

// Tests: the clock was moved; look at everything that has a time.
void sqlite_engine_poke(const struct engine *engine);
