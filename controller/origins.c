// SPDX-License-Identifier: Apache-2.0
#include "controller/origins.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/nfs/posix_share.h"

struct origin {
    char *name, *root;
    atomic_bool held; // by a thread that was given up
};

struct origins {
    struct origin *items;
    size_t count;
    atomic_uint references; // this, and one each opening
};

// One attempt, of two threads: who is last frees it.
struct opening {
    struct origins *origins;
    struct origin *origin;
    char *path;
    struct nfs_cred cred;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t ended;
    bool done, given_up;
    int result;
    struct err err;
    struct nfs_share *share;
};

static int split(const char *value, char **ret_name, char **ret_root, struct err *err) {
    struct share_location location cleanup(share_location_done) = {0};
    const char *equals = strchr(value, '=');
    char *text cleanup_free =
        equals ? mem_printf("mount=%.*s%s", (int)(equals - value), value, equals + 1) : mem_strdup("");
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    if (share_location_parse(text, &location, NULL) < 0)
        return err_set(err, -EINVAL, "'%.100s' is no origin; write NAME=/path with a name of a-z, 0-9 and '-'", value);
    *ret_name = take_ptr(location.origin);
    *ret_root = take_ptr(location.path);
    return 0;
}

int origins_check(const char *value, struct err *err) {
    char *name cleanup_free = NULL;
    char *root cleanup_free = NULL;
    return split(value, &name, &root, err);
}

static struct origin *find(const struct origins *origins, const char *name) {
    for (size_t i = 0; i < origins->count; i++)
        if (str_eq(origins->items[i].name, name))
            return &origins->items[i];
    return NULL;
}

static void release(struct origins *origins) {
    if (atomic_fetch_sub(&origins->references, 1) > 1)
        return;
    for (size_t i = 0; i < origins->count; i++) {
        free(origins->items[i].name);
        free(origins->items[i].root);
    }
    free(origins->items);
    free(origins);
}

struct origins *origins_free(struct origins *origins) {
    if (origins)
        release(origins);
    return NULL;
}

int origins_new(const struct field_list *list, struct origins **ret, struct err *err) {
    struct origins *origins cleanup(origins_freep) = mem_zalloc(sizeof *origins);
    if (!origins)
        return err_set(err, -ENOMEM, "out of memory");
    atomic_init(&origins->references, 1);
    origins->items = mem_array(list->count + 1, sizeof *origins->items);
    if (!origins->items)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < list->count; i++) {
        struct origin *origin = &origins->items[origins->count];
        *origin = (struct origin){0};
        int r = split(list->items[i], &origin->name, &origin->root, err);
        if (r < 0)
            return r;
        if (find(origins, origin->name))
            r = err_set(err, -EINVAL, "two origins are called '%s'; give each its own name", origin->name);
        origins->count++;
        if (r < 0)
            return r;
    }
    *ret = take_ptr(origins);
    return 0;
}

// Users of the file system may have made symbolic links anywhere below its root, to anywhere.
static int open_directory(const struct origin *origin, const char *path, struct err *err) {
    int root cleanup_close = open(origin->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? -EHOSTUNREACH : -errno, "origin '%s': %.120s: %s",
                       origin->name, origin->root, err_name(errno));
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    const char *below = path[1] ? path + 1 : ".";
    int fd = (int)syscall(SYS_openat2, root, below, &how, sizeof how);
    return fd >= 0 ? fd
                   : err_set(err, -EHOSTUNREACH, "directory '%.120s' of origin '%s': %s", path, origin->name,
                             err_name(errno));
}

static int open_here(const struct opening *opening, struct nfs_share **ret, struct err *err) {
    int fd cleanup_close = open_directory(opening->origin, opening->path, err);
    if (fd < 0)
        return fd;
    char text[40];
    (void)snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
    struct posix_options options = {.path = text, .cred = opening->cred};
    return posix_share_open(&options, ret, err);
}

static void opening_free(struct opening *opening) {
    (void)nfs_share_free(opening->share);
    (void)pthread_cond_destroy(&opening->ended);
    (void)pthread_mutex_destroy(&opening->lock);
    release(opening->origins);
    free(opening->path);
    free(opening);
}

static void *run(void *arg) {
    struct opening *opening = arg;
    struct nfs_share *share = NULL;
    struct err err = ERR_NONE;
    int r = open_here(opening, &share, &err);
    bool alone;
    {
        LOCK_SCOPE(&opening->lock);
        opening->share = share;
        opening->result = r;
        opening->err = err;
        opening->done = true;
        alone = opening->given_up;
        (void)pthread_cond_signal(&opening->ended);
    }
    if (alone) {
        atomic_store(&opening->origin->held, false);
        opening_free(opening);
    }
    return NULL;
}

static int prepare(struct origins *origins, struct origin *origin, const char *path, const struct nfs_cred *cred,
                   struct opening **ret, struct err *err) {
    struct opening *opening = mem_zalloc(sizeof *opening);
    char *copy = mem_strdup(path);
    if (!opening || !copy) {
        free(opening);
        free(copy);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *opening = (struct opening){.origins = origins, .origin = origin, .path = copy, .cred = *cred};
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&opening->lock, NULL);
    (void)pthread_cond_init(&opening->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    atomic_fetch_add(&origins->references, 1);
    *ret = opening;
    return 0;
}

// False: it was given up and frees itself.
static bool wait_for(struct opening *opening, int64_t deadline_ns) {
    struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    LOCK_SCOPE(&opening->lock);
    while (!opening->done && pthread_cond_timedwait(&opening->ended, &opening->lock, &until) == 0)
        continue;
    opening->given_up = !opening->done;
    if (opening->given_up)
        atomic_store(&opening->origin->held, true);
    return opening->done;
}

static int no_answer(const struct origin *origin, struct err *err) {
    return err_set(err, -EHOSTUNREACH, "origin '%s' (%.120s) does not answer; check its file system", origin->name,
                   origin->root);
}

int origins_open(struct origins *origins, const char *name, const char *path, const struct nfs_cred *cred,
                 int64_t deadline_ns, struct nfs_share **ret, struct err *err) {
    struct origin *origin = origins ? find(origins, name) : NULL;
    struct opening *opening = NULL;
    pthread_t thread;
    if (!origin)
        return err_set(err, -EINVAL, "this stowage-controller has no origin '%.40s'; give it --origin %.40s=/path",
                       name, name);
    if (atomic_load(&origin->held))
        return no_answer(origin, err);
    int r = prepare(origins, origin, path, cred, &opening, err);
    if (r < 0)
        return r;
    r = pthread_create(&thread, NULL, run, opening);
    if (r != 0) {
        opening_free(opening);
        return err_set(err, -r, "no thread: %s", err_name(r));
    }
    (void)pthread_detach(thread);
    if (!wait_for(opening, deadline_ns))
        return no_answer(origin, err);
    r = opening->result;
    if (err)
        *err = opening->err;
    *ret = take_ptr(opening->share);
    opening_free(opening);
    return r;
}
