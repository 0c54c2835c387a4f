// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/notifier.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "sidecar/remote/local_http.h"

#define WAIT_S 5 // for a step of a request
#define FIRST_PAUSE_NS (100 * NS_PER_MS)

struct notice {
    char *ns;
    int64_t version;
    struct json *changed; // NULL: anything
    bool pending, anything;
    struct notice *next;
};

struct notifier {
    struct notify_spec to;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    struct notice *notices; // under the lock, one a namespace
    bool stop;
};

static struct metric sent = {.type = METRIC_COUNTER,
                             .name = "stowage_projection_notify_total",
                             .help = "Requests that told of changed files",
                             .labels = {"result"}};

// ---- what is to be told; with the lock held --------------------------------------------------------------------------------

static struct notice *notice_of(struct notifier *notifier, const char *ns) {
    struct notice *notice = notifier->notices;
    while (notice && !str_eq(notice->ns, ns))
        notice = notice->next;
    if (notice)
        return notice;
    notice = mem_zalloc(sizeof *notice);
    char *copy = mem_strdup(ns);
    if (!notice || !copy) {
        free(notice);
        free(copy);
        return NULL;
    }
    notice->ns = copy;
    notice->next = notifier->notices;
    notifier->notices = notice;
    return notice;
}

static int add_name(const char *name, const struct json *value, void *arg) {
    (void)value;
    return json_set_bool(arg, name, true);
}

static void merge(struct notice *notice, int64_t version, struct json *changed) {
    notice->version = version;
    notice->pending = true;
    if (!changed || notice->anything) {
        notice->anything = true;
        notice->changed = json_free(notice->changed);
        (void)json_free(changed);
    } else if (!notice->changed) {
        notice->changed = changed;
    } else {
        if (json_each(changed, add_name, notice->changed) < 0)
            notice->anything = true;
        (void)json_free(changed);
    }
}

void notifier_tell(struct notifier *notifier, const char *ns, int64_t version, struct json *changed) {
    LOCK_SCOPE(&notifier->lock);
    struct notice *notice = notice_of(notifier, ns);
    if (!notice) {
        (void)json_free(changed);
        return;
    }
    merge(notice, version, changed);
    (void)pthread_cond_signal(&notifier->woken);
}

// ---- telling ------------------------------------------------------------------------------------------------------------

static int append_name(const char *name, const struct json *value, void *arg) {
    (void)value;
    return json_append_text(arg, name);
}

static char *body_of(const struct notice *notice) {
    struct json *object cleanup(json_freep) = json_object_new();
    bool anything = notice->anything || !notice->changed;
    struct json *changed = anything ? json_null_new() : json_array_new();
    int r = anything ? 0 : json_each(notice->changed, append_name, changed);
    if (json_set(object, "changed", changed) < 0 || r < 0 || json_set_text(object, "namespace", notice->ns) < 0 ||
        json_set_int(object, "version", notice->version) < 0)
        return NULL;
    return json_dump(object, false);
}

static int post(const struct notifier *notifier, const char *body, struct err *err) {
    char answer[512];
    char *text cleanup_free = mem_printf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                                         "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                                         notifier->to.path, notifier->to.address, strlen(body), body);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    const struct local_request request = {
        .address = notifier->to.address, .data = text, .len = strlen(text), .wait_s = WAIT_S};
    int r = local_http_ask(&request, answer, sizeof answer, err);
    if (r < 0)
        return r;
    if (str_starts(answer, "HTTP/1.1 2") || str_starts(answer, "HTTP/1.0 2"))
        return 0;
    return err_set(err, -EPROTO, "%.60s answered '%.*s'", notifier->to.address, (int)strcspn(answer, "\r\n"), answer);
}

// Waits with the lock held. False: it is over.
static bool pause_for(struct notifier *notifier, int64_t ns) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    ns += until.tv_nsec;
    until.tv_sec += ns / NS_PER_S;
    until.tv_nsec = ns % NS_PER_S;
    int r = 0;
    while (!notifier->stop && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&notifier->woken, &notifier->lock, &until);
    return !notifier->stop;
}

// With the lock held, which is let go meanwhile. What changes while a try is under way, or fails, goes along with the next one.
static void tell(struct notifier *notifier, struct notice *notice) {
    struct err err = ERR_NONE;
    int r = -EAGAIN;
    for (int i = 0; r < 0 && i < NOTIFY_TRIES; i++) {
        if (i && !pause_for(notifier, FIRST_PAUSE_NS << i))
            return;
        char *body cleanup_free = body_of(notice);
        struct notice telling = *notice;
        notice->changed = NULL;
        notice->pending = notice->anything = false;
        (void)pthread_mutex_unlock(&notifier->lock);
        r = body ? post(notifier, body, &err) : err_set(&err, -ENOMEM, "out of memory");
        metric_add(&sent, r == 0 ? "ok" : "failed", NULL, 1);
        (void)pthread_mutex_lock(&notifier->lock);
        if (r == 0)
            (void)json_free(telling.changed);
        else
            merge(notice, notice->pending ? notice->version : telling.version,
                  telling.anything ? NULL : telling.changed);
    }
    if (r == 0)
        return;
    log_warning("nobody was told that files changed", LOG_S("namespace", notice->ns), LOG_S("error", err_text(&err)));
    merge(notice, notice->version, NULL);
    notice->pending = false; // with the next change
}

static void *run(void *arg) {
    struct notifier *notifier = arg;
    LOCK_SCOPE(&notifier->lock);
    while (!notifier->stop) {
        struct notice *notice = notifier->notices;
        while (notice && !notice->pending)
            notice = notice->next;
        if (notice)
            tell(notifier, notice);
        else
            (void)pthread_cond_wait(&notifier->woken, &notifier->lock);
    }
    return NULL;
}

// ---- begin and end ------------------------------------------------------------------------------------------------------

static struct notifier *release(struct notifier *notifier) {
    for (struct notice *notice; (notice = notifier->notices);) {
        notifier->notices = notice->next;
        (void)json_free(notice->changed);
        free(notice->ns);
        free(notice);
    }
    notify_spec_done(&notifier->to);
    (void)pthread_cond_destroy(&notifier->woken);
    (void)pthread_mutex_destroy(&notifier->lock);
    free(notifier);
    return NULL;
}

int notifier_start(const char *url, struct notifier **ret, struct err *err) {
    struct notifier *notifier = mem_zalloc(sizeof *notifier);
    pthread_condattr_t attr;
    if (!notifier)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&notifier->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&notifier->woken, &attr);
    (void)pthread_condattr_destroy(&attr);
    metric_register(&sent);
    int r = notify_spec_parse(url, &notifier->to, err);
    if (r == 0)
        r = pthread_create(&notifier->thread, NULL, run, notifier);
    if (r != 0) {
        (void)release(notifier);
        return r < 0 ? r : err_set(err, -r, "cannot start a thread: %s", err_name(r));
    }
    *ret = notifier;
    return 0;
}

struct notifier *notifier_stop(struct notifier *notifier) {
    if (!notifier)
        return NULL;
    (void)pthread_mutex_lock(&notifier->lock);
    notifier->stop = true;
    (void)pthread_cond_signal(&notifier->woken);
    (void)pthread_mutex_unlock(&notifier->lock);
    (void)pthread_join(notifier->thread, NULL);
    return release(notifier);
}
