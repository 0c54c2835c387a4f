// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "node-plugin/cachefs/fs.h"
#include "node-plugin/cachefs/keeper_ask.h"
#include "node-plugin/cachefs/mount.h"
#include "node-plugin/cachefs/origin.h"
#include "node-plugin/cachefs/session.h"
#include "node-plugin/cachefs/subdir.h"
#include "node-plugin/cachefs/warm.h"

#define READERS 2
#define READAHEAD_KIB 8192
#define CONNECT_NS (10 * NS_PER_S)
#define RECONNECT_NS (2 * NS_PER_S) // of one try, while programs wait for the successor of a daemon
#define RECONNECT_PAUSE_MS 100
#define HANDOVER_NS (100 * NS_PER_MS) // for what is in flight when a successor takes over
#define READY_WAIT_MS 5000            // for the kernel's first request
#define DETACH_WAIT_MS 2000           // for processes that still use a mount that was detached
#define DRAIN_NS (10 * NS_PER_S)      // for data that no close or fsync has vouched for

struct mount { // what the daemon serves
    struct nfs_share *share;
    struct copy_options copies;
    struct state *state;
    struct fs *fs;
    struct session *session;
};

// ---- the origin and the cache

static int open_share(const struct cachefs_config *c, struct state *state, int64_t limit_ns, struct nfs_share **ret,
                      struct err *err) {
    const struct origin origin = {.server = c->server,
                                  .share = c->share,
                                  .nfs_version = c->nfs_version == 0 ? 0 : c->nfs_version + 2,
                                  .nfs_port = (uint16_t)c->nfs_port,
                                  .mount_port = (uint16_t)c->mount_port,
                                  .connections = c->connections,
                                  .local_ports = state->head->ports,
                                  .path = c->origin_path,
                                  .uncached = c->origin_uncached || c->cache.dir};
    return origin_open(&origin, clock_monotonic(&clock_system) + limit_ns, ret, err);
}

// Nobody serves yet: there is nothing in flight to wait for.
static void obey(const struct cachefs_config *c, int signals) {
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP)
        _exit(KEEPER_HANDOVER);
    mount_detach(c->mount_point);
}

// The kernel keeps a mount whose daemon died; the successor waits for the server as a program would. When the mount goes
// meanwhile, or a signal asks for that, there is still some time for data that nobody has vouched for.
static int open_share_again(const struct cachefs_config *c, struct state *state, int signals, struct nfs_share **ret,
                            struct err *err) {
    struct pollfd fds[2] = {{.fd = c->kept.fds[STATE_FUSE]}, {.fd = signals, .events = POLLIN}}; // POLLERR: unmounted
    int64_t until = INT64_MAX;
    int r;
    while ((r = open_share(c, state, RECONNECT_NS, ret, err)) < 0) {
        log_debug("the server does not answer yet", LOG_S("error", err_text(err)));
        int64_t now = clock_monotonic(&clock_system);
        if (now >= until) {
            log_warning("unmounted with work left over: the server does not answer");
            _exit(0);
        }
        if (poll(fds, until == INT64_MAX ? 2 : 0, RECONNECT_PAUSE_MS) <= 0)
            continue;
        if (fds[1].revents)
            obey(c, signals);
        until = now + DRAIN_NS;
    }
    return r;
}

