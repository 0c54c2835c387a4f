// SPDX-License-Identifier: Apache-2.0
// What the API server asks an admission webhook, and what it is told (AdmissionReview of admission.k8s.io/v1).
//
// Owns:    the answer is the caller's.
// Fails:   -EBADMSG, -EMSGSIZE it was no review; -ENOMEM. The API server then goes by the webhook's failurePolicy.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

#define REVIEW_MAX (8U << 20) // an object of 1.5 MiB at most, before and after, and what JSON makes of it

enum review_result { REVIEW_LEFT, REVIEW_CHANGED, REVIEW_REFUSED };

// *ret_patch NULL: nothing is changed. -EINVAL refuses the object, and the message is what its user reads.
typedef int review_fn(void *arg, const struct json *request, struct json **ret_patch, struct err *err);

int review_answer(const char *body, size_t len, review_fn *decide, void *arg, char **ret,
                  enum review_result *ret_result, struct err *err) must_check;
