// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/origin.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

void node_origin_done(struct node_origin *origin) {
    free(origin->root);
    free(origin->dir);
    *origin = (struct node_origin){0};
}

static size_t trimmed(const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

// The longest allowed directory that the path is, or is below of; its length, 0 when there is none.
static size_t find_allowed(const struct field_list *allowed, const char *path) {
    size_t best = 0, len = trimmed(path);
    for (size_t i = 0; allowed && i < allowed->count; i++) {
        const char *at = allowed->items[i];
        size_t n = trimmed(at);
        bool within = n <= len && strncmp(at, path, n) == 0 && (n == len || path[n] == '/' || at[n - 1] == '/');
        if (within && n > best)
            best = n;
    }
    return best;
}

// Two parts of a path, each with or without slashes at its ends.
static char *join(const char *a, size_t len, const char *b) {
    while (len > 0 && *a == '/')
        a++, len--;
    while (len > 0 && a[len - 1] == '/')
        len--;
    while (*b == '/')
        b++;
    return mem_printf("%.*s%s%s", (int)len, a, len > 0 && *b ? "/" : "", b);
}

int node_origin_find(const struct field_list *allowed, const struct volume_source *source, struct node_origin *ret,
                     struct err *err) {
    const struct node_group *group = &source->group;
    if (group->origin == ORIGIN_NFS)
        return 0;
    if (!group->origin_path)
        return err_set(err, -EBUSY,
                       "originType %.40s: this stowage-node mounts no origins; mount it on the node, and name the "
                       "directory by originPath",
                       group->origin_type);
    size_t len = find_allowed(allowed, group->origin_path);
    if (len == 0)
        return err_set(err, -EACCES,
                       "originPath %.100s is not allowed on this node; have it named by stowage-node "
                       "--origin-path-allowed (chart value nodeGroups.originPaths)",
                       group->origin_path);
    struct node_origin origin = {
        .root = mem_strndup(group->origin_path, len),
        .dir = join(group->origin_path + len, strlen(group->origin_path + len), source->directory)};
    if (!origin.root || !origin.dir) {
        node_origin_done(&origin);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = origin;
    return 0;
}
