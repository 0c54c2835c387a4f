// SPDX-License-Identifier: Apache-2.0
// Inside of writeback: what a file can do next, who waits for it, and the room of the mount.
//
// Why:     decides under the lock and without a call to anybody; what is to be done stands in a `wb_todo` afterwards.
// Owns:    nothing.
// Threads: the mount's lock is held around all of it.
#pragma once

#include "node-plugin/cachefs/writeback_piece.h"

// What to do once the lock is given back: calls to submit, waits to run, files that became idle.
struct wb_todo {
    struct wb_piece *send, *send_tail;
    struct wb *commits[8];
    size_t commit_count;
    struct wb_wait *runs;
    struct wb *idle;
};

// Ends the waits that are over, sends and commits what can be, gives room. After every change of the file.
void wb_progress(struct wb *wb, struct wb_todo *todo);
void wb_pump(struct wb *wb, struct wb_todo *todo); // sends what can be sent
void wb_start_commit(struct wb *wb, struct wb_todo *todo);
void wb_run_later(struct wb_todo *todo, struct wb_wait *wait, int result);

void wb_wait_link(struct wb_wait **list, struct wb_wait *wait);
void wb_wait_unlink(struct wb_wait **list, struct wb_wait *wait);
bool wb_wait_is_over(struct wb *wb, const struct wb_wait *wait);

// First come, first served.
bool wb_room_is_there(const struct wb_mount *m, size_t len);
void wb_room_push(struct wb_mount *m, struct wb_wait *wait);
void wb_room_remove(struct wb_mount *m, struct wb_wait *wait);

bool wb_is_clean(const struct wb *wb);
void wb_set_listed(struct wb *wb, bool listed); // among the mount's files that hold data
