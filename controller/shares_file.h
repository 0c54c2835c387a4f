// SPDX-License-Identifier: Apache-2.0
// The known shares in a local file, so that a restarted controller lists them and resumes their background work.
#pragma once

#include "lib/base/err.h"
#include "lib/base/fields.h"

// Each location's text is handed to `add`; no file yet: 0 (the directory is made if it is not there). A damaged file is -EBADMSG with the remedy.
int shares_file_read(const char *state_dir, int (*add)(void *arg, const char *text, struct err *err), void *arg,
                     struct err *err) must_check;
// Replaces the file in one step, on stable storage.
int shares_file_write(const char *state_dir, const struct field_list *texts, struct err *err) must_check;
