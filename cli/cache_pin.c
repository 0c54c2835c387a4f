// SPDX-License-Identifier: Apache-2.0
#include "cli/cache.h"
#include "cli/rows.h"

static int pin(struct cli *cli, struct err *err) {
    static const struct cache_words words = {"pin", "1", "pinned", "not pinned, because nothing is cached of them"};
    return cache_do(cli, &words, err);
}

static int unpin(struct cli *cli, struct err *err) {
    static const struct cache_words words = {"pin", "0", "not pinned any more", NULL};
    return cache_do(cli, &words, err);
}

const struct command command_cache_pin = {
    .group = "cache",
    .name = "pin",
    .arguments = "PATH|VOLUME",
    .min = 1,
    .max = 1,
    .summary = "keep what is cached of a file or directory",
    .detail = "Pinned files do not make room for others. Warm them up first: what is not cached is not pinned.",
    .flags = (const char *const[]){"path", NULL},
    .whom = OPTIONS_CACHE,
    .run = pin,
};

const struct command command_cache_unpin = {
    .group = "cache",
    .name = "unpin",
    .arguments = "PATH|VOLUME",
    .min = 1,
    .max = 1,
    .summary = "let what was pinned make room for others again",
    .flags = (const char *const[]){"path", NULL},
    .whom = OPTIONS_CACHE,
    .run = unpin,
};
