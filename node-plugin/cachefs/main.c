// SPDX-License-Identifier: Apache-2.0
// stowage-cachefs: mounts a directory of an NFS share or of a mounted file system in user space, in the foreground: a keeper,
// and the daemon that it starts; or, with --serve, starts such mounts for stowage-node.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "node-plugin/cachefs/config.h"
#include "node-plugin/cachefs/daemon.h"
#include "node-plugin/cachefs/keeper_ask.h"
#include "node-plugin/cachefs/serve.h"

static int run_keeper(const struct cachefs_config *c, char **argv) {
    struct keeper_options options = {.argv = argv, .ready_fd = (int)c->ready_fd, .max_ends = c->max_ends};
    return keeper_run(&options);
}

static int run_service(const struct cachefs_config *c, int signals) {
    struct err err = ERR_NONE;
    struct serve_options options = {.socket = c->serve, .http = c->http, .grace_s = c->stop_grace, .signals = signals};
    int r = serve_mounts(&options, &err);
    if (r < 0)
        log_error("cannot serve mounts", LOG_S("error", err_text(&err)));
    return r < 0 ? 1 : 0;
}

static int block_signals(bool hangup) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (hangup)
        (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int print_version(void) {
    char version[64];
    state_version(version);
    return printf("%s\n", version) < 0 || fflush(stdout) != 0;
}

static int dispatch(struct cachefs_config *c, char **argv) {
    (void)signal(SIGPIPE, SIG_IGN);
    if (c->state_version)
        return print_version();
    bool daemon = !c->serve && keeper_gave(&c->kept);
    if (!c->serve && !daemon)
        return run_keeper(c, argv);
    if (daemon)
        (void)prctl(PR_SET_NAME, "cachefs-daemon"); // told apart from its keeper; else "exe", as it was executed
    int signals = block_signals(!c->serve);
    int status = daemon ? daemon_run(c, signals) : run_service(c, signals);
    (void)close(signals);
    return status;
}

int main(int argc, char **argv) {
    struct cachefs_config config = {0};
    struct err err = ERR_NONE;
    (void)mallopt(M_ARENA_MAX, 2);
    int r = cachefs_config_read(&config, argc, argv, &err);
    log_init(config.serve ? "stowage-mounts" : "stowage-cachefs", (enum log_level)config.log_level,
             (enum log_format)config.log_format);
    int status = r == -ECANCELED ? 0 : r < 0 ? 1 : dispatch(&config, argv);
    if (r < 0 && r != -ECANCELED)
        keeper_report((int)config.ready_fd, r, &err);
    cachefs_config_done(&config);
    return status;
}
