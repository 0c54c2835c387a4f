// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define PAGE 4096u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct guard *guards;
static struct sigaction before;

static struct guard *guard_of(const char *at) {
    struct guard *guard = guards;
    while (guard && (at < guard->at || at >= guard->at + guard->size))
        guard = guard->next;
    return guard;
}

// The system call and not a load: what cannot be read would be SIGBUS again.
static bool read_page(char *at, char ret[static PAGE]) {
    struct iovec local = {ret, PAGE}, remote = {at, PAGE};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == PAGE;
}

static bool replace(struct guard *guard, const char *at) {
    size_t page = (size_t)(at - guard->at) / PAGE;
    unsigned char bit = (unsigned char)(1u << page % 8);
    if (guard->replaced[page / 8] & bit) // by another thread meanwhile, which may have stored to it
        return true;
    char content[PAGE];
    bool kept = read_page(guard->at + page * PAGE, content);
    char *memory =
        mmap(guard->at + page * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    if (kept)
        memcpy(memory, content, PAGE);
    guard->replaced[page / 8] |= bit;
    atomic_store(&guard->failed, true);
    return true;
}

// Comes at the instruction that touched the page, which is done again after it. That never holds our lock, so we may take it.
static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    bool done = false;
    if (info->si_code > 0) { // of the kernel, not of kill(2)
        LOCK_SCOPE(&lock);
        struct guard *guard = guard_of(info->si_addr);
        done = guard && replace(guard, info->si_addr);
    }
    if (!done) {
        (void)sigaction(number, &before, NULL);
        if (info->si_code <= 0)
            (void)raise(number);
    }
    errno = saved;
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &before);
}

int guard_add(struct guard *guard, void *at, size_t size) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install);
    guard->replaced = mem_zalloc(size / PAGE / 8 + 1);
    if (!guard->replaced)
        return -ENOMEM;
    guard->at = at;
    guard->size = size;
    LOCK_SCOPE(&lock);
    guard->next = guards;
    guard->before = &guards;
    if (guards)
        guards->before = &guard->next;
    guards = guard;
    return 0;
}

void guard_remove(struct guard *guard) {
    {
        LOCK_SCOPE(&lock); // also to look: removing a neighbour writes here
        if (!guard->before)
            return;
        *guard->before = guard->next;
        if (guard->next)
            guard->next->before = guard->before;
        guard->before = NULL;
    }
    free(guard->replaced);
    guard->replaced = NULL;
}
