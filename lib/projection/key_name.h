// SPDX-License-Identifier: Apache-2.0
// Keys as names of files, and back.
//
// Why:     a namespace is shown as one flat directory, whatever bytes its keys have.
// Rule:    a key of -._a-zA-Z0-9 that is not "." and does not begin with ".." is its own name, as the keys of a ConfigMap are. In any other
//          one each byte outside these is written as %XX (capitals), and so is the first dot of "." and of what begins with "..":
//          "a/b" is "a%2Fb", "100%" is "100%25", "..data" is "%2E.data". No two keys have the same name, and a name tells its key.
// Limits:  a name of more than KEY_NAME_MAX bytes is none: what would be cut could be another key's.
// Threads: any.
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"

#define KEY_NAME_MAX 255 // NAME_MAX of Linux

// Its length; 0: the key is empty, or too long to have a name.
size_t key_name_encode(const char *key, size_t len, char ret[static KEY_NAME_MAX + 1]);
// The length of the key, with a NUL behind it; -EINVAL: no key has this name.
long key_name_decode(const char *name, char ret[static KEY_NAME_MAX + 1]) must_check;
