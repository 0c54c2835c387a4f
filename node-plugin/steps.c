// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/steps.h"

#include "lib/base/log.h"

int steps_run(const struct step *steps, size_t count, void *work, struct err *err) {
    size_t i = 0;
    int r = 0;
    for (; i < count; i++) {
        r = steps[i].act(work, err);
        if (r < 0)
            break;
    }
    if (r == 0)
        return 0;
    log_debug("step failed", LOG_S("step", steps[i].name));
    for (size_t n = i + 1; n-- > 0;)
        if (steps[n].undo)
            steps[n].undo(work);
    return r;
}
