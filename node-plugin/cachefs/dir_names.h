// SPDX-License-Identifier: Apache-2.0
// A sorted set of names: what of a directory was listed before the listing had to start over.
//
// Owns:    copies of the names.
// Threads: none of its own; the directory's lock guards it.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct dir_names {
    char **items;
    char *text; // all names, one after the other
    size_t count;
};

// Room for `count` names of `bytes` in all, each with its end. Takes the place of what was there.
int dir_names_start(struct dir_names *names, size_t count, size_t bytes) __attribute__((warn_unused_result));
void dir_names_add(struct dir_names *names, const char *name); // within that room
void dir_names_sort(struct dir_names *names);                  // after the last one
bool dir_names_has(const struct dir_names *names, const char *name);
void dir_names_done(struct dir_names *names);
