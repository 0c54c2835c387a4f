// SPDX-License-Identifier: Apache-2.0
// Pieces of requests that several commands share, as JSON members of a request.
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"

// "NAME=VALUE" texts as a map; -EINVAL names the one without '=' or without a name, and one that is given twice.
int request_set_map(struct json *request, const char *key, const struct field_list *pairs, struct err *err) must_check;
// {required_bytes, limit_bytes}; nothing when neither was given.
int request_set_capacity(struct json *request, const struct options *options, struct err *err) must_check;
// The mount capability of --access and --mount-option.
int request_set_capability(struct json *request, const struct options *options, struct err *err) must_check;
int request_add_capability(struct json *request, const struct options *options,
                           struct err *err) must_check; // as a list
// The volume context: --context, else what the controller says about the volume.
int request_set_context(struct cli *cli, struct json *request, const char *volume_id, struct err *err) must_check;
// -EINVAL unless the path of a flag is absolute, or not given.
int request_check_path(const char *flag, const char *path, struct err *err) must_check;
// The checked path of a flag.
int request_set_path(struct json *request, const char *key, const char *flag, const char *path,
                     struct err *err) must_check;
