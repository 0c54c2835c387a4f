// SPDX-License-Identifier: Apache-2.0
// stowage-cachefs: mounts one directory of an NFS share in user space, in the foreground; or, with --serve, starts such
// daemons for stowage-node.
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include "lib/base/clock.h"
#include "lib/base/fields.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "node-plugin/cachefs/fs.h"
#include "node-plugin/cachefs/keeper.h"
#include "node-plugin/cachefs/keeper_ask.h"
#include "node-plugin/cachefs/mount.h"
#include "node-plugin/cachefs/serve.h"
#include "node-plugin/cachefs/session.h"
#include "node-plugin/cachefs/subdir.h"

#define READERS 2
#define READAHEAD_KIB 8192
#define CONNECT_NS (10 * NS_PER_S)
#define RECONNECT_NS (2 * NS_PER_S) // of one try, while programs wait for the successor of a daemon
#define RECONNECT_PAUSE_MS 100
#define HANDOVER_NS (100 * NS_PER_MS) // for what is in flight when a successor takes over
#define READY_WAIT_MS 5000            // for the kernel's first request
#define DETACH_WAIT_MS 2000           // for processes that still use a mount that was detached
#define DRAIN_NS (10 * NS_PER_S)      // for data that no close or fsync has vouched for

struct config {
    struct kept kept;
    char *server, *share, *sub_dir, *mount_point, *fs_name, *serve, *http;
    uint32_t nfs_port, mount_port, connections, ready_fd, stop_grace, max_ends;
    int nfs_version, log_level, log_format;
    bool read_only, state_version;
};

struct mount { // what the daemon serves
    struct state *state;
    struct fs *fs;
    struct session *session;
};

static int check_absolute(const char *value, struct err *err) {
    return value[0] == '/' ? 0 : err_set(err, -EINVAL, "'%.100s' is not an absolute path; start it with '/'", value);
}

static const char *const versions[] = {"auto", "3", "4", NULL};
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};

#define AT(member) .offset = offsetof(struct config, member)
static const struct field rows[] = {
    {"server", FIELD_TEXT, AT(server), .value = "HOST", .help = "NFS server: name or address", .required = true},
    {"share", FIELD_TEXT, AT(share), .value = "/PATH", .help = "exported path", .check = check_absolute,
     .required = true},
    {"sub-dir", FIELD_TEXT, AT(sub_dir), .value = "DIR",
     .help = "directory inside the share that is mounted; the share itself if left out"},
    {"mount-point", FIELD_TEXT, AT(mount_point), .value = "PATH", .help = "existing directory to mount at",
     .check = check_absolute, .required = true},
    {"nfs-version", FIELD_CHOICE, AT(nfs_version), .fallback = "auto", .value = "V", .help = "NFS version",
     .choices = versions},
    {"nfs-port", FIELD_U32, AT(nfs_port), .fallback = "0", .value = "N",
     .help = "NFS port; 0: 2049, or what the port mapper says", .max = 65535},
    {"mount-port", FIELD_U32, AT(mount_port), .fallback = "0", .value = "N",
     .help = "port of the MOUNT protocol (NFSv3); 0: ask the port mapper", .max = 65535},
    {"connections", FIELD_U32, AT(connections), .fallback = "4", .value = "N", .help = "TCP connections to the server",
     .min = 1, .max = 16},
    {"read-only", FIELD_BOOL, AT(read_only), .help = "refuse all changes"},
    {"fs-name", FIELD_TEXT, AT(fs_name), .fallback = "stowage", .value = "NAME", .help = "source shown for the mount",
     .max = 255},
    {"ready-fd", FIELD_U32, AT(ready_fd), .fallback = "0", .value = "N",
     .help = "descriptor for one line: 'ready', or 'error ERRNO MESSAGE'; 0: none", .max = 65535},
    {"max-ends", FIELD_U32, AT(max_ends), .fallback = "10", .value = "N",
     .help = "the mount is given up when its daemon ended unasked that often within a minute", .min = 1, .max = 64},
    {"state-version", FIELD_BOOL, AT(state_version),
     .help = "mount nothing, but print which layout of a mount's state this program can take over"},
    {"serve", FIELD_TEXT, AT(serve), .value = "SOCKET",
     .help = "mount nothing, but start daemons for the 'stowage-node --mount-service SOCKET' that asks",
     .check = check_absolute},
    {"stop-grace", FIELD_U32, AT(stop_grace), .fallback = "15", .value = "SECONDS",
     .help = "with --serve: how long mounts in use are kept after SIGTERM", .max = 86400},
    {"http", FIELD_TEXT, AT(http), .value = "HOST:PORT",
     .help = "with --serve: address of /healthz and /metrics; none if left out"},
    {"log-level", FIELD_CHOICE, AT(log_level), .fallback = "info", .value = "LEVEL",
     .help = "least level that is logged", .choices = levels},
    {"log-format", FIELD_CHOICE, AT(log_format), .fallback = "auto", .value = "FORMAT", .help = "format of the log",
     .choices = formats},
};
static const struct fields flags = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "flag", .exact_case = true};

