// SPDX-License-Identifier: Apache-2.0
#include "csi/shared_volume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define ORIGIN_PREFIX "mount=" // no server's name holds '='

void share_location_done(struct share_location *location) {
    free(location->origin);
    free(location->server);
    free(location->path);
    *location = (struct share_location){0};
}

static bool is_host(const char *s, size_t len) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    return len > 0 && len < 256 && strspn(s, allowed) >= len;
}

static bool is_ipv6(const char *s, size_t len) {
    return len > 1 && len < 64 && strspn(s, "0123456789abcdefABCDEF:.") >= len && memchr(s, ':', len);
}

// Absolute, no empty, "." or ".." component; "/" itself is a path.
static bool is_share_path(const char *path) {
    if (path[0] != '/')
        return false;
    for (const char *at = path + 1; *at || at == path + 1;) {
        size_t len = strcspn(at, "/");
        if (len == 0 && at == path + 1 && !at[0])
            return true;
        if (!str_is_path_component(at, len))
            return false;
        at += len;
        if (!*at)
            return true;
        at++;
        if (!*at)
            return false;
    }
    return true;
}

static int location_bad(const char *text, const char *why, struct err *err) {
    return err_set(err, -EINVAL,
                   "share location '%.80s': %s; write SERVER[:NFS-PORT[:MOUNT-PORT]][+VERSION]/PATH, or " ORIGIN_PREFIX
                   "ORIGIN/PATH",
                   text, why);
}

// ":12049" at *at; a port that is not there stays 0.
static int parse_port(const char **at, uint16_t *ret) {
    if (**at != ':')
        return 0;
    char digits[6] = {0};
    size_t len = strspn(*at + 1, "0123456789");
    if (len == 0 || len >= sizeof digits)
        return -EINVAL;
    memcpy(digits, *at + 1, len);
    uint64_t port = 0;
    int r = str_to_u64(digits, 1, UINT16_MAX, &port);
    *ret = (uint16_t)port;
    *at += 1 + len;
    return r;
}

int share_location_copy(const struct share_location *from, struct share_location *ret) {
    *ret = *from;
    ret->origin = mem_strdup(from->origin);
    ret->server = mem_strdup(from->server);
    ret->path = mem_strdup(from->path);
    if (ret->path && (ret->server || !from->server) && (ret->origin || !from->origin))
        return 0;
    share_location_done(ret);
    return -ENOMEM;
}

static int parse_origin(const char *text, struct share_location *ret, struct err *err) {
    struct share_location found cleanup(share_location_done) = {0};
    struct node_group group cleanup(node_group_done) = {0};
    const char *at = text + strlen(ORIGIN_PREFIX);
    size_t len = strcspn(at, "/");
    found.origin = mem_strndup(at, len);
    found.path = mem_strdup(at + len);
    if (!found.origin || !found.path)
        return err_set(err, -ENOMEM, "out of memory");
    if (node_group_set(&group, "originName", found.origin, NULL) < 0)
        return location_bad(text, "no name of an origin behind '" ORIGIN_PREFIX "'", err);
    if (!is_share_path(found.path))
        return location_bad(text, "the path is absolute, without '..', empty components or a '/' at its end", err);
    *ret = found;
    found = (struct share_location){0};
    return 0;
}

