// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct stuck {
    int pidfd;
    char *key; // may be NULL
};

static struct {
    pthread_mutex_t lock;
    struct stuck *items;
    size_t count;
    bool running; // the thread
    int wake;     // eventfd: the list grew; open while the thread runs
} reaper = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1};

static bool collect(int pidfd) {
    siginfo_t info = {0};
    int r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    return r < 0 || info.si_pid != 0;
}

static void drop_ended(void) {
    size_t kept = 0;
    for (size_t i = 0; i < reaper.count; i++) {
        struct stuck item = reaper.items[i];
        if (collect(item.pidfd)) {
            (void)close(item.pidfd);
            free(item.key);
        } else {
            reaper.items[kept++] = item;
        }
    }
    reaper.count = kept;
}

// The descriptors to wait for, in `*ret` (to be freed); 0 when the thread shall end.
static size_t prepare(struct pollfd **ret) {
    LOCK_SCOPE(&reaper.lock);
    drop_ended();
    struct pollfd *fds = reaper.count ? mem_array(reaper.count + 1, sizeof *fds) : NULL;
    if (!fds) {
        (void)close(take_fd(&reaper.wake));
        reaper.running = false;
        return 0;
    }
    fds[0] = (struct pollfd){.fd = reaper.wake, .events = POLLIN};
    for (size_t i = 0; i < reaper.count; i++)
        fds[i + 1] = (struct pollfd){.fd = reaper.items[i].pidfd, .events = POLLIN};
    *ret = fds;
    return reaper.count + 1;
}

static void *run(void *arg) {
    (void)arg;
    for (;;) {
        struct pollfd *fds cleanup_free = NULL;
        size_t count = prepare(&fds);
        if (count == 0)
            return NULL;
        (void)poll(fds, (nfds_t)count, -1);
        uint64_t wakes = 0;
        if (fds[0].revents)
            (void)!read(fds[0].fd, &wakes, sizeof wakes);
    }
}

// Under the lock.
static int wake_thread(void) {
    if (reaper.running) {
        uint64_t one = 1;
        (void)!write(reaper.wake, &one, sizeof one);
        return 0;
    }
    reaper.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reaper.wake < 0)
        return -errno;
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&thread, &attr, run, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    reaper.running = r == 0;
    if (r != 0)
        (void)close(take_fd(&reaper.wake));
    return -r;
}

int reaper_take(int pidfd, const char *key) {
    LOCK_SCOPE(&reaper.lock);
    struct stuck *grown = mem_realloc(reaper.items, reaper.count + 1, sizeof *grown);
    if (!grown) {
        (void)close(pidfd);
        return -ENOMEM;
    }
    reaper.items = grown;
    grown[reaper.count++] = (struct stuck){.pidfd = pidfd, .key = mem_strdup(key)};
    return wake_thread();
}

// Only the thread closes descriptors: it may be about to poll them.
static bool alive(int pidfd) {
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    return poll(&fd, 1, 0) == 0;
}

bool reaper_holds(const char *key) {
    LOCK_SCOPE(&reaper.lock);
    for (size_t i = 0; key && i < reaper.count; i++)
        if (str_eq(reaper.items[i].key, key) && alive(reaper.items[i].pidfd))
            return true;
    return false;
}

unsigned reaper_count(void) {
    LOCK_SCOPE(&reaper.lock);
    unsigned count = 0;
    for (size_t i = 0; i < reaper.count; i++)
        count += alive(reaper.items[i].pidfd);
    return count;
}
