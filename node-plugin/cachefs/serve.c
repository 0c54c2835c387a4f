// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/serve.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/http/health.h"
#include "lib/mount/launcher.h"
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

// Asks as stowage-node would, so that it tells whether the service really answers and can mount.
static int healthz(void *arg, struct str *body, const char **ret_type) {
    const struct serve_options *options = arg;
    struct launcher self = launcher_service(options->socket);
    struct err err = ERR_NONE;
    (void)ret_type;
    int r = launcher_probe(&self, &err);
    (void)str_printf(body, "%s\n", r < 0 ? err_text(&err) : "ok");
    return r < 0 ? 503 : 200;
}

static int start_http(const struct serve_options *options, struct http_health **ret, struct err *err) {
    if (str_empty(options->http))
        return 0;
    launcher_server_register_metrics();
    return http_health_start(options->http, healthz, (void *)(uintptr_t)options, ret, err);
}

int serve_mounts(const struct serve_options *options, struct err *err) {
    char program[PATH_MAX]; // as a path: after an upgrade in place new daemons are of the new version
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return err_set(err, -errno, "cannot find this program: %s", err_name(errno));
    program[n] = '\0';
    (void)unsetenv("STOWAGE_SERVE"); // daemons would take it as a flag of their own
    (void)unsetenv("STOWAGE_HTTP");
    struct launcher_server_options server = {.socket = options->socket,
                                             .program = program,
                                             .signals = options->signals,
                                             .grace_s = options->grace_s,
                                             .in_use = mount_in_use,
                                             .probe = probe};
    struct http_health *http cleanup(http_health_freep) = NULL;
    int r = start_http(options, &http, err);
    return r < 0 ? r : launcher_server_run(&server, err);
}
