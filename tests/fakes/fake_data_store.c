// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/fake_data_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cm.h"

#define ASKED_MAX 4096

static struct {
    pthread_mutex_t lock;
    const struct fake_reply *replies;
    size_t count, asked_count;
    struct {
        char *request, *body;
    } asked[ASKED_MAX];
    char token[64];
    char *bodies;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_data_store_set(const struct fake_reply *replies, size_t count) {
    LOCK_SCOPE(&fake.lock);
    fake.replies = replies;
    fake.count = count;
}

void fake_data_store_forget(void) {
    LOCK_SCOPE(&fake.lock);
    for (size_t i = 0; i < fake.asked_count; i++) {
        free(fake.asked[i].request);
        free(fake.asked[i].body);
    }
    fake.asked_count = 0;
    free(fake.bodies);
    fake.bodies = NULL;
}

int fake_data_store_send(void *arg, const struct data_store_request *request, const char *token, struct str *ret_answer,
                         struct err *err) {
    char *text = NULL;
    (void)arg;
    LOCK_SCOPE(&fake.lock);
    assert_true(asprintf(&text, "%s %s%s", request->method, request->workspace, request->path) > 0);
    assert_true(fake.asked_count < ASKED_MAX);
    fake.asked[fake.asked_count].request = text;
    fake.asked[fake.asked_count++].body = request->body ? json_dump(request->body, false) : NULL;
    (void)snprintf(fake.token, sizeof fake.token, "%s", token ? token : "");
    for (size_t i = 0; i < fake.count; i++) {
        const struct fake_reply *reply = &fake.replies[i];
        const char *sent = fake.asked[fake.asked_count - 1].body;
        if (strncmp(text, reply->request, strlen(reply->request)) != 0 ||
            (reply->sent && !strstr(sent ? sent : "", reply->sent)))
            continue;
        if (reply->result < 0)
            return err_set(err, reply->result, "%s", reply->body ? reply->body : "as the test wants it");
        return reply->body ? str_append(ret_answer, reply->body) : 0;
    }
    return err_set(err, -EINVAL, "nobody expects %.200s", text);
}

unsigned fake_data_store_asked(const char *request) {
    unsigned n = 0;
    LOCK_SCOPE(&fake.lock);
    for (size_t i = 0; i < fake.asked_count; i++)
        n += strncmp(fake.asked[i].request, request, strlen(request)) == 0;
    return n;
}

const char *fake_data_store_bodies(const char *request) {
    struct str text = {0};
    LOCK_SCOPE(&fake.lock);
    for (size_t i = 0; i < fake.asked_count; i++)
        if (fake.asked[i].body && strncmp(fake.asked[i].request, request, strlen(request)) == 0)
            (void)str_append(&text, fake.asked[i].body);
    free(fake.bodies);
    fake.bodies = str_take(&text);
    return fake.bodies ? fake.bodies : "";
}

const char *fake_data_store_token(void) {
    return fake.token;
}
