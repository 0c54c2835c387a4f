// SPDX-License-Identifier: Apache-2.0
// What volumes and snapshots have in common at the command line: whole lists, and deletion of several.
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"

// All entries of a CSI list method, page by page, as one array. `filter` (may be NULL) is a further member of each
// request, left out when its value is NULL.
int objects_list(struct cli *cli, const char *method, const char *filter, const char *value, struct json **ret,
                 struct err *err) must_check;
// Calls `method` with {key: id} for every argument of the command and says what was deleted.
int objects_delete(struct cli *cli, const char *method, const char *key, struct err *err) must_check;
