// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"

#define ARGS_MAX 64 // what a mount service takes
#define KILL_WAIT_NS (500 * NS_PER_MS)
#define DEFAULT_CONNECTIONS 4

// The command line; numbers live in `numbers`.
struct command {
    const char *args[ARGS_MAX];
    size_t count;
    char numbers[8][24];
    size_t number_count;
};

static void add(struct command *command, const char *flag, const char *value) {
    if (command->count + 3 > ARGS_MAX || str_empty(value))
        return;
    command->args[command->count++] = flag;
    command->args[command->count++] = value;
}

static void add_number(struct command *command, const char *flag, int64_t value) {
    if (value == 0)
        return;
    char *text = command->numbers[command->number_count++];
    (void)snprintf(text, sizeof command->numbers[0], "%" PRId64, value);
    add(command, flag, text);
}

static uint32_t first_of(uint32_t a, uint32_t b, uint32_t c) {
    return a ? a : b ? b : c;
}

// What the mount options say goes before what the volume says.
static void add_nfs(struct command *command, const struct volume_source *source, const struct mount_options *flags) {
    add(command, "--server", source->server);
    add(command, "--share", source->share);
    add(command, "--sub-dir", source->sub_dir);
    add_number(command, "--nfs-port", first_of(flags->port, source->nfs_port, 0));
    add_number(command, "--mount-port", first_of(flags->mount_port, source->mount_port, 0));
    add_number(command, "--nfs-version", first_of(flags->version, source->nfs_version, 0));
    add_number(command, "--connections", first_of(flags->connections, source->connections, DEFAULT_CONNECTIONS));
}

static void add_cache(struct command *command, const struct mounter_options *options, const struct node_group *group,
                      const char *volume) {
    add(command, "--cache-dir", options->cache_dir);
    add(command, "--cache-volume", volume);
    add(command, "--cache-mode", cache_mode_name((enum cache_mode)group->cache_mode));
    if (group->cache_mode == CACHE_MODE_TTL)
        add_number(command, "--cache-ttl", first_of(group->cache_ttl, CACHE_TTL_DEFAULT_S, 0));
    add_number(command, "--cache-size", group->cache_size);
    add_number(command, "--cache-memory", options->cache_memory);
    add_number(command, "--cache-keep-free", options->cache_keep_free);
    add(command, "--warm-up", group->warm_up);
}

static void build(struct command *command, const struct mounter_options *options, const struct mount_request *request) {
    const struct volume_source *source = request->source;
    const struct mount_options *flags = request->options;
    if (request->origin_root) {
        add(command, "--origin-path", request->origin_root);
        add(command, "--sub-dir", request->origin_dir);
    } else {
        add_nfs(command, source, flags);
    }
    add(command, "--mount-point", request->target);
    add(command, "--fs-name", source->name);
    if (source->group.name && !str_empty(options->cache_dir))
        add_cache(command, options, &source->group, request->volume);
    add(command, "--log-level", options->log_level);
    add(command, "--log-format", options->log_format);
    add(command, "--ready-fd", "3");
    if (flags->read_only)
        command->args[command->count++] = "--read-only";
}

// "ready" or "error <errno> <message>".
static int parse_answer(char *line, struct err *err) {
    line[strcspn(line, "\n")] = '\0';
    if (str_eq(line, "ready"))
        return 0;
    int code = 0, at = 0;
    if (sscanf(line, "error %d %n", &code, &at) == 1 && at > 0)
        return err_set(err, code > 0 && code < 4096 ? -code : -EIO, "%s", line + at);
    return err_set(err, -EIO, "stowage-cachefs ended before its mount was ready; see its log lines%s%.60s",
                   line[0] ? "; it said: " : "", line);
}

static int wait_ready(int fd, int64_t deadline_ns, struct err *err) {
    char line[512] = "";
    size_t len = 0;
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int n = poll(&poll_fd, 1, process_poll_ms(deadline_ns));
        if (n == 0 && clock_monotonic(&clock_system) >= deadline_ns)
            return err_set(err, -ETIMEDOUT, "stowage-cachefs was not ready in time; does the server answer?");
        ssize_t got = n > 0 ? read(fd, line + len, sizeof line - 1 - len) : -1;
        if (n > 0 && got <= 0)
            return parse_answer(line, err);
        len += got > 0 ? (size_t)got : 0;
        line[len] = '\0';
        if (strchr(line, '\n') || len == sizeof line - 1)
            return parse_answer(line, err);
    }
}

// Ends a daemon that nobody will know of.
static void discard(const struct launcher *launcher, const struct process_id *daemon, int *pidfd) {
    (void)!launcher_signal(launcher, daemon, SIGKILL, NULL);
    process_abandon(pidfd); // and a child of ours is reaped, now or whenever the kernel lets go of it
}

int daemon_start(const struct mounter_options *options, const struct mount_request *request, int64_t deadline_ns,
                 struct process_id *ret, struct err *err) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set(err, -errno, "pipe: %s", err_name(errno));
    int read_end cleanup_close = fds[0];
    int write_end cleanup_close = fds[1];
    int pidfd cleanup_close = -1;
    struct command command = {0};
    build(&command, options, request);
    int r = launcher_spawn(&options->launcher, command.args, write_end, ret, &pidfd, err);
    (void)close(take_fd(&write_end));
    if (r < 0)
        return r;
    r = wait_ready(read_end, deadline_ns, err);
    if (r == 0)
        return 0;
    discard(&options->launcher, ret, &pidfd);
    return err_wrap(err, r, "FUSE mount of %s", request->source->name);
}

int daemon_stop(const struct launcher *launcher, const struct process_id *daemon, int64_t deadline_ns,
                struct err *err) {
    int pidfd cleanup_close = -1;
    int r = launcher_open(launcher, daemon, &pidfd, err);
    if (r < 0)
        return r == -ESRCH ? 0 : r;
    int64_t now = clock_monotonic(&clock_system), left = deadline_ns > now ? deadline_ns - now : 0;
    if (process_wait(pidfd, now + left / 2) == 0)
        return 0;
    (void)!launcher_signal(launcher, daemon, SIGTERM, NULL);
    if (process_wait(pidfd, now + left) == 0)
        return 0;
    // Also frees whoever waits for this daemon inside the kernel: its requests end with ECONNABORTED.
    (void)!launcher_signal(launcher, daemon, SIGKILL, NULL);
    r = process_wait(pidfd, clock_monotonic(&clock_system) + KILL_WAIT_NS);
    if (r == 0)
        return 0;
    process_abandon(&pidfd);
    return err_set(err, r, "stowage-cachefs (process %ld) does not end", (long)daemon->pid);
}
