// SPDX-License-Identifier: Apache-2.0
#include "csi/node_group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fields.h"
#include "lib/base/str.h"

static const char *const cache_modes[] = {"strict", "ttl", "immutable", NULL};
static const char *const origins[] = {"nfs", "mount", NULL};

const char *cache_mode_name(enum cache_mode mode) {
    return cache_modes[mode];
}

int node_group_check_name(const char *name, struct err *err) {
    static const char ends[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t len = strlen(name);
    bool good = len > 0 && len <= NODE_GROUP_NAME_MAX && strchr(ends, name[0]) && strchr(ends, name[len - 1]);
    for (const char *c = name; good && *c; c++)
        good = strchr(ends, *c) || strchr("-_.", *c);
    return good ? 0
                : err_set(err, -EINVAL,
                          "'%.70s' is no name of a node group; it is a label's value: 1 to %d letters, digits, '-', "
                          "'_' and '.', with a letter or digit at both ends",
                          name, NODE_GROUP_NAME_MAX);
}

// The name is part of volume ids.
static int check_origin_name(const char *name, struct err *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(name);
    if (len > 0 && len <= 32 && strspn(name, allowed) == len && name[0] != '-' && name[len - 1] != '-')
        return 0;
    return err_set(err, -EINVAL, "'%.40s' is no name of an origin; take 1 to 32 of a-z, 0-9 and '-'", name);
}

static int check_components(const char *path, size_t len, struct err *err) {
    for (const char *at = path; at < path + len;) {
        size_t part = strcspn(at, "/");
        part = part < (size_t)(path + len - at) ? part : (size_t)(path + len - at);
        if (!str_is_path_component(at, part))
            return err_set(err, -EINVAL, "'%.*s' holds '..', '.', '//' or a character that is no part of a path",
                           (int)(len < 100 ? len : 100), path);
        at += part + 1;
    }
    return 0;
}

static int check_origin_path(const char *path, struct err *err) {
    size_t len = strlen(path);
    if (path[0] != '/' || len < 2)
        return err_set(err, -EINVAL, "'%.100s' is no directory of a node; write it as an absolute path", path);
    return check_components(path + 1, len - 1 - (path[len - 1] == '/'), err);
}

// Each is a path inside the volume; "/" is all of it.
static int check_warm_up(const char *list, struct err *err) {
    for (const char *at = list;;) {
        size_t len = strcspn(at, ","), skip = at[0] == '/';
        if (len == 0)
            return err_set(err, -EINVAL, "'%.100s' holds an empty path; separate paths by one ','", list);
        size_t end = len > skip && at[len - 1] == '/' ? len - 1 : len;
        int r = check_components(at + skip, end - skip, err);
        if (r < 0 || !at[len])
            return r;
        at += len + 1;
    }
}

// Handed to mount(2) by root, so nothing but what names a file system.
static int check_word(const char *value, struct err *err) {
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return err_set(err, -EINVAL, "'%.80s' holds a space or a control character", value);
    return value[0] && value[0] != '-' ? 0 : err_set(err, -EINVAL, "'%.80s' is empty or begins with '-'", value);
}

#define G(member) offsetof(struct node_group, member)
static const struct field rows[] = {
    {.name = "nodeGroup",
     .type = FIELD_TEXT,
     .offset = G(name),
     .value = "NAME",
     .check = node_group_check_name,
     .help = "the volume belongs to the nodes of this group, each of which caches it on its disk"},
    {.name = "cacheMode",
     .type = FIELD_CHOICE,
     .offset = G(cache_mode),
     .choices = cache_modes,
     .help = "when a cached file is checked against its origin: at each open, after cacheTtl, or never"},
    {.name = "cacheTtl",
     .type = FIELD_U32,
     .offset = G(cache_ttl),
     .min = 1,
     .max = 86400,
     .value = "SECONDS",
     .help = "with cacheMode ttl: how old a check may be (60)"},
    {.name = "cacheSize",
     .type = FIELD_BYTES,
     .offset = G(cache_size),
     .max = INT64_MAX,
     .value = "SIZE",
     .help = "most bytes of the volume on the disk of one node; 0: what the disk allows"},
    {.name = "warmUp",
     .type = FIELD_TEXT,
     .offset = G(warm_up),
     .value = "PATH,PATH",
     .max = 2048,
     .check = check_warm_up,
     .help = "paths inside the volume that a node fetches when it gets the volume"},
    {.name = "origin",
     .type = FIELD_CHOICE,
     .offset = G(origin),
     .choices = origins,
     .help = "where the data is: an NFS share, or a file system that the nodes mount"},
    {.name = "originName",
     .type = FIELD_TEXT,
     .offset = G(origin_name),
     .value = "NAME",
     .check = check_origin_name,
     .help = "with origin mount: its name in stowage-controller --origin"},
    {.name = "originPath",
     .type = FIELD_TEXT,
     .offset = G(origin_path),
     .value = "PATH",
     .max = 1023,
     .check = check_origin_path,
     .help = "with origin mount: directory of the nodes where it is mounted already"},
    {.name = "originType",
     .type = FIELD_TEXT,
     .offset = G(origin_type),
     .value = "FSTYPE",
     .max = 64,
     .check = check_word,
     .help = "with origin mount: file system that the nodes mount, such as ceph or lustre"},
    {.name = "originSource",
     .type = FIELD_TEXT,
     .offset = G(origin_source),
     .value = "SOURCE",
     .max = 1023,
     .check = check_word,
     .help = "with originType: what is mounted"},
    {.name = "originOptions",
     .type = FIELD_TEXT,
     .offset = G(origin_options),
     .value = "OPTIONS",
     .max = 1023,
     .check = check_word,
     .help = "with originType: its mount options, comma separated"},
};
static const struct fields table = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "parameter"};

