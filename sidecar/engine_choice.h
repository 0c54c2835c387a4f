// SPDX-License-Identifier: Apache-2.0
// Which engine the command line asks for, before it is read as a whole: --engine remote is another program.
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// Does `--engine remote`, `--engine=remote` or STOWAGE_ENGINE=remote stand there? The last flag counts, then the environment.
bool engine_is_remote(int argc, char **argv);
// Becomes stowage-sidecar-remote, which lies beside this program. Returns only when that fails, with -errno.
int engine_become_remote(char **argv, struct err *err);
