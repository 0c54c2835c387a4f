// SPDX-License-Identifier: Apache-2.0
#include "cli/store/listing.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "cli/store/stream.h"

#define PAGE 1000

int64_t listing_room(const struct listing *listing) {
    int64_t max = listing->options->max;
    return max && max - listing->count < PAGE ? max - listing->count : PAGE;
}

int listing_add(struct listing *listing, const struct json *item, const char *name, const char *more, struct err *err) {
    bool first = listing->count++ == 0;
    if (listing->options->json) {
        char *text cleanup_free = json_dump(item, false);
        if (!text)
            return err_set(err, -ENOMEM, "out of memory");
        (void)printf("%s%s", first ? "[\n" : ",\n", text);
        return 0;
    }
    if (listing->options->details && more)
        (void)printf("%s  ", more);
    output_name(name ? name : "", listing->options->null);
    return 0;
}

void listing_end(const struct listing *listing) {
    if (listing->options->json)
        (void)printf("%s", listing->count ? "\n]\n" : "[]\n");
}

const char *listing_time(int64_t ms, char buf[static 32]) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    if (ms <= 0 || !localtime_r(&seconds, &parts) || !strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &parts))
        return "-";
    return buf;
}