static void print_help(void) {
    (void)printf(
        "Usage: stowage-cachefs --server HOST --share /PATH --mount-point PATH [flags]\n"
        "       stowage-cachefs --serve SOCKET [--stop-grace SECONDS] [--http HOST:PORT]\n\n"
        "Mounts a directory of an NFS share through FUSE, in the foreground, until it is unmounted or gets\n"
        "SIGTERM. A second process does the work; when it dies, another takes over, and programs notice a pause.\n"
        "SIGHUP: the version that stands at this program's path takes over. Every flag can also be given as an "
        "environment variable: STOWAGE_SERVER, STOWAGE_SUB_DIR …\n\n");
    fields_print_help(&flags);
}

static int open_share(const struct config *c, int64_t limit_ns, struct nfs_share **ret, struct err *err) {
    struct nfs_options options = {.server = c->server,
                                  .path = c->share,
                                  .version = c->nfs_version == 0 ? 0 : c->nfs_version + 2,
                                  .nfs_port = (uint16_t)c->nfs_port,
                                  .mount_port = (uint16_t)c->mount_port,
                                  .connections = c->connections,
                                  .deadline_ns = clock_monotonic(&clock_system) + limit_ns};
    return nfs_share_open(&options, ret, err);
}

// The kernel serves a mount whose daemon died; the successor waits for the server as a program would. When the mount goes
// meanwhile, or a signal comes, there is still some time for data that nobody has vouched for.
static int open_share_again(const struct config *c, int signals, struct nfs_share **ret, struct err *err) {
    struct pollfd fds[2] = {{.fd = c->kept.fds[STATE_FUSE]}, {.fd = signals, .events = POLLIN}}; // POLLERR: unmounted
    int64_t until = INT64_MAX;
    int r;
    while ((r = open_share(c, RECONNECT_NS, ret, err)) < 0 && clock_monotonic(&clock_system) < until) {
        log_debug("the server does not answer yet", LOG_S("error", err_text(err)));
        if (poll(fds, 2, RECONNECT_PAUSE_MS) > 0 && until == INT64_MAX)
            until = clock_monotonic(&clock_system) + DRAIN_NS;
        if (until != INT64_MAX)
            (void)poll(NULL, 0, RECONNECT_PAUSE_MS);
    }
    return r;
}

enum end { END_UNMOUNTED, END_ASKED, END_HANDOVER };