int share_location_parse(const char *text, struct share_location *ret, struct err *err) {
    struct share_location found cleanup(share_location_done) = {0};
    const char *at = text;
    if (str_starts(text, ORIGIN_PREFIX))
        return parse_origin(text, ret, err);
    if (*at == '[') {
        size_t len = strcspn(at + 1, "]");
        if (at[1 + len] != ']' || !is_ipv6(at + 1, len))
            return location_bad(text, "no IPv6 address between the brackets", err);
        found.server = mem_strndup(at + 1, len);
        at += len + 2;
    } else {
        size_t len = strcspn(at, ":+/");
        if (!is_host(at, len))
            return location_bad(text, "no server name or address at its start", err);
        found.server = mem_strndup(at, len);
        at += len;
    }
    if (parse_port(&at, &found.nfs_port) < 0 || parse_port(&at, &found.mount_port) < 0)
        return location_bad(text, "a port is a number from 1 to 65535", err);
    if (*at == '+') {
        if (at[1] != '3' && at[1] != '4')
            return location_bad(text, "the NFS version is 3 or 4", err);
        found.version = at[1] - '0';
        at += 2;
    }
    if (!is_share_path(at))
        return location_bad(text, "the path is absolute, without '..', empty components or a '/' at its end", err);
    found.path = mem_strdup(at);
    if (!found.server || !found.path)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = found;
    found = (struct share_location){0};
    return 0;
}

int share_location_format(const struct share_location *location, char ret[CSI_ID_MAX + 1], struct err *err) {
    struct str text cleanup_str = {0};
    bool bracket = location->server && strchr(location->server, ':');
    if (location->origin)
        (void)str_printf(&text, ORIGIN_PREFIX "%s", location->origin);
    else
        (void)str_printf(&text, bracket ? "[%s]" : "%s", location->server);
    if (location->nfs_port || location->mount_port)
        (void)str_printf(&text, ":%u", location->nfs_port ? location->nfs_port : 2049u);
    if (location->mount_port)
        (void)str_printf(&text, ":%u", location->mount_port);
    if (location->version)
        (void)str_printf(&text, "+%d", location->version);
    (void)str_append(&text, location->path);
    if (text.failed)
        return err_set(err, -ENOMEM, "out of memory");
    if (text.len > CSI_ID_MAX)
        return err_set(err, -EINVAL, "server and share '%.80s…' have %zu bytes; a volume id leaves room for %d",
                       text.data, text.len, CSI_ID_MAX - HASH_ID_LEN - 3);
    memcpy(ret, text.data, text.len + 1);
    return 0;
}

void shared_id_done(struct shared_id *id) {
    share_location_done(&id->location);
    *id = (struct shared_id){0};
}

int shared_id_parse(const char *text, struct shared_id *ret, struct err *err) {
    struct shared_id id = {0};
    if (!text || strlen(text) > CSI_ID_MAX || !strchr("vsg", text[0]) || text[0] == '\0' || text[1] != '-' ||
        strlen(text) < HASH_ID_LEN + 3 || text[HASH_ID_LEN + 2] != '@')
        return err_set(err, -EINVAL, "'%.128s' is no id of a volume, snapshot or group of %s", text ? text : "",
                       SHARED_DRIVER_NAME);
    id.kind = (enum shared_kind)text[0];
    memcpy(id.key, text + 2, HASH_ID_LEN);
    if (!hash_is_id(id.key))
        return err_set(err, -EINVAL, "'%.128s' is no id of %s: its key is damaged", text, SHARED_DRIVER_NAME);
    int r = share_location_parse(text + HASH_ID_LEN + 3, &id.location, err);
    if (r < 0)
        return err_wrap(err, r, "id '%.60s…'", text);
    *ret = id;
    return 0;
}

int shared_id_format(enum shared_kind kind, const char *key, const struct share_location *location,
                     char ret[CSI_ID_MAX + 1], struct err *err) {
    char where[CSI_ID_MAX + 1];
    int r = share_location_format(location, where, err);
    if (r < 0)
        return r;
    if (strlen(where) + HASH_ID_LEN + 3 > CSI_ID_MAX)
        return err_set(err, -EINVAL,
                       "server and share '%.100s' have %zu bytes; the longest that fits into a volume id has %d", where,
                       strlen(where), CSI_ID_MAX - HASH_ID_LEN - 3);
    (void)snprintf(ret, CSI_ID_MAX + 1, "%c-%.26s@%.99s", (int)kind, key, where);
    return 0;
}
