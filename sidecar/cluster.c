// SPDX-License-Identifier: Apache-2.0
#include "sidecar/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/kube/token_review.h"

#define TIMEOUT_S 5 // a request waits for it

struct cluster {
    struct kube *kube;
    char *audience;
};

int cluster_new(const struct cluster_options *options, struct cluster **ret, struct err *err) {
    struct cluster *cluster cleanup(cluster_freep) = mem_zalloc(sizeof *cluster);
    if (!cluster || !(cluster->audience = mem_strdup(options->audience)))
        return err_set(err, -ENOMEM, "out of memory");
    struct kube_options to = {
        .url = options->url, .token_file = options->token_file, .ca_file = options->ca_file, .timeout_s = TIMEOUT_S};
    int r = kube_new(str_eq(options->url, "in-cluster") ? NULL : &to, &cluster->kube, err);
    if (r < 0)
        return err_wrap(err, r, "--token-review");
    *ret = take_ptr(cluster);
    return 0;
}

struct cluster *cluster_free(struct cluster *cluster) {
    if (!cluster)
        return NULL;
    cluster->kube = kube_free(cluster->kube);
    free(cluster->audience);
    free(cluster);
    return NULL;
}

int cluster_review(struct cluster *cluster, const char *token, struct review_account *ret, struct err *err) {
    struct kube_account account;
    int r = kube_review_token(cluster->kube, token, cluster->audience, &account, err);
    if (r < 0)
        return r;
    _Static_assert(sizeof ret->ns == sizeof account.ns && sizeof ret->name == sizeof account.name, "the same names");
    memcpy(ret->ns, account.ns, sizeof ret->ns);
    memcpy(ret->name, account.name, sizeof ret->name);
    return 0;
}
