// SPDX-License-Identifier: Apache-2.0
#include "lib/base/program.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/str.h"

static void print_help(const struct program *program) {
    (void)printf("%s\nEach flag can be given in the environment as well: --log-level as STOWAGE_LOG_LEVEL.\n\n",
                 program->about);
    fields_print_help(program->flags);
    (void)printf("  %-32s %s\n  %-32s %s\n", "--help", "this text", "--version", "the version");
}

// Also behind flags that chose this program.
static bool asks_for_version(int argc, char **argv) {
    return argc > 1 && (str_eq(argv[1], "--version") || str_eq(argv[argc - 1], "--version"));
}

int program_read(const struct program *program, void *target, int argc, char **argv, struct err *err) {
    int next = argc;
    if (asks_for_version(argc, argv)) {
        (void)printf("%s %s\n", program->name, STOWAGE_VERSION);
        return -ECANCELED;
    }
    int r = fields_defaults(program->flags, target, err);
    if (r == 0)
        r = fields_parse_args(program->flags, target, argc, argv, &next, err);
    if (r == -ECANCELED)
        print_help(program);
    if (r == 0 && next < argc)
        r = err_set(err, -EINVAL, "argument '%.60s' is not expected; flags begin with --, and --help lists them",
                    argv[next]);
    return r;
}
