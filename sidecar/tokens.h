// SPDX-License-Identifier: Apache-2.0
// Bearer tokens: which workspace one is for, and whether it may write.
//
// Why:     a file, one token a line, is what a Secret mounts and an editor edits: TOKEN WORKSPACE read|write [EXPIRES],
//          EXPIRES as seconds since 1970 or 2027-01-31T12:00:00Z; "#" begins a comment.
// Owns:    digests and masks of the tokens; the tokens themselves are forgotten once read.
// Threads: all functions from any thread; a reload replaces the whole list at once.
// Fails:   -EINVAL names file and line, never the token. A reload that fails keeps the list that was.
#pragma once

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "sidecar/service.h"

#define TOKEN_MIN 8    // bytes
#define TOKEN_MAX 4096 // bytes; also what is compared at most

struct tokens; // opaque

int tokens_open(const char *path, const struct clock *clock, struct tokens **ret, struct err *err) must_check;
struct tokens *tokens_free(struct tokens *tokens);
DEFINE_CLEANUP(tokens)

// Reads the file again if it changed (or `always`). *ret_changed: the list is a new one.
int tokens_reload(struct tokens *tokens, bool always, bool *ret_changed, struct err *err) must_check;

// Compares with every token, in the same time whether and where one matches.
// -EPERM: not known, or over since its expiry; the message tells which.
int tokens_find(struct tokens *tokens, const char *text, size_t len, struct principal *ret, struct err *err) must_check;

bool tokens_has_workspace(struct tokens *tokens, const char *workspace);
// The only workspace; false: there are several, or none.
bool tokens_only_workspace(struct tokens *tokens, char ret[static ENGINE_NAME_MAX + 1]);
// `fn` for each workspace once; stops at the first failure and returns it.
int tokens_each_workspace(struct tokens *tokens, int (*fn)(void *arg, const char *workspace), void *arg);
// [{"masked_value":"abcd...wxyz","expires_at":ms}] of a workspace. NULL: out of memory.
struct json *tokens_masked(struct tokens *tokens, const char *workspace) must_check;

// A file with one new random token that may write to `workspace`, mode 0600, if `path` is not there.
int tokens_generate(const char *path, const char *workspace, const struct clock *clock, struct err *err) must_check;
