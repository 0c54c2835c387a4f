// SPDX-License-Identifier: Apache-2.0
// What all of --project say.
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
#include "lib/projection/spec.h"

struct project_specs {
    struct project_spec *items;
    size_t count;
};
// Each item may be several, with commas between them.
int project_specs_parse(const struct field_list *items, struct project_specs *ret, struct err *err) must_check;
void project_specs_done(struct project_specs *specs);
