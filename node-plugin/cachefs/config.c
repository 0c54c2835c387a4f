// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/config.h"

#include <errno.h>
#include <stddef.h>

#include "lib/base/program.h"

static int check_absolute(const char *value, struct err *err) {
    return value[0] == '/' ? 0 : err_set(err, -EINVAL, "'%.100s' is not an absolute path; start it with '/'", value);
}

static const char *const versions[] = {"auto", "3", "4", NULL};
static const char *const trusts[] = {"strict", "ttl", "immutable", NULL}; // enum copy_trust
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};

#define AT(member) .offset = offsetof(struct cachefs_config, member)
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
     .min = 1, .max = STATE_PORTS},
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
    {"cache-keep-free", FIELD_U32, AT(cache.keep_free), .fallback = "10", .value = "PERCENT",
     .help = "part of the cache's disk that is left free, of its bytes and of its inodes", .min = 1, .max = 90},
    {"no-passthrough", FIELD_BOOL, AT(cache.no_passthrough),
     .help = "serve complete files from this process, even where the kernel could read them itself"},
    {"warm-up", FIELD_TEXT, AT(cache.warm_up), .value = "PATH[,PATH]",
     .help = "files or directories of the mount that are fetched into the cache at once, in the background",
     .max = 4096},
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

static const struct program program = {
    .name = "stowage-cachefs",
    .about = "Usage: stowage-cachefs --server HOST --share /PATH --mount-point PATH [flags]\n"
             "       stowage-cachefs --origin-path PATH --mount-point PATH [flags]\n"
             "       stowage-cachefs --serve SOCKET [--stop-grace SECONDS] [--http HOST:PORT]\n\n"
             "Mounts a directory of an NFS share, or of a file system that is mounted already, through FUSE, in the "
             "foreground,\n"
             "until it is unmounted or gets SIGTERM. With --cache-dir, what is read is kept on the node's disk.\n"
             "A second process does the work; when it dies, another takes over, and programs notice a pause.\n"
             "SIGHUP: the version that stands at this program's path takes over.\n",
    .flags = &flags,
};

int cachefs_config_read(struct cachefs_config *config, int argc, char **argv, struct err *err) {
    int r = program_read(&program, config, argc, argv, err);
    if (r == 0 && !config->serve && !config->state_version)
        r = fields_required(&flags, config, err);
    return r;
}

void cachefs_config_done(struct cachefs_config *config) {
    fields_done(&flags, config);
}
