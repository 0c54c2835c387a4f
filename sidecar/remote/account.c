// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/account.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/jwt.h"
#include "lib/base/mem.h"

struct account {
    char *path;
    struct stat seen; // of the file that was read
    pthread_mutex_t lock;
    char *token; // under the lock
};

// kubelet's file is a symbolic link into a folder that it replaces.
static int read_token(const char *path, struct stat *ret_seen, char **ret, struct err *err) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    char *text cleanup_free = mem_alloc(ACCOUNT_TOKEN_MAX + 1);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    ssize_t n = fd >= 0 && fstat(fd, ret_seen) == 0 ? read(fd, text, ACCOUNT_TOKEN_MAX + 1) : -1;
    if (n < 0)
        return err_set(err, -errno,
                       "cannot read the token %.120s: %s; mount a projected token there, or give --token-file", path,
                       err_name(errno));
    if (n > ACCOUNT_TOKEN_MAX)
        return err_set(err, -EINVAL, "%.120s has more than %d bytes: that is no token", path, ACCOUNT_TOKEN_MAX);
    text[n] = '\0';
    text[strcspn(text, " \t\r\n")] = '\0'; // "TOKEN WORKSPACE write", as a store makes it, serves too
    if (!*text)
        return err_set(err, -EINVAL, "%.120s holds no token", path);
    for (const char *at = text; *at; at++)
        if (*at < '!' || *at > '~')
            return err_set(err, -EINVAL, "%.120s holds what is no token", path);
    *ret = take_ptr(text);
    return 0;
}

int account_open(const char *path, struct account **ret, struct err *err) {
    struct account *account cleanup(account_freep) = mem_zalloc(sizeof *account);
    if (!account)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&account->lock, NULL);
    account->path = mem_strdup(path);
    if (!account->path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = read_token(path, &account->seen, &account->token, err);
    if (r == 0)
        *ret = take_ptr(account);
    return r;
}

static void forget(char *token) {
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
}

struct account *account_free(struct account *account) {
    if (!account)
        return NULL;
    forget(account->token);
    free(account->path);
    (void)pthread_mutex_destroy(&account->lock);
    free(account);
    return NULL;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int account_reload(struct account *account, bool *ret_changed, struct err *err) {
    struct stat now = {0};
    char *token = NULL;
    *ret_changed = false;
    if (stat(account->path, &now) == 0 && same_file(&now, &account->seen))
        return 0;
    int r = read_token(account->path, &now, &token, err);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&account->lock);
    char *old = account->token;
    account->token = token;
    (void)pthread_mutex_unlock(&account->lock);
    forget(old);
    account->seen = now;
    *ret_changed = true;
    return 0;
}

int account_append_field(struct account *account, struct str *out) {
    LOCK_SCOPE(&account->lock);
    return str_printf(out, "Authorization: Bearer %s\r\n", account->token);
}

char *account_namespace(struct account *account) {
    LOCK_SCOPE(&account->lock);
    struct json *payload cleanup(json_freep) = jwt_payload(account->token);
    const struct json *cluster = payload ? json_get(payload, "kubernetes.io") : NULL;
    return cluster ? mem_strdup(json_get_text(cluster, "namespace")) : NULL;
}