// Until the file system is gone or a signal asks for something.
static enum end wait_for_end(const struct session *session, int signals) {
    struct pollfd fds[2] = {{.fd = session_end_fd(session), .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    if (fds[0].revents)
        return END_UNMOUNTED;
    bool hangup = read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGHUP;
    return hangup ? END_HANDOVER : END_ASKED;
}

// What cannot be finished soon is left to the successor, as after a crash.
static void hand_over(struct fs *fs, struct session *session) {
    struct timespec pause = {.tv_nsec = NS_PER_MS};
    int64_t now = clock_monotonic(fs->clock), until = now + HANDOVER_NS;
    fs->state->head->ended_ns = now;
    bool paused = session_pause(session, HANDOVER_NS / NS_PER_MS);
    size_t ops = fs_op_count(fs);
    for (; ops > 0 && clock_monotonic(fs->clock) < until; ops = fs_op_count(fs))
        (void)nanosleep(&pause, NULL);
    log_info("handing over", LOG_I("in_flight", ops), LOG_I("unsent_bytes", wb_mount_used(&fs->wb)),
             LOG_S("readers", paused ? "stopped" : "busy"));
    _exit(KEEPER_HANDOVER);
}

static bool ended_within(const struct session *session, int timeout_ms) {
    struct pollfd fd = {.fd = session_end_fd(session), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) > 0;
}

static int mount_new(const struct config *c, struct nfs_share *share, struct mount *m, struct err *err) {
    struct nfs_fh root;
    struct mount_options options = {.mount_point = c->mount_point, .name = c->fs_name, .read_only = c->read_only};
    int r = subdir_find(share, c->sub_dir, clock_monotonic(&clock_system) + CONNECT_NS, &root, err);
    if (r == 0)
        r = fs_new(share, &root, c->read_only, m->state, &m->fs, err);
    if (r < 0)
        return r;
    options.max_read = m->fs->read_max;
    r = mount_fuse(&options, c->kept.fds[STATE_FUSE], err);
    if (r < 0)
        return r;
    r = session_start(m->fs, c->kept.fds[STATE_FUSE], READERS, &m->session, err);
    if (r < 0) {
        mount_detach(c->mount_point);
        return r;
    }
    if (session_wait_ready(m->session, READY_WAIT_MS))
        mount_tune(c->mount_point, READAHEAD_KIB);
    m->state->head->ready = session_can_resume(m->session); // else the end of this daemon is the end of the mount
    keeper_report((int)c->ready_fd, 0, NULL);
    log_info("mounted", LOG_S("mount_point", c->mount_point), LOG_S("server", c->server), LOG_S("share", c->share));
    return 0;
}

static int mount_again(const struct config *c, struct nfs_share *share, struct mount *m, struct err *err) {
    struct state_head *head = m->state->head;
    int r = fs_new(share, NULL, c->read_only, m->state, &m->fs, err);
    if (r == 0)
        r = session_start(m->fs, c->kept.fds[STATE_FUSE], READERS, &m->session, err);
    if (r < 0)
        return r;
    int64_t stall = clock_monotonic(&clock_system) - head->ended_ns;
    if (stall > head->stall_max_ns)
        head->stall_max_ns = stall;
    log_info("took the mount over", LOG_S("mount_point", c->mount_point), LOG_I("stall_ms", stall / NS_PER_MS),
             LOG_I("longest_stall_ms", head->stall_max_ns / NS_PER_MS), LOG_I("restarts", head->restarts),
             LOG_I("handovers", head->handovers));
    return 0;
}

static int serve(const struct config *c, struct nfs_share *share, int signals, struct mount *m, struct err *err) {
    struct fs **fs = &m->fs;
    struct session **session = &m->session;
    int r = c->kept.resume ? mount_again(c, share, m, err) : mount_new(c, share, m, err);
    if (r < 0)
        return r;
    enum end end = wait_for_end(*session, signals);
    if (end == END_HANDOVER)
        hand_over(*fs, *session);
    bool ended = end == END_UNMOUNTED;
    if (!ended) {
        mount_detach(c->mount_point);
        ended = ended_within(*session, DETACH_WAIT_MS);
    }
    if (!fs_drain(*fs, clock_monotonic(&clock_system) + DRAIN_NS))
        log_warning("unmounted with work left over", LOG_I("bytes", wb_mount_used(&(*fs)->wb)));
    return ended ? 0 : 1;
}

static int run(const struct config *c, int signals) {
    struct err err = ERR_NONE;
    struct nfs_share *share = NULL;
    struct mount m = {0};
    int r = state_open(c->kept.fds, c->kept.resume, &m.state, &err);
    if (r == 0)
        r = c->kept.resume ? open_share_again(c, signals, &share, &err) : open_share(c, CONNECT_NS, &share, &err);
    if (r == 0)
        r = serve(c, share, signals, &m, &err);
    if (r < 0)
        keeper_report(c->kept.resume ? 0 : (int)c->ready_fd, r, &err);
    if (r == 1) { // still used by somebody: the end of the process cuts them off (ENOTCONN)
        log_info("unmounted while in use", LOG_S("mount_point", c->mount_point));
        _exit(0);
    }
    (void)nfs_share_free(share); // ends what is in flight, so that nobody replies to the session any more
    (void)session_free(m.session);
    (void)fs_free(m.fs);
    (void)state_free(m.state);
    return r < 0 ? 1 : 0;
}

static int run_keeper(const struct config *c, char **argv) {
    struct keeper_options options = {.argv = argv, .ready_fd = (int)c->ready_fd, .max_ends = c->max_ends};
    return keeper_run(&options);
}

static int run_service(const struct config *c, int signals) {
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

static int dispatch(struct config *c, char **argv) {
    (void)signal(SIGPIPE, SIG_IGN);
    if (c->state_version)
        return print_version();
    bool daemon = !c->serve && keeper_gave(&c->kept);
    if (!c->serve && !daemon)
        return run_keeper(c, argv);
    if (daemon)
        (void)prctl(PR_SET_NAME, "cachefs-daemon"); // told apart from its keeper; else "exe", as it was executed
    int signals = block_signals(!c->serve);
    int status = daemon ? run(c, signals) : run_service(c, signals);
    (void)close(signals);
    return status;
}

int main(int argc, char **argv) {
    struct config config = {0};
    struct err err = ERR_NONE;
    int next = argc;
    (void)mallopt(M_ARENA_MAX, 2);
    int r = fields_defaults(&flags, &config, &err);
    if (r == 0)
        r = fields_parse_args(&flags, &config, argc, argv, &next, &err);
    if (r == -ECANCELED) {
        print_help();
        fields_done(&flags, &config);
        return 0;
    }
    if (r == 0 && next < argc)
        r = err_set(&err, -EINVAL, "unexpected argument '%.60s'; see --help", argv[next]);
    if (r == 0 && !config.serve && !config.state_version)
        r = fields_required(&flags, &config, &err);
    log_init(config.serve ? "stowage-mounts" : "stowage-cachefs", (enum log_level)config.log_level,
             (enum log_format)config.log_format);
    int status = r < 0 ? 1 : dispatch(&config, argv);
    if (r < 0)
        keeper_report((int)config.ready_fd, r, &err);
    fields_done(&flags, &config);
    return status;
}
