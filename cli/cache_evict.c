// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "cli/cache.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "lib/cache/cache.h"

static int evict_in_dir(const struct cli *cli, struct err *err) {
    const char *volume = cli->argc ? cli->argv[0] : NULL;
    char bytes[24];
    uint64_t freed = 0;
    int r = cache_evict(cli->options.dir, volume, &freed, err);
    if (r < 0)
        return r;
    if (!cli->options.json) {
        str_from_bytes((int64_t)freed, bytes);
        (void)printf("evicted: %s\n", bytes);
        return 0;
    }
    struct json *json cleanup(json_freep) = json_object_new();
    if (!json || json_set_int(json, "bytes_done", (int64_t)freed) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return output_json(json, err);
}

static int run(struct cli *cli, struct err *err) {
    static const struct cache_words words = {"evict", "1", "evicted", "left, because they are in use"};
    if (cli->options.dir)
        return evict_in_dir(cli, err);
    if (cli->argc == 0)
        return err_set(err, -EINVAL, "say what to evict: PATH or VOLUME, or --dir CACHE_DIR for all of a node's cache");
    return cache_do(cli, &words, err);
}

const struct command command_cache_evict = {
    .group = "cache",
    .name = "evict",
    .arguments = "[PATH|VOLUME]",
    .min = 0,
    .max = 1,
    .summary = "give up what is cached of a file, a directory or a volume",
    .detail = "Pinned files go as well, files in use stay. With --dir, run on the node, all that no process has open "
              "goes: of the\n"
              "volume named, or of all volumes, mounted or not.",
    .flags = (const char *const[]){"path", "dir", NULL},
    .whom = OPTIONS_CACHE,
    .run = run,
};
