// SPDX-License-Identifier: Apache-2.0
// What --project and --project-notify say.
//
// Owns:    texts are allocated.
// Fails:   -EINVAL with what may be said.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/fields.h"

struct project_spec { // NAMESPACE=DIR[:optional]
    char *ns, *dir;
    bool optional; // a namespace that is not there is an empty directory, and nobody waits for it
};
struct project_specs {
    struct project_spec *items;
    size_t count;
};
// Each item may be several, with commas between them.
int project_specs_parse(const struct field_list *items, struct project_specs *ret, struct err *err) must_check;
void project_specs_done(struct project_specs *specs);

struct notify_spec { // http://127.0.0.1:PORT/PATH
    char *address, *path;
};
int notify_spec_parse(const char *url, struct notify_spec *ret, struct err *err) must_check;
void notify_spec_done(struct notify_spec *spec);
