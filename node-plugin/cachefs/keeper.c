// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "node-plugin/cachefs/keeper_ask.h"

#define VARIABLE "STOWAGE_KEPT" // "daemon" or "keeper", whether a daemon was there before, the descriptors
#define ENDS_MAX 64u

struct keeper {
    const struct keeper_options *options;
    struct kept kept;
    struct state_head *head;
    char program[PATH_MAX];
    pid_t daemon;
    int64_t started_ns;
    bool ending, upgrade; // upgrade: the daemon was told to stop for the new program
    int64_t ends[ENDS_MAX];
    unsigned end_count;
};

// ---- descriptors and the variable that tells them

static bool read_variable(const char *role, struct kept *ret) {
    const char *text = getenv(VARIABLE);
    char found[16];
    int resume, *fds = ret->fds;
    if (!text || sscanf(text, "%15[a-z]:%d:%d,%d,%d,%d", found, &resume, &fds[0], &fds[1], &fds[2], &fds[3]) != 6 ||
        strcmp(found, role) != 0)
        return false;
    ret->resume = resume != 0;
    for (size_t i = 0; i < STATE_FD_COUNT; i++)
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    (void)unsetenv(VARIABLE);
    return true;
}

static void write_variable(const char *role, const struct kept *kept) {
    char text[96];
    const int *fds = kept->fds;
    (void)snprintf(text, sizeof text, "%s:%d:%d,%d,%d,%d", role, kept->resume, fds[0], fds[1], fds[2], fds[3]);
    (void)setenv(VARIABLE, text, 1);
    for (size_t i = 0; i < STATE_FD_COUNT; i++)
        (void)fcntl(fds[i], F_SETFD, 0);
}

bool keeper_gave(struct kept *ret) {
    return read_variable("daemon", ret);
}

static int open_fds(struct kept *kept, struct err *err) {
    int *fds = kept->fds;
    fds[STATE_FUSE] = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fds[STATE_FUSE] < 0)
        return err_set(err, -errno, "cannot open /dev/fuse: %s; load the fuse module and give the container the device",
                       err_name(errno));
    fds[STATE_TABLES] = memfd_create("stowage-tables", MFD_CLOEXEC);
    fds[STATE_NODES] = memfd_create("stowage-nodes", MFD_CLOEXEC);
    fds[STATE_SPOOL] = memfd_create("stowage-spool", MFD_CLOEXEC);
    if (fds[STATE_TABLES] < 0 || fds[STATE_NODES] < 0 || fds[STATE_SPOOL] < 0 ||
        ftruncate(fds[STATE_TABLES], sizeof(struct state_head)) < 0)
        return err_set(err, -errno, "cannot make memory files: %s", err_name(errno));
    return 0;
}

static int take_hold(struct keeper *k, struct err *err) {
    ssize_t n = readlink("/proc/self/exe", k->program, sizeof k->program - 1);
    if (n < 0)
        return err_set(err, -errno, "cannot find this program: %s", err_name(errno));
    int r = read_variable("keeper", &k->kept) ? 0 : open_fds(&k->kept, err);
    if (r < 0)
        return r;
    void *at = mmap(NULL, sizeof *k->head, PROT_READ | PROT_WRITE, MAP_SHARED, k->kept.fds[STATE_TABLES], 0);
    if (at == MAP_FAILED)
        return err_set(err, -errno, "cannot map the mount's state: %s", err_name(errno));
    k->head = at;
    return 0;
}

// ---- the daemon

static void become_daemon(const struct keeper *k, pid_t keeper) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(1);
    write_variable("daemon", &k->kept);
    // The very program of this process, whatever stands at its path by now: the two have to understand each other.
    (void)execv("/proc/self/exe", k->options->argv);
    _exit(127);
}

static int start_daemon(struct keeper *k) {
    pid_t self = getpid();
    k->started_ns = clock_monotonic(&clock_system);
    k->daemon = fork();
    if (k->daemon < 0)
        return -errno;
    if (k->daemon == 0)
        become_daemon(k, self);
    return 0;
}

// How many daemons ended within the window, with the one that just did.
static unsigned count_end(struct keeper *k) {
    int64_t now = clock_monotonic(&clock_system);
    unsigned recent = 1;
    for (unsigned i = 0; i < ENDS_MAX && i < k->end_count; i++)
        recent += now - k->ends[i] < KEEPER_WINDOW_S * NS_PER_S;
    k->ends[k->end_count++ % ENDS_MAX] = now;
    return recent;
}

// Only before one that follows a daemon which did not even live a second: programs wait meanwhile.
static void pause_before(const struct keeper *k, unsigned recent) {
    if (recent < 3 || clock_monotonic(&clock_system) - k->started_ns > NS_PER_S)
        return;
    struct timespec pause = {.tv_nsec = (recent < 10 ? recent : 10) * 50 * NS_PER_MS};
    (void)nanosleep(&pause, NULL);
}

