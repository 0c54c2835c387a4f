// SPDX-License-Identifier: Apache-2.0
// One file to the store or from it, byte by byte: memory does not grow with it, and a file that is received appears whole or not at all.
#pragma once

#include "cli/store/call.h"

// Sends `file` (NULL or "-": standard input) as the body, or as part `form_part` of a form.
int transfer_up(struct http_client *client, const char *method, const struct str *path, const char *form_part,
                const char *const *headers, const char *file, struct err *err) must_check;
// Writes the answer of a GET to `file` (NULL or "-": standard output).
int transfer_down(struct http_client *client, const struct str *path, const char *file, struct err *err) must_check;
