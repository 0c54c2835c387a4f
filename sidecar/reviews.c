// SPDX-License-Identifier: Apache-2.0
#include "sidecar/reviews.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/jwt.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/strmap.h"

#define THREADS 2
#define AWAY_AGAIN_S 5 // while the cluster cannot be asked

struct waiter {
    void (*done)(void *arg, int r, const struct err *err);
    void *arg;
    struct waiter *next;
};

struct review {
    char key[2 * HASH_SHA256 + 1];
    struct principal principal;
    int said; // 0, -EPERM, -EACCES; 1: nothing yet
    char why[160];
    int64_t counts_until, refresh_after, kept_until, used; // monotonic ns
    bool asking;
    struct waiter *waiters;
};

struct asking { // one at the cluster
    struct work work;
    struct reviews *reviews;
    char key[2 * HASH_SHA256 + 1];
    char *token;
    struct asking *next, **link;
};

struct reviews {
    struct reviews_options options;
    struct workq *threads;
    pthread_mutex_t lock; // of what follows
    struct strmap known;  // of struct review by hex digest
    struct strmap workspaces;
    struct asking *asked; // queued and running
    unsigned waiting;
};

// ---- rules ---------------------------------------------------------------------------------------------------------

void review_rule_done(struct review_rule *rule) {
    free(rule->ns);
    free(rule->account);
    *rule = (struct review_rule){0};
}

int review_rule_parse(const char *text, struct review_rule *ret, struct err *err) {
    static const char *const rights[] = {"none", "read", "write", "all"}; // enum review_right
    const char *slash = strchr(text, '/'), *equals = slash ? strchr(slash, '=') : NULL;
    int right = -1;
    for (int i = 0; equals && i < (int)ARRAY_SIZE(rights); i++)
        if (str_eq(equals + 1, rights[i]))
            right = i;
    if (right < 0 || slash == text || equals == slash + 1)
        return err_set(err, -EINVAL, "'%.80s' is not NAMESPACE/ACCOUNT=read|write|none|all; * stands for all", text);
    if (right == REVIEW_ALL && memchr(text, '*', (size_t)(equals - text)))
        return err_set(err, -EINVAL, "'%.80s' opens every workspace to more than one account: name it", text);
    *ret = (struct review_rule){.ns = mem_strndup(text, (size_t)(slash - text)),
                                .account = mem_strndup(slash + 1, (size_t)(equals - slash - 1)),
                                .right = (enum review_right)right};
    return ret->ns && ret->account ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static bool fits(const char *pattern, const char *name) {
    return str_eq(pattern, "*") || str_eq(pattern, name);
}

static enum review_right right_of(const struct reviews *reviews, const struct review_account *account) {
    for (size_t i = 0; i < reviews->options.rule_count; i++) {
        const struct review_rule *rule = &reviews->options.rules[i];
        if (fits(rule->ns, account->ns) && fits(rule->account, account->name))
            return rule->right;
    }
    return REVIEW_WRITE;
}

// ---- what is known ---------------------------------------------------------------------------------------------------

static int64_t now_of(const struct reviews *reviews) {
    return clock_monotonic(reviews->options.clock);
}

static void key_of(const char *token, char ret[static 2 * HASH_SHA256 + 1]) {
    unsigned char digest[HASH_SHA256];
    hash_sha256(token, strlen(token), digest);
    hash_hex(digest, sizeof digest, ret);
}

// Room for one more: what nobody waits for and was used longest ago goes.
static void make_room(struct reviews *reviews) {
    struct review *oldest = NULL;
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&reviews->known, &i));) {
        struct review *review = slot->value;
        if (!review->asking && (!oldest || review->used < oldest->used))
            oldest = review;
    }
    if (oldest)
        free(strmap_remove(&reviews->known, oldest->key));
}

static struct review *review_of(struct reviews *reviews, const char *key, bool make) {
    struct review *review = strmap_get(&reviews->known, key);
    if (review || !make)
        return review;
    if (reviews->known.len >= REVIEWS_MAX)
        make_room(reviews);
    if (reviews->known.len >= REVIEWS_MAX || !(review = mem_zalloc(sizeof *review)))
        return NULL;
    review->said = 1;
    review->used = now_of(reviews);
    (void)snprintf(review->key, sizeof review->key, "%s", key);
    if (strmap_put(&reviews->known, key, review) < 0)
        free(take_ptr(review));
    return review;
}

// ---- asking ------------------------------------------------------------------------------------------------------------

static struct waiter *take_waiters(struct reviews *reviews, struct review *review) {
    struct waiter *waiters = take_ptr(review->waiters);
    for (struct waiter *w = waiters; w; w = w->next)
        reviews->waiting--;
    return waiters;
}