static int open_cache(const struct cachefs_config *c, struct nfs_share *share, struct copy_options *ret,
                      struct err *err) {
    const struct nfs_info *info = nfs_share_info(share);
    struct str origin cleanup_str = {0};
    if (str_printf(&origin, "%s:%s", info->server ? info->server : "", info->path) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int r = volume_cache_open(&c->cache, origin.data, ret, err);
    if (r == 0 || r == -ENOMEM)
        return r;
    // A sick or missing disk keeps no pod from its data, neither from opening the mount nor from going on with it.
    log_error("there is no cache; everything is read from the origin", LOG_S("cache_dir", c->cache.dir),
              LOG_S("error", err_text(err)));
    return 0;
}

// ---- the mount

static void warm_up(struct fs *fs, const char *paths) {
    struct err err = ERR_NONE;
    if (paths && warm_start_paths(fs, paths, &err) < 0) // the volume is of use without
        log_warning("the cache is not warmed up", LOG_S("error", err_text(&err)));
}

static int mount_new(const struct cachefs_config *c, struct mount *m, struct err *err) {
    struct nfs_fh root;
    const struct fs_options fs = {
        .share = m->share, .root = &root, .copies = &m->copies, .state = m->state, .read_only = c->read_only};
    struct mount_options options = {.mount_point = c->mount_point, .name = c->fs_name, .read_only = c->read_only};
    int r = subdir_find(m->share, c->sub_dir, clock_monotonic(&clock_system) + CONNECT_NS, &root, err);
    if (r == 0)
        r = fs_new(&fs, &m->fs, err);
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
    volume_cache_probe(m->fs, c->cache.dir);
    m->state->head->ready = session_can_resume(m->session); // else the end of this daemon is the end of the mount
    keeper_report((int)c->ready_fd, 0, NULL);
    log_info("mounted", LOG_S("mount_point", c->mount_point), LOG_S("server", nfs_share_info(m->share)->server),
             LOG_S("share", nfs_share_info(m->share)->path));
    warm_up(m->fs, c->cache.warm_up);
    return 0;
}

// A path without lasting handles has to be told by name what the mount begins with; the kernel tells the names below it when
// it is told that they are stale.
static void find_root_again(const struct cachefs_config *c, struct nfs_share *share) {
    struct nfs_fh root;
    if (nfs_share_info(share)->version == 0)
        (void)!subdir_find(share, c->sub_dir, clock_monotonic(&clock_system) + CONNECT_NS, &root, NULL);
}

static int mount_again(const struct cachefs_config *c, struct mount *m, struct err *err) {
    struct state_head *head = m->state->head;
    find_root_again(c, m->share);
    const struct fs_options fs = {
        .share = m->share, .copies = &m->copies, .state = m->state, .read_only = c->read_only};
    int r = fs_new(&fs, &m->fs, err);
    if (r == 0) {
        volume_cache_probe(m->fs, c->cache.dir);
        r = session_start(m->fs, c->kept.fds[STATE_FUSE], READERS, &m->session, err);
    }
    if (r < 0)
        return r;
    int64_t stall = clock_monotonic(&clock_system) - head->ended_ns;
    if (stall > head->stall_max_ns)
        head->stall_max_ns = stall;
    log_info("took the mount over", LOG_S("mount_point", c->mount_point), LOG_I("stall_ms", stall / NS_PER_MS),
             LOG_I("longest_stall_ms", head->stall_max_ns / NS_PER_MS), LOG_I("restarts", head->restarts),
             LOG_I("handovers", head->handovers));
    warm_up(m->fs, c->cache.warm_up); // goes on where the former daemon was
    return 0;
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

// 1: it was unmounted while somebody uses it still.
static int serve(const struct cachefs_config *c, int signals, struct mount *m, struct err *err) {
    int r = c->kept.resume ? mount_again(c, m, err) : mount_new(c, m, err);
    if (r < 0)
        return r;
    enum end end = wait_for_end(m->session, signals);
    if (end == END_HANDOVER)
        hand_over(m->fs, m->session);
    bool ended = end == END_UNMOUNTED;
    if (!ended) {
        mount_detach(c->mount_point);
        ended = ended_within(m->session, DETACH_WAIT_MS);
    }
    if (!fs_drain(m->fs, clock_monotonic(&clock_system) + DRAIN_NS))
        log_warning("unmounted with work left over", LOG_I("bytes", wb_mount_used(&m->fs->wb)));
    return ended ? 0 : 1;
}

int daemon_run(const struct cachefs_config *c, int signals) {
    struct err err = ERR_NONE;
    struct mount m = {0};
    int r = state_open(c->kept.fds, c->kept.resume, &m.state, &err);
    if (r == 0)
        r = c->kept.resume ? open_share_again(c, m.state, signals, &m.share, &err)
                           : open_share(c, m.state, CONNECT_NS, &m.share, &err);
    if (r == 0)
        r = open_cache(c, m.share, &m.copies, &err);
    if (r == 0)
        r = serve(c, signals, &m, &err);
    if (r < 0)
        keeper_report(c->kept.resume ? 0 : (int)c->ready_fd, r, &err);
    if (r == 1) { // still used by somebody: the end of the process cuts them off (ENOTCONN)
        log_info("unmounted while in use", LOG_S("mount_point", c->mount_point));
        _exit(0);
    }
    (void)nfs_share_free(m.share); // ends what is in flight, so that nobody replies to the session any more
    (void)session_free(m.session);
    (void)fs_free(m.fs);
    volume_cache_close(&m.copies);
    (void)state_free(m.state);
    return r < 0 ? 1 : 0;
}
