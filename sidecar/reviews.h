// SPDX-License-Identifier: Apache-2.0
// Whose a token of the cluster is, and what that account may do: asked once, kept for a short while.
//
// Why:     a pod has a token anyway; nothing has to be handed out. The token's namespace is the workspace.
// Owns:    digests of tokens and what was said of them, never a token beyond the asking.
// Threads: any. `done` of reviews_ask comes from a thread of its own, or at once, when there is no room to wait.
// Fails:   -EPERM the cluster does not take the token; -EACCES its account may not use the store; -EHOSTDOWN the cluster
//          cannot be asked, and nothing that was said before still counts.
//
//   said yes: FRESH_S it counts; then until ASK_S it counts and is asked again on the side; then it is asked before it counts.
//             Cannot the cluster be asked, it goes on counting until KEPT_S after the last yes.
//   said no:  NO_S it counts.
#pragma once

#include "lib/base/clock.h"
#include "sidecar/service.h"

#define REVIEWS_FRESH_S 30
#define REVIEWS_ASK_S 60
#define REVIEWS_KEPT_S 600
#define REVIEWS_NO_S 10
#define REVIEWS_MAX 4096    // tokens that are known at once
#define REVIEWS_WAITING 256 // requests that wait for an answer

enum review_right { REVIEW_NONE, REVIEW_READ, REVIEW_WRITE, REVIEW_ALL }; // all: write, in every workspace

struct review_rule { // the first that fits counts; "*" fits all
    char *ns, *account;
    enum review_right right;
};

struct review_account { // as the cluster says it
    char ns[ENGINE_NAME_MAX + 1];
    char name[254];
};

struct reviews_options {
    // Asks the cluster; may wait. -EPERM: no; any other error: it cannot be asked.
    int (*ask)(void *arg, const char *token, struct review_account *ret, struct err *err);
    void (*workspace_seen)(void *arg, const char *workspace); // before the first request of one is let in; may wait
    void *arg;
    const struct clock *clock;
    const struct review_rule *rules; // borrowed
    size_t rule_count;               // without one that fits: REVIEW_WRITE
};

struct reviews;
int reviews_new(const struct reviews_options *options, struct reviews **ret, struct err *err) must_check;
struct reviews *reviews_free(struct reviews *reviews); // whoever still waits is told -EHOSTDOWN
DEFINE_CLEANUP(reviews)

// What is known: 0 with the principal, an error as above, or -EINPROGRESS: it must be asked. Does not wait.
int reviews_find(struct reviews *reviews, const char *token, struct principal *ret, struct err *err) must_check;
// Asks, then tells: 0 when reviews_find now knows, else -EHOSTDOWN.
void reviews_ask(struct reviews *reviews, const char *token, void (*done)(void *arg, int r, const struct err *err),
                 void *arg);

// An account of REVIEW_ALL is about to write in a workspace other than its own: workspace_seen, if it was not called for it yet.
void reviews_enter(struct reviews *reviews, const char *workspace);

// "NAMESPACE/ACCOUNT=read|write|none|all"; all wants both by their names.
int review_rule_parse(const char *text, struct review_rule *ret, struct err *err) must_check;
void review_rule_done(struct review_rule *rule);
