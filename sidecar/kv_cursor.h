// SPDX-License-Identifier: Apache-2.0
// A key as a whole number: the cursor of a listing, which clients of Lepton hold to be an integer.
//
// Why:     the number is the key itself, so that paging needs no state, survives a restart and never skips or repeats.
//          A byte 1 in front keeps leading zero bytes.
#pragma once

#include "sidecar/engine/engine.h"

#define KV_CURSOR_KEY_MAX 1660 // bytes: 4,000 digits; Python reads no number above 4,300

// The digits, to be freed; NULL: out of memory, or a longer key.
char *kv_cursor_encode(const char *key, size_t len) must_check;
// "0" and "" are the start (*ret_len 0). -EINVAL: no such number. *ret to be freed.
int kv_cursor_decode(const char *digits, size_t len, char **ret, size_t *ret_len) must_check;
