// SPDX-License-Identifier: Apache-2.0
#include "sidecar/tokens.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "sidecar/tokens_file.h"

struct tokens {
    const struct clock *clock;
    char *path;
    pthread_rwlock_t lock; // of what follows
    struct token_list list;
    struct stat seen; // of the file that was read
};

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int tokens_reload(struct tokens *tokens, bool always, bool *ret_changed, struct err *err) {
    struct token_list list cleanup(token_list_done) = {0};
    struct stat now;
    *ret_changed = false;
    if (stat(tokens->path, &now) < 0)
        return err_set(err, -errno, "cannot read the tokens: %s: %s", tokens->path, err_name(errno));
    if (!always && same_file(&now, &tokens->seen)) // only reloads write it, and those come from one thread
        return 0;
    int r = token_list_read(tokens->path, &list, err);
    if (r < 0)
        return r;
    (void)pthread_rwlock_wrlock(&tokens->lock);
    struct token_list old = tokens->list;
    tokens->list = list;
    tokens->seen = now;
    list = old;
    (void)pthread_rwlock_unlock(&tokens->lock);
    *ret_changed = true;
    return 0;
}

int tokens_open(const char *path, const struct clock *clock, struct tokens **ret, struct err *err) {
    struct tokens *tokens cleanup(tokens_freep) = mem_zalloc(sizeof *tokens);
    if (!tokens)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_rwlock_init(&tokens->lock, NULL);
    tokens->clock = clock;
    tokens->path = mem_strdup(path);
    if (!tokens->path)
        return err_set(err, -ENOMEM, "out of memory");
    bool changed;
    int r = tokens_reload(tokens, true, &changed, err);
    if (r < 0)
        return r;
    *ret = take_ptr(tokens);
    return 0;
}

struct tokens *tokens_free(struct tokens *tokens) {
    if (!tokens)
        return NULL;
    token_list_done(&tokens->list);
    free(tokens->path);
    (void)pthread_rwlock_destroy(&tokens->lock);
    free(tokens);
    return NULL;
}

int tokens_find(struct tokens *tokens, const char *text, size_t len, struct principal *ret, struct err *err) {
    unsigned char digest[HASH_SHA256];
    struct principal found = {0};
    bool known = false;
    if (len > TOKEN_MAX)
        return err_set(err, -EPERM, "the token is not known");
    hash_sha256(text, len, digest);
    (void)pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; i < tokens->list.count; i++) {
        const struct token *token = &tokens->list.items[i];
        if (!hash_equal(digest, token->digest, sizeof digest))
            continue; // and so through all of them, also after a match
        known = true;
        found.write = token->write;
        found.expires_ms = token->expires_ms;
        memcpy(found.workspace, token->workspace, sizeof found.workspace);
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
    if (!known)
        return err_set(err, -EPERM, "the token is not known");
    if (found.expires_ms && clock_wall(tokens->clock) / NS_PER_MS >= found.expires_ms)
        return err_set(err, -EPERM, "the token has expired; ask for a new one");
    found.by_token = true;
    *ret = found;
    return 0;
}

bool tokens_has_workspace(struct tokens *tokens, const char *workspace) {
    bool has = false;
    (void)pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; !has && i < tokens->list.count; i++)
        has = str_eq(tokens->list.items[i].workspace, workspace);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return has;
}

bool tokens_only_workspace(struct tokens *tokens, char ret[static ENGINE_NAME_MAX + 1]) {
    (void)pthread_rwlock_rdlock(&tokens->lock);
    bool only = tokens->list.count > 0;
    for (size_t i = 1; only && i < tokens->list.count; i++)
        only = str_eq(tokens->list.items[i].workspace, tokens->list.items[0].workspace);
    if (only)
        memcpy(ret, tokens->list.items[0].workspace, ENGINE_NAME_MAX + 1);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return only;
}

int tokens_each_workspace(struct tokens *tokens, int (*fn)(void *arg, const char *workspace), void *arg) {
    int r = 0;
    (void)pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; r == 0 && i < tokens->list.count; i++) {
        bool first = true;
        for (size_t before = 0; first && before < i; before++)
            first = !str_eq(tokens->list.items[before].workspace, tokens->list.items[i].workspace);
        if (first)
            r = fn(arg, tokens->list.items[i].workspace);
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
    return r;
}

#define NEVER_MS INT64_C(253402300799000) // 9999-12-31T23:59:59Z: clients expect a number

static int append_masked(struct json *array, const struct token *token) {
    struct json *item cleanup(json_freep) = json_object_new();
    if (json_set_text(item, "masked_value", token->mask) < 0 ||
        json_set_int(item, "expires_at", token->expires_ms ? token->expires_ms : NEVER_MS) < 0 ||
        json_set_text(item, "access", token->write ? "write" : "read") < 0)
        return -ENOMEM;
    return json_append(array, take_ptr(item));
}

struct json *tokens_masked(struct tokens *tokens, const char *workspace) {
    struct json *array cleanup(json_freep) = json_array_new();
    int r = array ? 0 : -ENOMEM;
    (void)pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; r == 0 && i < tokens->list.count; i++)
        if (str_eq(tokens->list.items[i].workspace, workspace))
            r = append_masked(array, &tokens->list.items[i]);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return r == 0 ? take_ptr(array) : NULL;
}