static void tell(struct waiter *waiters, int r, const struct err *err) {
    for (struct waiter *w; (w = waiters);) {
        waiters = w->next;
        w->done(w->arg, r, err);
        free(w);
    }
}

static void asking_free(struct asking *asking) {
    if (asking->token)
        explicit_bzero(asking->token, strlen(asking->token));
    free(asking->token);
    free(asking);
}

static int64_t expiry_of(const char *token) {
    struct json *payload cleanup(json_freep) = jwt_payload(token);
    int64_t seconds = payload ? json_get_int(payload, "exp", 0) : 0;
    return seconds > 0 && seconds < INT64_MAX / 1000 ? seconds * 1000 : 0;
}

static void note_yes(struct reviews *reviews, struct review *review, const struct review_account *account,
                     int64_t expires_ms) {
    int64_t now = now_of(reviews);
    enum review_right right = right_of(reviews, account);
    review->said = right == REVIEW_NONE ? -EACCES : 0;
    if (right == REVIEW_NONE)
        (void)snprintf(review->why, sizeof review->why, "the service account %.63s/%.60s may not use this store",
                       account->ns, account->name);
    review->principal = (struct principal){.write = right >= REVIEW_WRITE,
                                           .every_workspace = right == REVIEW_ALL,
                                           .by_token = true,
                                           .expires_ms = expires_ms};
    (void)snprintf(review->principal.workspace, sizeof review->principal.workspace, "%s", account->ns);
    review->refresh_after = now + REVIEWS_FRESH_S * NS_PER_S;
    review->counts_until = now + REVIEWS_ASK_S * NS_PER_S;
    review->kept_until = now + REVIEWS_KEPT_S * NS_PER_S;
}

static void note_no(struct reviews *reviews, struct review *review, const struct err *err) {
    review->said = -EPERM;
    (void)snprintf(review->why, sizeof review->why, "%.150s", err_text(err));
    review->counts_until = review->refresh_after = now_of(reviews) + REVIEWS_NO_S * NS_PER_S;
    review->kept_until = 0;
}

// The cluster cannot be asked: what it said before counts a while longer. False: nothing does.
static bool note_silence(struct reviews *reviews, struct review *review) {
    int64_t now = now_of(reviews), longer = now + REVIEWS_ASK_S * NS_PER_S;
    if (review->said == 1 || now >= review->kept_until)
        return false;
    review->counts_until = longer < review->kept_until ? longer : review->kept_until;
    review->refresh_after = now + AWAY_AGAIN_S * NS_PER_S;
    return true;
}

static int unreachable(struct err *err) {
    struct err why = *err;
    return err_set(err, -EHOSTDOWN, "the cluster cannot be asked whose the token is; try again (%.150s)",
                   err_text(&why));
}

static bool is_new_workspace(struct reviews *reviews, const char *workspace) {
    LOCK_SCOPE(&reviews->lock);
    return !strmap_get(&reviews->workspaces, workspace) && strmap_put(&reviews->workspaces, workspace, reviews) == 0;
}

static void conclude(struct asking *asking, int r, const struct review_account *account, struct err *err) {
    struct reviews *reviews = asking->reviews;
    struct waiter *waiters = NULL;
    (void)pthread_mutex_lock(&reviews->lock);
    struct review *review = review_of(reviews, asking->key, false);
    review->asking = false;
    if (r == 0)
        note_yes(reviews, review, account, expiry_of(asking->token));
    else if (r == -EPERM)
        note_no(reviews, review, err);
    bool known = r == 0 || r == -EPERM || note_silence(reviews, review);
    waiters = take_waiters(reviews, review);
    if (review->said == 1)
        free(strmap_remove(&reviews->known, asking->key));
    *asking->link = asking->next;
    if (asking->next)
        asking->next->link = asking->link;
    (void)pthread_mutex_unlock(&reviews->lock);
    tell(waiters, known ? 0 : unreachable(err), err);
    asking_free(asking);
}

static void run_asking(struct work *work) {
    struct asking *asking = (struct asking *)work;
    struct reviews *reviews = asking->reviews;
    struct review_account account = {0};
    struct err err = ERR_NONE;
    int r = reviews->options.ask(reviews->options.arg, asking->token, &account, &err);
    if (r == 0 && reviews->options.workspace_seen && is_new_workspace(reviews, account.ns))
        reviews->options.workspace_seen(reviews->options.arg, account.ns);
    if (r < 0 && r != -EPERM)
        log_warning("token not reviewed", LOG_S("error", err_text(&err)));
    conclude(asking, r, &account, &err);
}

