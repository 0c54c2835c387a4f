// SPDX-License-Identifier: Apache-2.0
// How it is said which keys are to be files and who is told of changes: to a sidecar, and in the annotations of a pod that gets one.
//
// Owns:  texts are allocated copies, released by the _done functions.
// Fails: -EINVAL.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct project_spec { // NAMESPACE[=DIR][:optional]
    char *ns;
    char *dir;     // NULL: not said
    bool optional; // a namespace that is not there is an empty directory, and nobody waits for it
};
// What a DIR has to be is the caller's, as the message is.
int project_spec_parse(const char *text, size_t len, struct project_spec *ret) must_check;
void project_spec_done(struct project_spec *spec);

struct notify_spec { // http://127.0.0.1:PORT/PATH
    char *address, *path;
};
int notify_spec_parse(const char *url, struct notify_spec *ret, struct err *err) must_check;
void notify_spec_done(struct notify_spec *spec);