void node_group_done(struct node_group *group) {
    fields_done(&table, group);
    *group = (struct node_group){0};
}

bool node_group_is_setting(const char *name) {
    return fields_find(&table, name) != NULL;
}

int node_group_set(struct node_group *group, const char *name, const char *value, struct err *err) {
    const struct field *row = fields_find(&table, name);
    int r = fields_set(&table, group, name, value, err);
    if (r == 0 && row->offset != G(name) && !group->first)
        group->first = row->name;
    return r;
}

static int check_origin(const struct node_group *group, struct err *err) {
    bool path = !str_empty(group->origin_path), type = !str_empty(group->origin_type);
    bool source = !str_empty(group->origin_source), options = !str_empty(group->origin_options);
    if (group->origin == ORIGIN_NFS) {
        if (path || type || source || options || !str_empty(group->origin_name))
            return err_set(err, -EINVAL,
                           "originName, originPath, originType, originSource and originOptions go with "
                           "origin: mount; add it, or remove them");
        return 0;
    }
    if (path == type)
        return err_set(err, -EINVAL,
                       "origin: mount needs either originPath, where the nodes have it mounted, or "
                       "originType and originSource, which they shall mount");
    if (type != source || (options && !type))
        return err_set(err, -EINVAL, "originType and originSource go together, and originOptions with them");
    return 0;
}

int node_group_check(const struct node_group *group, struct err *err) {
    if (str_empty(group->name) && group->first)
        return err_set(err, -EINVAL,
                       "'%s' is of node-group volumes; name the group by nodeGroup, or remove '%s' from a volume that "
                       "is not cached",
                       group->first, group->first);
    if (str_empty(group->name))
        return 0;
    if (group->cache_ttl > 0 && group->cache_mode != CACHE_MODE_TTL)
        return err_set(err, -EINVAL, "cacheTtl counts with cacheMode: ttl only, and this is cacheMode: %s; change one",
                       cache_modes[group->cache_mode]);
    return check_origin(group, err);
}

static int emit_number(int64_t number, const char *name, int (*emit)(const char *, const char *, void *), void *arg) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return number ? emit(name, text, arg) : 0;
}

int node_group_each(const struct node_group *group, int (*emit)(const char *name, const char *value, void *arg),
                    void *arg) {
    int r = 0;
    for (size_t i = 0; !str_empty(group->name) && i < ARRAY_SIZE(rows) && r == 0; i++) {
        const struct field *row = &rows[i];
        const void *at = (const char *)group + row->offset;
        if (row->type == FIELD_TEXT)
            r = str_empty(*(char *const *)at) ? 0 : emit(row->name, *(char *const *)at, arg);
        else if (row->type == FIELD_CHOICE)
            r = *(const int *)at ? emit(row->name, row->choices[*(const int *)at], arg) : 0;
        else
            r = emit_number(row->type == FIELD_U32 ? *(const uint32_t *)at : *(const int64_t *)at, row->name, emit,
                            arg);
    }
    return r;
}

static int append(const char *name, const char *value, void *arg) {
    return str_printf(arg, "%s=%s\n", name, value);
}

bool node_group_equal(const struct node_group *a, const struct node_group *b) {
    struct str left cleanup_str = {0}, right cleanup_str = {0};
    return node_group_each(a, append, &left) == 0 && node_group_each(b, append, &right) == 0 &&
           str_eq(str_text(&left), str_text(&right));
}

void node_group_print_help(void) {
    fields_print_help(&table);
}
