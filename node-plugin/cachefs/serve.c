// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/serve.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/mount/launcher_server.h"
#include "node-plugin/cachefs/mount.h"

static int probe(struct err *err) {
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        return err_set(err, -ENODEV,
                       "the mount service has no /dev/fuse: %s; load the fuse module and give the container "
                       "the device",
                       err_name(errno));
    return 0;
}

int serve_mounts(const char *socket, unsigned grace_s, int signals, struct err *err) {
    char program[PATH_MAX]; // as a path: after an upgrade in place new daemons are of the new version
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return err_set(err, -errno, "cannot find this program: %s", err_name(errno));
    program[n] = '\0';
    (void)unsetenv("STOWAGE_SERVE"); // daemons would take it as a flag of their own
    struct launcher_server_options options = {.socket = socket,
                                              .program = program,
                                              .signals = signals,
                                              .grace_s = grace_s,
                                              .in_use = mount_in_use,
                                              .probe = probe};
    return launcher_server_run(&options, err);
}
