// SPDX-License-Identifier: Apache-2.0
// One CSI call from the command line: JSON in, JSON out, patience in between.
//
// Why:   connecting, deadlines, waiting while the driver is still copying (ABORTED) and telling errors stand here once.
// Fails: -errno with "METHOD: CODE: message" and, where the message alone does not say it, what to do.
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"

// Calls `method` with `request` (borrowed) on the socket that serves it. `*ret` is the reply.
int call(struct cli *cli, const char *method, const struct json *request, struct json **ret,
         struct err *err) must_check;

// Shows how long work goes on: one line that is rewritten on a terminal, one line a change otherwise, on standard error.
// Nothing with --json. call_progress_end must follow.
void call_progress(const struct cli *cli, const char *text);
void call_progress_end(const struct cli *cli);
// Sleeps before the n-th retry (n from 0): 0.2 s growing to 2 s, never past the command's time limit.
// -ETIMEDOUT when that is over.
int call_pause(const struct cli *cli, unsigned n, struct err *err) must_check;
