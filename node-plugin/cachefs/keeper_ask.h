// SPDX-License-Identifier: Apache-2.0
// What a keeper asks and tells others: the program that shall take over, and whoever waits for the mount.
#pragma once

#include "lib/base/err.h"

// Asks `program`, started with the flags `argv`, for the layout of the state it knows. -EPROTO, -ETIMEDOUT, or why it
// cannot be started.
int keeper_ask(const char *program, char *const *argv, char ret_version[static 64], struct err *err)
    __attribute__((warn_unused_result));
// "ready", or "error ERRNO MESSAGE" when `result` is an error, which is also logged. `fd` 0: to nobody.
void keeper_report(int fd, int result, const struct err *err);
