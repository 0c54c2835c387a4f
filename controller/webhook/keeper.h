// SPDX-License-Identifier: Apache-2.0
// Keeps the webhooks believed: the Secret with their certificates, the authority in the webhook configuration, what the server serves.
//
//     Secret ── renewed when it has to be ──► caBundle of the configuration ──► served, one step after the API server was told
//
// Why:     every replica does it: of two that renew at once, one has the older version of the Secret, is told so, and takes the other's.
//          So no replica waits for a leader, and an API server is never shown a certificate that it was not told of.
// Threads: keeper_step from one thread.
// Fails:   as the API server does; what is served stays as it is.
#pragma once

#include "lib/base/clock.h"
#include "lib/http/tls.h"
#include "lib/kube/kube.h"

struct keeper;

struct keeper_options { // texts are copied
    const struct kube *kube;
    const char *ns, *name; // of the Secret, the configuration and the Service, which are called alike
    struct http_tls *tls;  // of http_tls_pem_new
    const struct clock *clock;
};
int keeper_new(const struct keeper_options *options, struct keeper **ret, struct err *err) must_check;
struct keeper *keeper_free(struct keeper *keeper);
DEFINE_CLEANUP(keeper)

// Looks and sets right what is not; *ret_again_ms: when to look again. -EAGAIN somebody else was faster: again at once.
int keeper_step(struct keeper *keeper, uint32_t *ret_again_ms, struct err *err) must_check;
// When what is served ends, in seconds since 1970; 0: nothing is served. From any thread.
int64_t keeper_until(const struct keeper *keeper);
