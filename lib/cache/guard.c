// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

static struct region {
    _Atomic uintptr_t at; // 0: free; 1: being taken
    _Atomic size_t len;
} regions[GUARD_MOST];
static atomic_uint regions_used; // those at and beyond it were never taken
static struct sigaction before;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static bool replace(uintptr_t fault) { // in the signal handler: system calls and atomics only
    unsigned used = atomic_load(&regions_used);
    for (unsigned i = 0; i < used; i++) {
        uintptr_t at = atomic_load(&regions[i].at);
        size_t len = atomic_load(&regions[i].len);
        if (at > 1 && fault >= at && fault - at < len)
            return mmap((void *)at, len, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
    }
    return false;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
    (void)context;
    bool fault = info->si_code > 0;
    if (fault && replace((uintptr_t)info->si_addr))
        return;
    (void)sigaction(signal, &before, NULL); // a fault comes again at once, and goes there
    if (!fault)
        (void)raise(signal);
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &before);
}

void guard_add(void *at, size_t len) {
    (void)pthread_once(&installed, install);
    for (unsigned i = 0; i < GUARD_MOST; i++) {
        uintptr_t free_one = 0;
        if (!atomic_compare_exchange_strong(&regions[i].at, &free_one, 1))
            continue;
        atomic_store(&regions[i].len, len);
        atomic_store(&regions[i].at, (uintptr_t)at);
        for (unsigned used = atomic_load(&regions_used); used <= i;)
            if (atomic_compare_exchange_weak(&regions_used, &used, i + 1))
                break;
        return;
    }
}

void guard_remove(void *at) {
    unsigned used = atomic_load(&regions_used);
    for (unsigned i = 0; i < used; i++)
        if (atomic_load(&regions[i].at) == (uintptr_t)at) {
            atomic_store(&regions[i].at, 0);
            return;
        }
}
