// SPDX-License-Identifier: Apache-2.0
// A list that comes in pages and is printed as it comes: names on lines, lines with more (--long), or one JSON array.
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"

struct listing {
    const struct options *options;
    int64_t count;
};

// How many the next page may have.
int64_t listing_room(const struct listing *listing);
// One item under its name; `more` NULL or what --long prints before it.
int listing_add(struct listing *listing, const struct json *item, const char *name, const char *more,
                struct err *err) must_check;
void listing_end(const struct listing *listing);
// Local time of milliseconds since 1970; "-" for 0.
const char *listing_time(int64_t ms, char buf[static 32]);
