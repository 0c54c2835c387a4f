// SPDX-License-Identifier: Apache-2.0
#include "sidecar/program.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "lib/base/str.h"

#define SUFFIX_MAX 16

// Of "--name VALUE" or "--name=VALUE", else of the environment; NULL: not given.
static const char *value_of(int argc, char **argv, const char *flag, const char *variable) {
    const char *value = getenv(variable);
    size_t len = strlen(flag);
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], flag) && i + 1 < argc)
            value = argv[++i];
        else if (str_starts(argv[i], flag) && argv[i][len] == '=')
            value = argv[i] + len + 1;
    }
    return value;
}

// Where /proc is not mounted, the name by which it was run.
static long own_path(char *ret, size_t size) {
    ssize_t len = readlink("/proc/self/exe", ret, size - 1);
    if (len > 0) {
        ret[len] = '\0';
        return len;
    }
    const char *name = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    return name ? snprintf(ret, size, "%s", name) : 0;
}

static bool is_it(const char *suffix) {
    char path[PATH_MAX];
    long len = own_path(path, sizeof path), end = (long)strlen(suffix);
    return len > end && str_eq(path + len - end, suffix);
}

const char *program_wanted(int argc, char **argv) {
    const char *suffix = NULL;
    if (str_eq(value_of(argc, argv, "--engine", "STOWAGE_ENGINE"), "remote"))
        suffix = "-remote";
    else if (!str_empty(value_of(argc, argv, "--token-review", "STOWAGE_TOKEN_REVIEW")))
        suffix = "-cluster";
    return suffix && !is_it(suffix) ? suffix : NULL;
}

int program_become(const char *suffix, char **argv, struct err *err) {
    char path[PATH_MAX + SUFFIX_MAX];
    long len = own_path(path, PATH_MAX);
    if (len <= 0 || len >= PATH_MAX)
        return err_set(err, -ENOENT, "cannot find this program's own file; mount /proc");
    (void)snprintf(path + len, SUFFIX_MAX, "%s", suffix);
    (void)execv(path, argv);
    return err_set(err, -errno, "cannot run %.150s: %s; it is installed beside stowage-sidecar", path, err_name(errno));
}
