// SPDX-License-Identifier: Apache-2.0
// A JSON Patch (RFC 6902, of which "add" and "replace" are what we write) carried out as the API server does.
#pragma once

#include "lib/base/json.h"

// The document afterwards, to be freed. Fails the test where the patch does not fit.
struct json *json_patched(const struct json *document, const struct json *patch);