// Pages of the program that starting took, and that come again from its file, are given back: waiting takes few.
static void drop_pages(void) {
    char line[512], access[5] = "";
    unsigned long first = 0, end = 0, start, stop, changed;
    bool file = false;
    FILE *maps = fopen("/proc/self/smaps", "re");
    while (maps && fgets(line, sizeof line, maps)) {
        char found[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &stop, found) == 3) {
            first = start, end = stop, file = strchr(line, '/') != NULL;
            memcpy(access, found, sizeof access);
        } else if (sscanf(line, "Anonymous: %lu", &changed) == 1 && changed == 0 && file &&
                   (strcmp(access, "r-xp") == 0 || strcmp(access, "r--p") == 0)) {
            (void)madvise((void *)first, end - first, MADV_DONTNEED);
        }
    }
    if (maps)
        (void)fclose(maps);
}

// ---- what the keeper is told

static void pass_on(struct keeper *k, int number) {
    k->ending = true;
    (void)kill(k->daemon, number); // its mask is ours until it looks for signals, so none comes too early
}

static void begin_upgrade(struct keeper *k) {
    char known[64], version[64];
    struct err err = ERR_NONE;
    if (!k->head->ready || k->upgrade || k->ending)
        return;
    state_version(known);
    int r = keeper_ask(k->program, k->options->argv, version, &err);
    if (r == 0 && strcmp(known, version) != 0)
        r = err_set(&err, -EPROTO, "it knows layout %s of the mount's state, this one has %s", version, known);
    if (r < 0) {
        log_error("the new program cannot take over; all stays as it is", LOG_S("program", k->program),
                  LOG_S("error", err_text(&err)));
        return;
    }
    k->upgrade = true;
    (void)kill(k->daemon, SIGHUP);
}

// Waits for the daemon's end, doing what signals ask for. Its wait status.
static int wait_daemon(struct keeper *k, const sigset_t *signals) {
    for (;;) {
        int status;
        pid_t pid = waitpid(k->daemon, &status, WNOHANG);
        if (pid == k->daemon || (pid < 0 && errno == ECHILD))
            return pid < 0 ? 0 : status;
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGTERM || number == SIGINT)
            pass_on(k, number);
        else if (number == SIGHUP)
            begin_upgrade(k);
    }
}

static void execute_new(struct keeper *k) {
    write_variable("keeper", &k->kept);
    (void)execv(k->program, k->options->argv);
    log_error("the new program cannot be executed; the old one goes on", LOG_S("program", k->program),
              LOG_S("error", err_name(errno)));
    struct kept back;
    (void)read_variable("keeper", &back); // descriptors are closed on exec again
}

// After an end that is not the end of the mount: true if another daemon shall follow.
static bool shall_follow(struct keeper *k, int status) {
    bool handover = WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_HANDOVER && k->upgrade;
    k->kept.resume = true;
    if (handover) {
        k->head->handovers++;
        execute_new(k);
        k->upgrade = false;
        return true;
    }
    k->upgrade = false;
    k->head->ended_ns = clock_monotonic(&clock_system);
    k->head->restarts++;
    unsigned recent = count_end(k);
    const char *how = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit";
    bool again = recent < k->options->max_ends;
    log_warning(again ? "the daemon ended and is started again" : "the daemon ends too often; the mount is given up",
                LOG_I("daemon", k->daemon), LOG_S("how", how),
                LOG_I("status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)), LOG_I("recent", recent));
    if (again)
        pause_before(k, recent);
    return again;
}

static int end_status(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int keep(struct keeper *k, const sigset_t *signals) {
    for (;;) {
        int r = start_daemon(k);
        if (r < 0) {
            log_error("cannot start the daemon", LOG_S("error", err_name(r)));
            return 1;
        }
        if (k->options->ready_fd > 2 && !k->kept.resume)
            (void)close(k->options->ready_fd); // so that whoever waits there sees the daemon end
        if (k->ending)
            (void)kill(k->daemon, SIGTERM);
        drop_pages();
        int status = wait_daemon(k, signals);
        bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (fine || !k->head->ready)
            return end_status(status);
        if (!shall_follow(k, status))
            return 1;
    }
}

int keeper_run(const struct keeper_options *options) {
    static struct keeper k; // one a process; not on the stack, which would be touched
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    struct err err = ERR_NONE;
    sigset_t signals;
    k.options = options;
    (void)sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        (void)sigaddset(&signals, numbers[i]);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    int r = take_hold(&k, &err);
    if (r < 0) {
        keeper_report(options->ready_fd, r, &err);
        return 1;
    }
    return keep(&k, &signals);
}
