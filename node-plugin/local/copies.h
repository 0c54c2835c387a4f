// SPDX-License-Identifier: Apache-2.0
// Copies of images that take longer than a call may: each runs on a thread of its own, and calls for it wait their time.
//
// Why:     the orchestrator asks again; what was copied meanwhile is not thrown away.
// Owns:    its threads; copies_free ends them (a copy that was cut short leaves nothing) and waits for them.
// Threads: any.
#pragma once

#include "node-plugin/local/pool.h"

struct copies;
int copies_new(struct copies **ret, struct err *err) must_check;
struct copies *copies_free(struct copies *copies);
DEFINE_CLEANUP(copies)

// Starts the copy to `to` or joins the one that runs, and waits until the deadline. -EAGAIN: it still runs; ask again.
int copies_run(struct copies *copies, const struct data_copy *copy, int64_t deadline_ns, struct err *err) must_check;
