// SPDX-License-Identifier: Apache-2.0
// The `stowage` command: one file and one row in commands.c for each of its commands.
//
// Why:   a command says what it takes, and turns it into CSI calls whose requests and replies are JSON, or into HTTP requests
//        to the store (store/); flags, help, sockets, retries, protobuf and `--json` are done once, around it.
// Fails: a command returns -errno with a message a person can act on; command_main turns that into an exit code.
#pragma once

#include <stdbool.h>

#include "cli/options.h"
#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// EXIT_NOTHING: a command of the store found no such key, message, object, file…
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOTHING = 3 };

struct cli {
    const struct command *command;
    struct options options;
    int argc; // arguments that are no flags, after the command's own words
    char **argv;
};

struct command {
    const char *group, *name; // "volume", "create"; group NULL: a command of one word
    const char *arguments;    // "NAME", for help
    int min, max;             // how many arguments
    const char *summary;      // one line
    const char *detail;       // more, or NULL
    const char *const *flags; // names of its rows in options.c, NULL-terminated; those of `whom` are added
    enum options_for whom;    // decides which flags are added
    void (*more_help)(void);  // printed at the end of its help, or NULL
    int (*run)(struct cli *cli, struct err *err);
};

extern const struct command *const commands[]; // NULL-terminated, in the order of the help

// Runs the command line; the result is an exit code.
int command_main(int argc, char **argv) must_check;
// What bash is to complete with: a script on standard output.
void command_print_completion(void);
