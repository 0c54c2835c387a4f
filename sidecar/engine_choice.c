// SPDX-License-Identifier: Apache-2.0
#include "sidecar/engine_choice.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

bool engine_is_remote(int argc, char **argv) {
    const char *engine = getenv("STOWAGE_ENGINE");
    for (int i = 1; i < argc; i++) {
        if (str_starts(argv[i], "--engine="))
            engine = argv[i] + strlen("--engine=");
        else if (str_eq(argv[i], "--engine") && i + 1 < argc)
            engine = argv[++i];
    }
    return str_eq(engine, "remote");
}

int engine_become_remote(char **argv, struct err *err) {
    static const char suffix[] = "-remote";
    char path[PATH_MAX + sizeof suffix];
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
    if (len <= 0)
        return err_set(err, -errno, "cannot find this program's own file: %s", err_name(errno));
    (void)snprintf(path + len, sizeof path - (size_t)len, "%s", suffix);
    (void)execv(path, argv);
    return err_set(err, -errno, "cannot run %.150s: %s; it is installed beside stowage-sidecar", path, err_name(errno));
}
