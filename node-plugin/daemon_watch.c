// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/daemon_watch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

struct watched {
    struct watched *next;
    char *volume;
    struct process_id process;
    int pidfd;
};

struct daemon_watch {
    void (*ended)(const char *, const struct process_id *, void *);
    void *arg;
    int epoll, stop;      // stop: an eventfd
    pthread_mutex_t lock; // of the list and `running`
    struct watched *list;
    bool running;
    pthread_t thread;
};

static void watched_free(struct watched *watched) {
    (void)close(watched->pidfd);
    free(watched->volume);
    free(watched);
}

static void unlink_watched(struct daemon_watch *watch, struct watched *watched) {
    LOCK_SCOPE(&watch->lock);
    for (struct watched **at = &watch->list; *at; at = &(*at)->next)
        if (*at == watched) {
            *at = watched->next;
            return;
        }
}

static void *run(void *arg) {
    struct daemon_watch *watch = arg;
    for (;;) {
        struct epoll_event event;
        int n = epoll_wait(watch->epoll, &event, 1, -1);
        if (n <= 0)
            continue;
        struct watched *watched = event.data.ptr;
        if (!watched)
            return NULL;
        (void)!process_wait(watched->pidfd, clock_monotonic(&clock_system)); // reaps it when it is ours
        // Closing is not enough: a copy in a child that is about to exec would keep the entry alive.
        (void)epoll_ctl(watch->epoll, EPOLL_CTL_DEL, watched->pidfd, NULL);
        unlink_watched(watch, watched);
        watch->ended(watched->volume, &watched->process, watch->arg);
        watched_free(watched);
    }
}

int daemon_watch_new(void (*ended)(const char *, const struct process_id *, void *), void *arg,
                     struct daemon_watch **ret, struct err *err) {
    struct daemon_watch *watch cleanup(daemon_watch_freep) = mem_zalloc(sizeof *watch);
    if (!watch)
        return err_set(err, -ENOMEM, "out of memory");
    *watch = (struct daemon_watch){.ended = ended, .arg = arg, .epoll = -1, .stop = -1};
    (void)pthread_mutex_init(&watch->lock, NULL);
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch->stop = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (watch->epoll < 0 || watch->stop < 0 || epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watch->stop, &event) < 0)
        return err_set(err, -errno, "cannot watch processes: %s", err_name(errno));
    *ret = take_ptr(watch);
    return 0;
}

struct daemon_watch *daemon_watch_free(struct daemon_watch *watch) {
    if (!watch)
        return NULL;
    if (watch->running) {
        uint64_t one = 1;
        (void)!write(watch->stop, &one, sizeof one);
        (void)pthread_join(watch->thread, NULL);
    }
    for (struct watched *at = watch->list, *next = NULL; at; at = next) {
        next = at->next;
        watched_free(at);
    }
    if (watch->epoll >= 0)
        (void)close(watch->epoll);
    if (watch->stop >= 0)
        (void)close(watch->stop);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
    return NULL;
}

// Under the lock. Signals stay with the thread that waits for them.
static int start_thread(struct daemon_watch *watch) {
    if (watch->running)
        return 0;
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&watch->thread, NULL, run, watch);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    watch->running = r == 0;
    return -r;
}

int daemon_watch_add(struct daemon_watch *watch, const char *volume, const struct process_id *process, int pidfd,
                     struct err *err) {
    struct watched *watched = mem_zalloc(sizeof *watched);
    if (!watched || !(watched->volume = mem_strdup(volume))) {
        free(watched);
        (void)close(pidfd);
        return err_set(err, -ENOMEM, "out of memory");
    }
    watched->process = *process;
    watched->pidfd = pidfd;
    LOCK_SCOPE(&watch->lock);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched};
    int r = start_thread(watch);
    if (r == 0 && epoll_ctl(watch->epoll, EPOLL_CTL_ADD, pidfd, &event) < 0)
        r = -errno;
    if (r < 0) {
        watched_free(watched);
        return err_set(err, r, "cannot watch the daemon of volume '%.128s': %s", volume, err_name(r));
    }
    watched->next = watch->list;
    watch->list = watched;
    return 0;
}
