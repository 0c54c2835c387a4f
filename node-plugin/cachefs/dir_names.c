// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/dir_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

void dir_names_done(struct dir_names *names) {
    free(names->items);
    free(names->text);
    *names = (struct dir_names){0};
}

int dir_names_start(struct dir_names *names, size_t count, size_t bytes) {
    dir_names_done(names);
    names->items = mem_array(count, sizeof *names->items);
    names->text = mem_alloc(bytes);
    if (names->items && names->text)
        return 0;
    dir_names_done(names);
    return -ENOMEM;
}

void dir_names_add(struct dir_names *names, const char *name) {
    char *last = names->count ? names->items[names->count - 1] : NULL;
    char *at = last ? last + strlen(last) + 1 : names->text;
    (void)strcpy(at, name); // dir_names_start made the room
    names->items[names->count++] = at;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void dir_names_sort(struct dir_names *names) {
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, compare);
}

bool dir_names_has(const struct dir_names *names, const char *name) {
    return names->count && bsearch(&name, names->items, names->count, sizeof *names->items, compare);
}
