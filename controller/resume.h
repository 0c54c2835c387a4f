// SPDX-License-Identifier: Apache-2.0
// What follows the opening of a share: what a former controller left unfinished is taken up, on a thread of its own.
//
// Threads: resume_share and resume_open from any; the steps run one after the other on one thread.
// Fails:   never; a step that failed is logged, and tried again when the share is opened next.
#pragma once

#include "controller/share.h"

struct resume_step {
    const char *name; // for the log
    int (*run)(void *self, struct share *share, int64_t deadline_ns, struct err *err);
    void *self;
};
struct resume;

int resume_new(const struct resume_step *steps, size_t count, struct resume **ret,
               struct err *err) must_check;                    // copied
void resume_share(struct resume *resume, struct share *share); // a share that was opened just now
// Opens a known share in the background, so that its work goes on before the first request names it.
void resume_open(struct resume *resume, struct shares *shares, const struct share_location *location);
struct resume *resume_free(struct resume *resume); // lets the step that runs end
DEFINE_CLEANUP(resume)
