// SPDX-License-Identifier: Apache-2.0
// Which program the command line asks for, before it is read as a whole. What needs libraries that the store does not is a program
// of its own beside stowage-sidecar, which becomes it: a process then has in memory what it uses, and users know one name.
//
//   --engine remote   stowage-sidecar-remote    no database
//   --token-review    stowage-sidecar-cluster   the store, with the client of the Kubernetes API (libcurl and 30 more)
#pragma once

#include "lib/base/err.h"

// The suffix of the program; NULL: this one. The last flag counts, then the environment.
const char *program_wanted(int argc, char **argv);
// Becomes it. Returns only when that fails, with -errno.
int program_become(const char *suffix, char **argv, struct err *err);
