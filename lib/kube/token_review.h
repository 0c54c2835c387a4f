// SPDX-License-Identifier: Apache-2.0
// Whose token is this? Asked of the API server (TokenReview, authentication.k8s.io/v1).
//
// Fails: -EPERM the token is not taken, not for this audience, or of no service account; else as kube_create.
#pragma once

#include "lib/kube/kube.h"

struct kube_account { // a service account
    char ns[64];
    char name[254];
};

int kube_review_token(const struct kube *kube, const char *token, const char *audience, struct kube_account *ret,
                      struct err *err) must_check;
