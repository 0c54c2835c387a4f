// SPDX-License-Identifier: Apache-2.0
// The settings of a program: defaults, environment, command line, in this order; --help and --version.
//
// Fails: -EINVAL naming the flag or argument. -ECANCELED: what was asked for is written to standard output, and the program is to end well.
#pragma once

#include "lib/base/fields.h"

struct program {
    const char *name;  // "stowage-node"
    const char *about; // before the flags in --help: what it is, how it is called
    const struct fields *flags;
};
// Into `target`, whose fields the caller releases in any case. Only flags are expected.
int program_read(const struct program *program, void *target, int argc, char **argv, struct err *err) must_check;
