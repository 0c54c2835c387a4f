// SPDX-License-Identifier: Apache-2.0
// What a JSON web token (RFC 7519) says of itself. Nothing is verified: it tells what to expect, and gives no right.
#pragma once

#include "lib/base/json.h"

#define JWT_MAX 16384 // bytes

// Two dots, as every signed token has.
bool jwt_looks_like_one(const char *token);
// The payload; NULL: it is no such token.
struct json *jwt_payload(const char *token) must_check;
