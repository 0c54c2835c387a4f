// SPDX-License-Identifier: Apache-2.0
// stowage-cachefs: mounts one directory of an NFS share, or of a mounted file system, in user space, in the foreground; or,
// with --serve, starts such daemons for stowage-node.
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>

#include "lib/base/clock.h"
#include "lib/base/fields.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "node-plugin/cachefs/fs.h"
#include "node-plugin/cachefs/mount.h"
#include "node-plugin/cachefs/origin.h"
#include "node-plugin/cachefs/serve.h"
#include "node-plugin/cachefs/session.h"
#include "node-plugin/cachefs/subdir.h"
#include "node-plugin/cachefs/volume_cache.h"
#include "node-plugin/cachefs/warm.h"

#define READERS 2
#define READAHEAD_KIB 8192
#define CONNECT_NS (10 * NS_PER_S)
#define READY_WAIT_MS 5000       // for the kernel's first request
#define DETACH_WAIT_MS 2000      // for processes that still use a mount that was detached
#define DRAIN_NS (10 * NS_PER_S) // for data that no close or fsync has vouched for

struct config {
    char *server, *share, *origin_path, *sub_dir, *mount_point, *fs_name, *serve, *http;
    uint32_t nfs_port, mount_port, connections, ready_fd, stop_grace;
    int nfs_version, log_level, log_format;
    bool read_only, origin_uncached;
    struct volume_cache_flags cache;
};

static int check_absolute(const char *value, struct err *err) {
    return value[0] == '/' ? 0 : err_set(err, -EINVAL, "'%.100s' is not an absolute path; start it with '/'", value);
}

static const char *const versions[] = {"auto", "3", "4", NULL};
static const char *const trusts[] = {"strict", "ttl", "immutable", NULL}; // enum copy_trust
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};

#define AT(member) .offset = offsetof(struct config, member)
static const struct field rows[] = {
    {"server", FIELD_TEXT, AT(server), .value = "HOST", .help = "NFS server: name or address"},
    {"share", FIELD_TEXT, AT(share), .value = "/PATH", .help = "exported path", .check = check_absolute},
    {"origin-path", FIELD_TEXT, AT(origin_path), .value = "PATH",
     .help = "directory of a mounted file system (CephFS, Lustre, GlusterFS, …) instead of an NFS share",
     .check = check_absolute},
    {"origin-uncached", FIELD_BOOL, AT(origin_uncached),
     .help = "with --origin-path: keep its data out of the page cache, because it is cached above"},
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
    {"cache-dir", FIELD_TEXT, AT(cache.dir), .value = "PATH",
     .help = "directory of the node's disk that keeps copies of files; may be shared by all mounts of the node",
     .check = check_absolute},
    {"cache-mode", FIELD_CHOICE, AT(cache.trust), .fallback = "strict", .value = "MODE",
     .help = "strict: the server is asked at every open; ttl: every --cache-ttl; immutable: once", .choices = trusts},
    {"cache-ttl", FIELD_U32, AT(cache.ttl_s), .fallback = "60", .value = "SECONDS",
     .help = "with --cache-mode ttl: how old names and attributes may be", .min = 1, .max = 86400},
    {"cache-settle", FIELD_U32, AT(cache.settle_s), .fallback = "10", .value = "SECONDS",
     .help = "files that changed less than that ago are not copied, for they may be growing (not with immutable)",
     .min = 2, .max = 86400},
    {"cache-size", FIELD_BYTES, AT(cache.size), .fallback = "0", .value = "BYTES",
     .help = "most that this mount keeps in the cache; 0: as the disk allows"},
    {"cache-volume", FIELD_TEXT, AT(cache.tag), .value = "TAG", .help = "name of the volume in the cache's figures",
     .max = 128},
    {"cache-memory", FIELD_BYTES, AT(cache.memory), .fallback = "0", .value = "BYTES",
     .help = "memory for data on its way, of all mounts of the node together; 0: 256 MiB"},
    {"no-passthrough", FIELD_BOOL, AT(cache.no_passthrough),
     .help = "serve complete files from this process, even where the kernel could read them itself"},
    {"warm-up", FIELD_TEXT, AT(cache.warm_up), .value = "PATH[,PATH]",
     .help = "files or directories of the mount that are fetched into the cache at once, in the background", .max = 4096},
    {"ready-fd", FIELD_U32, AT(ready_fd), .fallback = "0", .value = "N",
     .help = "descriptor for one line: 'ready', or 'error ERRNO MESSAGE'; 0: none", .max = 65535},
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
        "       stowage-cachefs --origin-path PATH --mount-point PATH [flags]\n"
        "       stowage-cachefs --serve SOCKET [--stop-grace SECONDS] [--http HOST:PORT]\n\n"
        "Mounts a directory of an NFS share or of a mounted file system through FUSE, in the foreground, until it is "
        "unmounted or gets\n"
        "SIGTERM. Every flag can also be given as an environment variable: STOWAGE_SERVER, STOWAGE_SUB_DIR …\n\n");
    fields_print_help(&flags);
}

