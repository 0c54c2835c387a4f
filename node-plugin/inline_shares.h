// SPDX-License-Identifier: Apache-2.0
// Which shares a pod may name by itself, in an inline volume: what --inline-shares says.
//
// Why:   who may create a pod may write any server and path into it, and the node mounts as root. A claim has an
//        administrator's StorageClass between the two; an inline volume has this list.
// Rules: "*" is everything. "SERVER:/PATH" is that directory of the server and all below it; '*', '?' and […] match
//        within the server's name or within one component of the path (fnmatch(3)). Servers are compared as text,
//        without case: an address does not stand for a name.
//        The volume's `share` must not go deeper than "/PATH", what is below is for mountFrom: an NFSv3 server follows
//        symbolic links in a share, which users of the directory may have made; nobody follows them in mountFrom.
#pragma once

#include "lib/base/err.h"
#include "lib/base/fields.h"
#include "node-plugin/source.h"

int inline_shares_check(const char *pattern, struct err *err) must_check; // -EINVAL: it is none
// -EACCES with the remedy: not allowed. `patterns` may be NULL: none.
int inline_shares_allow(const struct field_list *patterns, const struct volume_source *source,
                        struct err *err) must_check;
