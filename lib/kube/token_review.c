// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/token_review.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define COLLECTION "/apis/authentication.k8s.io/v1/tokenreviews"
#define ACCOUNT "system:serviceaccount:" // NAMESPACE:NAME

static struct json *question(const char *token, const char *audience) {
    struct json *review cleanup(json_freep) = json_object_new();
    struct json *spec cleanup(json_freep) = json_object_new(), *audiences = json_array_new();
    bool ok = json_append_text(audiences, audience) == 0 && json_set(spec, "audiences", audiences) == 0 &&
              json_set_text(spec, "token", token) == 0 && json_set(review, "spec", take_ptr(spec)) == 0 &&
              json_set_text(review, "apiVersion", "authentication.k8s.io/v1") == 0 &&
              json_set_text(review, "kind", "TokenReview") == 0;
    return ok ? take_ptr(review) : NULL;
}

// An API server that knows no audiences names none, and its word would hold for tokens of any purpose.
static bool is_for(const struct json *status, const char *audience) {
    const struct json *audiences = json_get(status, "audiences");
    for (size_t i = 0; i < json_length(audiences); i++)
        if (str_eq(json_text(json_at(audiences, i)), audience))
            return true;
    return false;
}

static int read_account(const char *username, struct kube_account *ret) {
    const char *ns = username && str_starts(username, ACCOUNT) ? username + strlen(ACCOUNT) : NULL;
    const char *colon = ns ? strchr(ns, ':') : NULL;
    size_t len = colon ? (size_t)(colon - ns) : 0;
    if (!len || len >= sizeof ret->ns || !colon[1] || strlen(colon + 1) >= sizeof ret->name)
        return -EPERM;
    (void)snprintf(ret->ns, sizeof ret->ns, "%.*s", (int)len, ns);
    (void)snprintf(ret->name, sizeof ret->name, "%s", colon + 1);
    return 0;
}

int kube_review_token(const struct kube *kube, const char *token, const char *audience, struct kube_account *ret,
                      struct err *err) {
    struct json *review cleanup(json_freep) = question(token, audience), *answer cleanup(json_freep) = NULL;
    if (!review)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_create(kube, COLLECTION, review, &answer, err);
    if (r == -EPERM) // it is our own token that is not taken
        return err_wrap(err, -EACCES, "may not ask the API server");
    if (r < 0)
        return r;
    const struct json *status = json_get(answer, "status"), *user = status ? json_get(status, "user") : NULL;
    if (!status || !json_get_bool(status, "authenticated", false))
        return err_set(err, -EPERM, "the cluster does not take the token: it is over, or its pod is gone");
    if (!is_for(status, audience))
        return err_set(err, -EPERM, "the token is not for the audience '%.100s'", audience);
    if (!user || read_account(json_get_text(user, "username"), ret) < 0)
        return err_set(err, -EPERM, "the token is of no service account");
    return 0;
}