static void report(const struct config *config, int result, const struct err *err) {
    char line[320];
    int n = result < 0 ? snprintf(line, sizeof line, "error %d %s\n", -result, err_text(err))
                       : snprintf(line, sizeof line, "ready\n");
    if (config->ready_fd && write((int)config->ready_fd, line, (size_t)n) < 0)
        log_warning("nobody reads the ready descriptor", LOG_S("error", err_name(errno)));
    if (result < 0)
        log_error("cannot mount", LOG_S("error", err_text(err)));
}

static int open_share(const struct config *c, struct nfs_share **ret, struct err *err) {
    struct origin origin = {.server = c->server,
                            .share = c->share,
                            .nfs_version = c->nfs_version == 0 ? 0 : c->nfs_version + 2,
                            .nfs_port = (uint16_t)c->nfs_port,
                            .mount_port = (uint16_t)c->mount_port,
                            .connections = c->connections,
                            .path = c->origin_path,
                            .uncached = c->origin_uncached || c->cache.dir};
    return origin_open(&origin, clock_monotonic(&clock_system) + CONNECT_NS, ret, err);
}

static int open_cache(const struct config *c, struct nfs_share *share, struct copy_options *ret, struct err *err) {
    const struct nfs_info *info = nfs_share_info(share);
    struct str origin cleanup_str = {0};
    if (str_printf(&origin, "%s:%s", info->server ? info->server : "", info->path) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return volume_cache_open(&c->cache, origin.data, ret, err);
}

// Until the file system is gone or a signal asks for it; true: it is still mounted.
static bool wait_for_end(const struct session *session, int signals) {
    struct pollfd fds[2] = {{.fd = session_end_fd(session), .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    return fds[0].revents == 0;
}

static bool ended_within(const struct session *session, int timeout_ms) {
    struct pollfd fd = {.fd = session_end_fd(session), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) > 0;
}

static void warm_up(struct fs *fs, const char *paths) {
    struct err err = ERR_NONE;
    if (paths && warm_start_paths(fs, paths, &err) < 0) // the volume is of use without
        log_warning("the cache is not warmed up", LOG_S("error", err_text(&err)));
}

static int serve(const struct config *c, struct nfs_share *share, const struct copy_options *copies, int signals,
                 struct fs **fs, struct session **session, struct err *err) {
    struct nfs_fh root;
    struct mount_options options = {.mount_point = c->mount_point, .name = c->fs_name, .read_only = c->read_only};
    int fd = -1;
    int r = subdir_find(share, c->sub_dir, clock_monotonic(&clock_system) + CONNECT_NS, &root, err);
    if (r == 0)
        r = fs_new(share, &root, copies, c->read_only, fs, err);
    if (r == 0) {
        options.max_read = (*fs)->read_max;
        r = mount_fuse(&options, &fd, err);
    }
    if (r < 0)
        return r;
    r = session_start(*fs, fd, READERS, session, err);
    if (r < 0) {
        mount_detach(c->mount_point);
        return r;
    }
    if (session_wait_ready(*session, READY_WAIT_MS))
        mount_tune(c->mount_point, READAHEAD_KIB);
    volume_cache_probe(*fs, c->cache.dir);
    report(c, 0, NULL);
    warm_up(*fs, c->cache.warm_up);
    log_info("mounted", LOG_S("mount_point", c->mount_point), LOG_S("server", nfs_share_info(share)->server),
             LOG_S("share", nfs_share_info(share)->path));
    bool ended = !wait_for_end(*session, signals);
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
    struct fs *fs = NULL;
    struct session *session = NULL;
    struct copy_options copies = {0};
    int r = open_share(c, &share, &err);
    if (r == 0)
        r = open_cache(c, share, &copies, &err);
    if (r == 0)
        r = serve(c, share, &copies, signals, &fs, &session, &err);
    if (r < 0)
        report(c, r, &err);
    if (r == 1) { // still used by somebody: the end of the process cuts them off (ENOTCONN)
        log_info("unmounted while in use", LOG_S("mount_point", c->mount_point));
        _exit(0);
    }
    (void)nfs_share_free(share); // ends what is in flight, so that nobody replies to the session any more
    (void)session_free(session);
    (void)fs_free(fs);
    volume_cache_close(&copies);
    return r < 0 ? 1 : 0;
}

static int run_service(const struct config *c, int signals) {
    struct err err = ERR_NONE;
    struct serve_options options = {.socket = c->serve, .http = c->http, .grace_s = c->stop_grace, .signals = signals};
    int r = serve_mounts(&options, &err);
    if (r < 0)
        log_error("cannot serve mounts", LOG_S("error", err_text(&err)));
    return r < 0 ? 1 : 0;
}

static int block_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
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
    if (r == 0 && !config.serve)
        r = fields_required(&flags, &config, &err);
    log_init(config.serve ? "stowage-mounts" : "stowage-cachefs", (enum log_level)config.log_level,
             (enum log_format)config.log_format);
    int signals = block_signals();
    int status = 1;
    if (r == 0 && config.serve)
        status = run_service(&config, signals);
    else if (r < 0)
        report(&config, r, &err);
    else
        status = run(&config, signals);
    fields_done(&flags, &config);
    (void)close(signals);
    return status;
}
