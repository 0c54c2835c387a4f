// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/origin.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/child.h"
#include "lib/mount/mount.h"

#define TEXT_MAX 4000 // bytes of a source or of options
#define PATH_TYPE "path"

// What may be mounted. `as`: how libmount and the helper call it.
static const struct type {
    const char *name, *as;
    int nfs; // its version, 0: newest first; -1: no NFS. Images may lack mount.nfs, which mount_nfs does without
} types[] = {
    {"ceph", "ceph", -1}, {"lustre", "lustre", -1}, {"glusterfs", "glusterfs", -1}, {"fuse.glusterfs", "glusterfs", -1},
    {"nfs", "nfs", 0},    {"nfs4", "nfs4", 4},      {PATH_TYPE, NULL, -1},
};

static const struct type *find(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (str_eq(types[i].name, name))
            return &types[i];
    return NULL;
}

bool mount_origin_type_is_known(const char *type) {
    return find(type) != NULL;
}

const char *mount_origin_types(void) {
    return "ceph, lustre, glusterfs, nfs, nfs4, path";
}

// Helpers are shell scripts: nothing that means something to a shell, and nothing that can be taken for an option.
static bool is_plain(const char *text) {
    size_t len = strnlen(text, TEXT_MAX + 1);
    if (len > TEXT_MAX || text[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-_.,:=/@+%~[]", text[i]))
            return false;
    return true;
}

static int check_nfs(const struct mount_origin *origin, struct err *err) {
    const char *colon = strstr(origin->source, ":/");
    return colon && colon > origin->source
               ? 0
               : err_set(err, -EINVAL, "origin '%.100s' is no NFS share; write it as server:/path", origin->source);
}

static int check_path(const struct mount_origin *origin, struct err *err) {
    const char *options = origin->options;
    if (origin->source[0] != '/')
        return err_set(err, -EINVAL, "origin '%.150s' is not an absolute path", origin->source);
    if (!str_empty(options) && !str_eq(options, "ro") && !str_eq(options, "rw"))
        return err_set(err, -EINVAL, "a path takes no options but 'ro', not '%.100s'", options);
    return 0;
}

int mount_origin_check(const struct mount_origin *origin, struct err *err) {
    const struct type *type = find(origin->type);
    if (!type)
        return err_set(err, -EINVAL, "an origin of type '%.40s' cannot be mounted; use one of %s",
                       origin->type ? origin->type : "", mount_origin_types());
    if (str_empty(origin->source) || !is_plain(origin->source))
        return err_set(err, -EINVAL, "origin '%.100s' has characters that are not taken, or none",
                       origin->source ? origin->source : "");
    if (!str_empty(origin->options) && !is_plain(origin->options))
        return err_set(err, -EINVAL, "mount options '%.100s' have characters that are not taken", origin->options);
    return type->nfs >= 0 ? check_nfs(origin, err) : !type->as ? check_path(origin, err) : 0;
}

// ---- the three ways

static int run(const char *verb, const struct mount_origin *origin, const char *const *args, int64_t deadline_ns,
               struct err *err) {
    char *what cleanup_free = mem_printf("%s mount of %s on %s", origin->type, origin->source, origin->target);
    char *key cleanup_free = mem_printf("%s on %s", verb, origin->target);
    if (!what || !key)
        return err_set(err, -ENOMEM, "out of memory");
    struct child_request request = {.args = args, .key = key, .what = what, .deadline_ns = deadline_ns};
    return child_run(&request, NULL, err);
}

static int by_libmount(const struct type *type, const struct mount_origin *origin, int64_t deadline_ns,
                       struct err *err) {
    bool more = !str_empty(origin->options);
    char *options cleanup_free = mem_printf("%s%snosuid,nodev", more ? origin->options : "", more ? "," : "");
    if (!options)
        return err_set(err, -ENOMEM, "out of memory");
    const char *args[] = {"origin", type->as, origin->source, origin->target, options, NULL};
    return run("origin", origin, args, deadline_ns, err);
}

static int by_nfs(const struct type *type, const struct mount_origin *origin, int64_t deadline_ns, struct err *err) {
    const char *colon = strstr(origin->source, ":/");
    bool brackets = origin->source[0] == '[' && colon[-1] == ']';
    char *server cleanup_free =
        mem_strndup(origin->source + brackets, (size_t)(colon - origin->source) - 2u * brackets);
    bool more = !str_empty(origin->options);
    char *options cleanup_free = mem_printf("%s%snosuid,nodev", more ? origin->options : "", more ? "," : "");
    if (!server || !options)
        return err_set(err, -ENOMEM, "out of memory");
    const struct mount_nfs request = {.server = server,
                                      .path = colon + 1,
                                      .target = origin->target,
                                      .options = options,
                                      .version = (unsigned)type->nfs};
    return mount_nfs(&request, deadline_ns, err);
}

// The part of the path below one of the allowed directories; NULL: it is below none.
static const char *below(const char *path, const char *allowed) {
    size_t len = strlen(allowed);
    while (len > 1 && allowed[len - 1] == '/')
        len--;
    if (strncmp(path, allowed, len) != 0)
        return NULL;
    if (len == 1 && allowed[0] == '/')
        return path + 1;
    return path[len] == '/' ? path + len + 1 : path[len] == '\0' ? path + len : NULL;
}

static int by_path(const struct mount_origin *origin, int64_t deadline_ns, struct err *err) {
    const char *mode = str_eq(origin->options, "ro") ? "ro" : "rw";
    for (const char *const *at = origin->allowed_paths; at && *at; at++) {
        const char *rest = below(origin->source, *at);
        if (!rest)
            continue;
        const char *args[] = {"path", *at, *rest ? rest : ".", origin->target, mode, NULL};
        return run("path", origin, args, deadline_ns, err);
    }
    return err_set(err, -EACCES,
                   "the path '%.150s' is not allowed as an origin on this node; an administrator allows it",
                   origin->source);
}

int mount_origin(const struct mount_origin *origin, int64_t deadline_ns, struct err *err) {
    int r = mount_origin_check(origin, err);
    if (r < 0)
        return r;
    const struct type *type = find(origin->type);
    return type->nfs >= 0 ? by_nfs(type, origin, deadline_ns, err)
           : type->as     ? by_libmount(type, origin, deadline_ns, err)
                          : by_path(origin, deadline_ns, err);
}
