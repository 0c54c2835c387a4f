// SPDX-License-Identifier: Apache-2.0
// Scope-bound cleanup: what a variable owns is released when it goes out of scope, on every path.
//
// Destructors used with `cleanup(fn)` take a pointer to the variable, accept a NULL inside it, and are made
// from a `foo_free(struct foo *)` that returns NULL by DEFINE_CLEANUP(foo).
#pragma once

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn)))
#define must_check __attribute__((warn_unused_result))

static inline void cleanup_freep(void *p) {
    free(*(void **)p);
}
static inline void cleanup_closep(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}
static inline void cleanup_unlockp(pthread_mutex_t *const *lock) {
    if (*lock)
        (void)pthread_mutex_unlock(*lock);
}

#define cleanup_free cleanup(cleanup_freep)
#define cleanup_close cleanup(cleanup_closep)

// Gives away what a variable owns: `return take_ptr(x);`
#define take_ptr(p)                                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(p) taken_ = (p);                                                                                    \
        (p) = NULL;                                                                                                    \
        taken_;                                                                                                        \
    })
static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

// For a destructor `struct name *name_free(struct name *)`: makes `name_freep` for `cleanup(name_freep)`.
#define DEFINE_CLEANUP(name)                                                                                           \
    static inline void name##_freep(struct name **p) {                                                                 \
        (void)name##_free(*p);                                                                                         \
    }

// Holds a mutex until the end of the enclosing scope. One per scope.
#define LOCK_SCOPE(lock)                                                                                               \
    pthread_mutex_t *const scoped_lock_ cleanup(cleanup_unlockp) __attribute__((unused)) = (lock);                     \
    (void)pthread_mutex_lock(scoped_lock_)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
