// SPDX-License-Identifier: Apache-2.0
// A process's identity as JSON, in records and in messages: {"pid":7,"start":123,"domain":"…"}.
#pragma once

#include "lib/base/json.h"
#include "lib/mount/process.h"

struct json *process_id_encode(const struct process_id *id) must_check; // NULL: out of memory
int process_id_decode(const struct json *json,
                      struct process_id *ret) must_check; // -EBADMSG; NULL is malformed as well
