// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/source.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fields.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

int volume_source_check_server(const char *value, struct err *err) {
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == ',' || *c == '/' || *c == 0x7f)
            return err_set(err, -EINVAL, "server '%.60s' is no host name or address", value);
    size_t len = strlen(value);
    bool open = value[0] == '[', closed = len > 0 && value[len - 1] == ']';
    if (strcspn(value + open, "[]") != len - open - closed || open != closed || (open && !strchr(value, ':')))
        return err_set(err, -EINVAL, "server '%.60s' is no host name or address; write IPv6 as [2001:db8::1]", value);
    return 0;
}

static int check_components(const char *path, const char *what, struct err *err) {
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (len > 0 && !str_is_path_component(at, len))
            return err_set(err, -EINVAL, "%s '%.100s' holds '..', '.' or a character that is no part of a path", what,
                           path);
        at += len + (at[len] == '/');
    }
    return 0;
}

static int check_share(const char *value, struct err *err) {
    if (value[0] != '/')
        return err_set(err, -EINVAL, "share '%.100s' must start with '/'", value);
    return check_components(value, "share", err);
}

static int check_sub_dir(const char *value, struct err *err) {
    if (value[0] == '/')
        return err_set(err, -EINVAL, "subDir '%.100s' must be relative to the share", value);
    return check_components(value, "subDir", err);
}

static const char *const mode_names[] = {"auto", "kernel", "fuse", NULL};
#define AT(member) offsetof(struct volume_source, member)
static const struct field rows[] = {
    {SHARED_CONTEXT_SERVER, FIELD_TEXT, AT(server), .help = "the NFS server", .check = volume_source_check_server,
     .max = 255, .required = true},
    {SHARED_CONTEXT_SHARE, FIELD_TEXT, AT(share), .help = "the exported path", .check = check_share, .max = 1023,
     .required = true},
    {SHARED_CONTEXT_SUBDIR, FIELD_TEXT, AT(sub_dir), .help = "the directory below it", .check = check_sub_dir,
     .max = 2047},
    {SHARED_CONTEXT_MOUNT_MODE, FIELD_CHOICE, AT(mount_mode), .choices = mode_names},
    {SHARED_CONTEXT_NFS_PORT, FIELD_U32, AT(nfs_port), .max = UINT16_MAX},
    {SHARED_CONTEXT_MOUNT_PORT, FIELD_U32, AT(mount_port), .max = UINT16_MAX},
    {SHARED_CONTEXT_NFS_VERSION, FIELD_U32, AT(nfs_version), .min = 3, .max = 4},
    {SHARED_CONTEXT_CONNECTIONS, FIELD_U32, AT(connections), .min = 1, .max = 16},
};
static const struct fields fields = {rows, ARRAY_SIZE(rows), "volume context key", true};

void volume_source_done(struct volume_source *source) {
    fields_done(&fields, source);
    node_group_done(&source->group);
    free(source->directory);
    free(source->name);
    *source = (struct volume_source){0};
}

static size_t trimmed(const char *path) {
    size_t len = path ? strlen(path) : 0;
    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

// "[2001:db8::1]" is the same server as "2001:db8::1": resolvers want it bare, mount sources in brackets.
static void strip_brackets(char *server) {
    size_t len = strlen(server);
    if (server[0] != '[')
        return;
    (void)memmove(server, server + 1, len - 2);
    server[len - 2] = '\0';
}

static int join(struct volume_source *s, struct err *err) {
    size_t share = trimmed(s->share), sub = trimmed(s->sub_dir);
    if (share == 0 && sub == 0)
        s->directory = mem_strdup("/");
    else
        s->directory = mem_printf("%.*s%s%.*s", (int)share, s->share, sub ? "/" : "", (int)sub, sub ? s->sub_dir : "");
    const struct node_group *group = &s->group;
    const char *host = s->server ? s->server : group->origin_path ? group->origin_path : group->origin_source;
    bool v6 = s->server && strchr(s->server, ':');
    s->name = s->directory ? mem_printf(v6 ? "[%s]:%s" : "%s:%s", host, s->directory) : NULL;
    return s->name ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int check_origin(struct volume_source *s, struct err *err) {
    if (s->group.origin == ORIGIN_NFS)
        return fields_required(&fields, s, err);
    if (s->server)
        return err_set(err, -EINVAL, "volume context has server '%.60s' and origin: mount; it can have one of them",
                       s->server);
    if (!s->share)
        s->share = mem_strdup("/");
    return s->share ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int check_group(const struct volume_source *s, struct err *err) {
    int r = node_group_check(&s->group, err);
    if (r == 0 && s->group.name && s->mount_mode == MOUNT_MODE_KERNEL)
        r = err_set(err, -EINVAL, "a node-group volume is mounted in user space; remove mountMode: kernel");
    return r;
}

static int set(struct volume_source *s, const char *key, const char *value, struct err *err) {
    if (node_group_is_setting(key))
        return node_group_set(&s->group, key, value, err);
    return fields_find(&fields, key) ? fields_set(&fields, s, key, value, err) : 0;
}

int volume_source_parse(const struct string_map *context, struct volume_source *ret, struct err *err) {
    struct volume_source source cleanup(volume_source_done) = {0};
    int r = 0;
    for (size_t i = 0; i < context->count && r == 0; i++)
        r = set(&source, context->items[i].key, context->items[i].value, err);
    if (r == 0)
        r = check_group(&source, err);
    if (r == 0)
        r = check_origin(&source, err);
    if (r == 0) {
        if (source.server)
            strip_brackets(source.server);
        r = join(&source, err);
    }
    if (r < 0)
        return r;
    *ret = source;
    source = (struct volume_source){0};
    return 0;
}
