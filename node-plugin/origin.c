// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/origin.h"

#include <errno.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/origin.h"

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

static int take(struct node_origin *origin, struct node_origin *ret, struct err *err) {
    if (!origin->root || !origin->dir) {
        node_origin_done(origin);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = *origin;
    return 0;
}

// Its place is named after what is mounted there, so that volumes that want the same find it.
static int find_mount(const char *mounts, const struct volume_source *source, struct node_origin *ret,
                      struct err *err) {
    const struct node_group *group = &source->group;
    const struct mount_origin wish = {
        .type = group->origin_type, .source = group->origin_source, .options = group->origin_options};
    struct str name cleanup_str = {0};
    char key[HASH_ID_LEN + 1];
    if (str_empty(mounts))
        return err_set(err, -EBUSY, "this node mounts no origins; give its stowage-node --origin-dir");
    if (str_eq(wish.type, "path"))
        return err_set(err, -EINVAL, "a directory of the node is named by originPath, not by originType path");
    int r = mount_origin_check(&wish, err);
    if (r < 0)
        return r;
    if (str_printf(&name, "%s\n%s\n%s", wish.type, wish.source, wish.options ? wish.options : "") < 0)
        return err_set(err, -ENOMEM, "out of memory");
    hash_id(name.data, name.len, key);
    struct node_origin origin = {.root = mem_printf("%s/%s", mounts, key),
                                 .dir = join(source->directory, strlen(source->directory), ""),
                                 .mounted = true};
    return take(&origin, ret, err);
}

int node_origin_find(const struct field_list *allowed, const char *mounts, const struct volume_source *source,
                     struct node_origin *ret, struct err *err) {
    const struct node_group *group = &source->group;
    if (group->origin == ORIGIN_NFS)
        return 0;
    if (!group->origin_path)
        return find_mount(mounts, source, ret, err);
    size_t len = find_allowed(allowed, group->origin_path);
    if (len == 0)
        return err_set(err, -EACCES,
                       "originPath %.100s is not allowed on this node; have it named by stowage-node "
                       "--origin-path-allowed (chart value nodeGroups.originPaths)",
                       group->origin_path);
    struct node_origin origin = {
        .root = mem_strndup(group->origin_path, len),
        .dir = join(group->origin_path + len, strlen(group->origin_path + len), source->directory)};
    return take(&origin, ret, err);
}
