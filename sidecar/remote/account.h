// SPDX-License-Identifier: Apache-2.0
// Who the pod is: the token that is sent to the store, from a file that kubelet renews.
//
// Owns:    the text of the token; it reaches no log.
// Threads: any; account_reload from one.
// Fails:   a file that cannot be read later leaves the token that was.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#define ACCOUNT_TOKEN_MAX 16384 // bytes

struct account;
int account_open(const char *path, struct account **ret, struct err *err) must_check;
struct account *account_free(struct account *account);
DEFINE_CLEANUP(account)

// Reads the file again if it changed; *ret_changed tells.
int account_reload(struct account *account, bool *ret_changed, struct err *err) must_check;
// Appends "Authorization: Bearer …\r\n".
int account_append_field(struct account *account, struct str *out);
// The namespace that a Kubernetes token says it is for (its payload, unverified: for names of files, not for rights).
// To be freed; NULL: it is no such token.
char *account_namespace(struct account *account) must_check;