// Under the lock. -ENOMEM, -ECANCELED.
static int start_asking(struct reviews *reviews, struct review *review, const char *token) {
    struct asking *asking = mem_zalloc(sizeof *asking);
    if (!asking || !(asking->token = mem_strdup(token))) {
        free(asking);
        return -ENOMEM;
    }
    asking->work.run = run_asking;
    asking->reviews = reviews;
    memcpy(asking->key, review->key, sizeof asking->key);
    asking->link = &reviews->asked;
    asking->next = reviews->asked;
    if (asking->next)
        asking->next->link = &asking->next;
    reviews->asked = asking;
    review->asking = true;
    if (workq_push(reviews->threads, &asking->work) == 0)
        return 0;
    reviews->asked = asking->next;
    if (asking->next)
        asking->next->link = &reviews->asked;
    review->asking = false;
    asking_free(asking);
    return -ECANCELED;
}

// ---- what others ask -----------------------------------------------------------------------------------------------------

int reviews_find(struct reviews *reviews, const char *token, struct principal *ret, struct err *err) {
    char key[2 * HASH_SHA256 + 1];
    key_of(token, key);
    LOCK_SCOPE(&reviews->lock);
    struct review *review = review_of(reviews, key, false);
    int64_t now = now_of(reviews);
    if (!review || review->said == 1 || now >= review->counts_until)
        return -EINPROGRESS;
    review->used = now;
    if (review->said == 0 && now >= review->refresh_after && !review->asking)
        (void)start_asking(reviews, review, token); // else the next one tries
    if (review->said < 0)
        return err_set(err, review->said, "%s", review->why);
    int64_t expires_ms = review->principal.expires_ms;
    if (expires_ms && clock_wall(reviews->options.clock) / NS_PER_MS >= expires_ms)
        return err_set(err, -EPERM, "the token has expired");
    *ret = review->principal;
    return 0;
}

static int add_waiter(struct reviews *reviews, const char *token, struct waiter *waiter) {
    char key[2 * HASH_SHA256 + 1];
    key_of(token, key);
    LOCK_SCOPE(&reviews->lock);
    if (reviews->waiting >= REVIEWS_WAITING)
        return -EBUSY;
    struct review *review = review_of(reviews, key, true);
    int r = !review ? -ENOMEM : review->asking ? 0 : start_asking(reviews, review, token);
    if (r == 0) {
        waiter->next = review->waiters;
        review->waiters = waiter;
        reviews->waiting++;
    } else if (review && review->said == 1) {
        free(strmap_remove(&reviews->known, key));
    }
    return r;
}

void reviews_ask(struct reviews *reviews, const char *token, void (*done)(void *arg, int r, const struct err *err),
                 void *arg) {
    struct waiter *waiter = mem_zalloc(sizeof *waiter);
    struct err err = ERR_NONE;
    if (waiter) {
        *waiter = (struct waiter){.done = done, .arg = arg};
        if (add_waiter(reviews, token, waiter) == 0)
            return;
    }
    free(waiter);
    (void)err_set(&err, -EHOSTDOWN, "too many tokens wait to be looked at; try again");
    done(arg, -EHOSTDOWN, &err);
}

void reviews_enter(struct reviews *reviews, const char *workspace) {
    if (reviews->options.workspace_seen && is_new_workspace(reviews, workspace))
        reviews->options.workspace_seen(reviews->options.arg, workspace);
}

// ---- begin and end ---------------------------------------------------------------------------------------------------------

int reviews_new(const struct reviews_options *options, struct reviews **ret, struct err *err) {
    struct reviews *reviews cleanup(reviews_freep) = mem_zalloc(sizeof *reviews);
    if (!reviews)
        return err_set(err, -ENOMEM, "out of memory");
    reviews->options = *options;
    (void)pthread_mutex_init(&reviews->lock, NULL);
    int r = workq_new("reviews", THREADS, &reviews->threads, err);
    if (r == 0)
        *ret = take_ptr(reviews);
    return r;
}

struct reviews *reviews_free(struct reviews *reviews) {
    struct err err = ERR_NONE;
    const struct strmap_slot *slot;
    if (!reviews)
        return NULL;
    reviews->threads = workq_free(reviews->threads); // what did not begin is dropped
    (void)err_set(&err, -EHOSTDOWN, "the server is stopping");
    for (size_t i = 0; (slot = strmap_next(&reviews->known, &i));) {
        struct review *review = slot->value;
        tell(take_waiters(reviews, review), -EHOSTDOWN, &err);
        free(review);
    }
    for (struct asking *asking; (asking = reviews->asked);) {
        reviews->asked = asking->next;
        asking_free(asking);
    }
    strmap_done(&reviews->known);
    strmap_done(&reviews->workspaces);
    (void)pthread_mutex_destroy(&reviews->lock);
    free(reviews);
    return NULL;
}
