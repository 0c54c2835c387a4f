// SPDX-License-Identifier: Apache-2.0
// The keeper of one mount: a small process that holds what the mount lives by, and has a daemon do the work.
//
// Why:     a FUSE mount is gone for good (ENOTCONN) once the last descriptor of its connection is closed. The keeper
//          holds that descriptor and the memory files of state.h, so a daemon that crashed is followed by another, and a
//          new version takes over without an unmount.
// Owns:    the descriptors, and the daemon: its child, which dies with it (PR_SET_PDEATHSIG).
// Threads: none.
//
//     start ──► daemon serves ──┬─ exit 0 ─────────────────────────────► exit 0
//                   ▲           ├─ ends before it was ready ───────────► exit with its status
//                   │           ├─ killed, or exit ≠ 0 ──► again, unless that came too often ──► exit 1
//                   └───────────┴─ KEEPER_HANDOVER (after SIGHUP) ──► the keeper executes the new program, too
//
// SIGTERM and SIGINT are passed on to the daemon. SIGHUP: the program at the keeper's path is asked which layout of the
// state it knows and whether it takes the flags; if so, the daemon is told to stop, else everything goes on as it was.
#pragma once

#include <stdbool.h>

#include "node-plugin/cachefs/state.h"

#define KEEPER_HANDOVER 75 // exit status of a daemon that stopped for its successor
#define KEEPER_WINDOW_S 60 // in which ends of daemons are counted

struct keeper_options {
    char **argv;       // of the daemon: those of this process
    int ready_fd;      // closed once the daemon has it; 0: none
    unsigned max_ends; // of daemons within KEEPER_WINDOW_S before it gives up
};

struct kept { // what the daemon gets
    int fds[STATE_FD_COUNT];
    bool resume; // another daemon served this mount before
};

// Is this process the daemon of a keeper? Then what it was given.
bool keeper_gave(struct kept *ret);
// Runs until the mount is over. The exit status.
int keeper_run(const struct keeper_options *options);
