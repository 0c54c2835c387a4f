// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/fake_kube.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "tests/support/cm.h"

struct fake_kube {
    const struct fake_answer *answers;
    size_t count, at;
    char *last;
};

static struct { _Atomic int64_t now_ns; } fake_time = {.now_ns = NS_PER_S}; // a test moves it while threads read it

static int64_t fake_now(void *ctx) {
    (void)ctx;
    return fake_time.now_ns;
}
static void fake_random(void *ctx, void *buf, size_t n) {
    (void)ctx;
    (void)memset(buf, 0xff, n);
}
static const struct clock_ops clock_ops = {fake_now, fake_now, fake_random};
const struct clock fake_kube_clock = {&clock_ops, NULL};

void fake_kube_clock_set(int64_t ns) {
    fake_time.now_ns = ns;
}
void fake_kube_clock_add(int64_t ns) {
    fake_time.now_ns += ns;
}

static int send_chunks(const struct fake_answer *answer, const struct kube_request *request, struct str *body,
                       struct err *err) {
    int r = 0;
    for (const char *const *chunk = answer->chunks; r == 0 && chunk && *chunk; chunk++)
        r = request->chunk ? request->chunk(request->arg, *chunk, strlen(*chunk), err) : str_append(body, *chunk);
    return r;
}

static int fake_send(void *self, const struct kube_request *request, struct str *ret_body, struct err *err) {
    struct fake_kube *fake = self;
    // libc's own memory: a test may let that of the product fail
    free(fake->last);
    assert_true(asprintf(&fake->last, "%s %s %s", request->method, request->path, request->body ? request->body : "") >=
                0);
    if (fake->at >= fake->count)
        fail_msg("nobody expects %s", fake->last);
    const struct fake_answer *answer = &fake->answers[fake->at++];
    if (answer->expects && !str_starts(fake->last, answer->expects))
        fail_msg("asked: %s, expected: %s", fake->last, answer->expects);
    if (answer->body_has && !strstr(request->body ? request->body : "", answer->body_has))
        fail_msg("asked: %s, expected in it: %s", fake->last, answer->body_has);
    if (answer->during)
        answer->during();
    *ret_body = (struct str){0};
    int r = send_chunks(answer, request, ret_body, err);
    if (r == 0 && answer->result < 0)
        r = err_set(err, answer->result, "%s", answer->message ? answer->message : "as the test wants it");
    if (r < 0)
        str_done(ret_body);
    return r;
}

static void fake_free(void *self) {
    struct fake_kube *fake = self;
    free(fake->last);
    free(fake);
}

struct kube *fake_kube_new(const struct fake_answer *answers, size_t count, struct fake_kube **ret) {
    static const struct kube_transport_ops ops = {.send = fake_send, .free = fake_free};
    struct fake_kube *fake = calloc(1, sizeof *fake);
    struct kube *kube = NULL;
    assert_non_null(fake);
    *fake = (struct fake_kube){.answers = answers, .count = count};
    assert_int_equal(kube_new_over((struct kube_transport){.ops = &ops, .self = fake}, &kube, NULL), 0);
    *ret = fake;
    return kube;
}

size_t fake_kube_asked(const struct fake_kube *fake) {
    return fake->at;
}
const char *fake_kube_last(const struct fake_kube *fake) {
    return fake->last ? fake->last : "";
}
