// SPDX-License-Identifier: Apache-2.0
// The parameters of the class "shared" and the directory they lead to.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "csi/shared_volume.h"
#include "lib/base/fields.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const char *const on_delete_names[] = {"delete", "retain", "archive", NULL};
static const char *const mount_mode_names[] = {"auto", "kernel", "fuse", NULL};

static int check_share(const char *value, struct err *err) {
    struct share_location location cleanup(share_location_done) = {0};
    char text[CSI_ID_MAX + 4];
    size_t len = strlen(value);
    if (len > CSI_ID_MAX)
        return err_set(err, -EINVAL, "has %zu bytes; a volume id leaves room for less than %d", len, CSI_ID_MAX);
    while (len > 1 && value[len - 1] == '/')
        len--;
    (void)snprintf(text, sizeof text, "x%.*s", (int)len, value);
    if (share_location_parse(text, &location, NULL) < 0)
        return err_set(err, -EINVAL, "'%.60s' is not an absolute path without '..' or empty components", value);
    return 0;
}

static int check_server(const char *value, struct err *err) {
    struct share_location location cleanup(share_location_done) = {0};
    char text[300];
    bool bare_ipv6 = value[0] != '[' && strchr(value, ':');
    (void)snprintf(text, sizeof text, bare_ipv6 ? "[%s]/" : "%s/", value);
    if (share_location_parse(text, &location, NULL) < 0 || location.nfs_port || location.version)
        return err_set(err, -EINVAL, "'%.60s' is no host name or address (ports: parameters nfsPort and mountPort)",
                       value);
    return 0;
}

#define P(member) offsetof(struct shared_parameters, member)
static const struct field rows[] = {
    {.name = "server",
     .type = FIELD_TEXT,
     .offset = P(server),
     .value = "HOST",
     .max = 255,
     .required = true,
     .check = check_server,
     .help = "host name or address of the NFS server"},
    {.name = "share",
     .type = FIELD_TEXT,
     .offset = P(share),
     .value = "PATH",
     .required = true,
     .check = check_share,
     .help = "exported path, such as /exports/data"},
    {.name = "subDir",
     .type = FIELD_TEXT,
     .offset = P(sub_dir),
     .value = "PATH",
     .max = 4096,
     .help = "directory of the volume below the share; may hold ${pvc.metadata.name}, ${pvc.metadata.namespace}, "
             "${pv.metadata.name}"},
    {.name = "onDelete",
     .type = FIELD_CHOICE,
     .offset = P(on_delete),
     .choices = on_delete_names,
     .help = "what becomes of the data when the volume is deleted"},
    {.name = "mountPermissions",
     .type = FIELD_OCTAL,
     .offset = P(mount_permissions),
     .max = 07777,
     .value = "OCTAL",
     .help = "mode of the volume's directory; 0 leaves 0755"},
    {.name = "uid",
     .type = FIELD_I64,
     .offset = P(uid),
     .fallback = "-1",
     .min = -1,
     .max = UINT32_MAX - 1,
     .help = "owner of the volume's directory; -1 leaves it"},
    {.name = "gid",
     .type = FIELD_I64,
     .offset = P(gid),
     .fallback = "-1",
     .min = -1,
     .max = UINT32_MAX - 1,
     .help = "group of the volume's directory; -1 leaves it"},
    {.name = "mountMode",
     .type = FIELD_CHOICE,
     .offset = P(mount_mode),
     .choices = mount_mode_names,
     .help = "who mounts at the node: the kernel's NFS client or user space"},
    {.name = "nfsPort",
     .type = FIELD_U32,
     .offset = P(nfs_port),
     .max = UINT16_MAX,
     .help = "port of NFS; 0: standard"},
    {.name = "mountPort",
     .type = FIELD_U32,
     .offset = P(mount_port),
     .max = UINT16_MAX,
     .help = "port of the mount protocol (NFSv3); 0: the port mapper's answer"},
    {.name = "nfsVersion",
     .type = FIELD_U32,
     .offset = P(nfs_version),
     .max = 4,
     .help = "3 or 4; 0: what the server has"},
    {.name = "connections",
     .type = FIELD_U32,
     .offset = P(connections),
     .max = 16,
     .help = "TCP connections of one user-space mount; 0: 4"},
    {.name = "csi.storage.k8s.io/pvc/name",
     .type = FIELD_TEXT,
     .offset = P(pvc_name),
     .max = 253,
     .help = "given by external-provisioner --extra-create-metadata"},
    {.name = "csi.storage.k8s.io/pvc/namespace",
     .type = FIELD_TEXT,
     .offset = P(pvc_namespace),
     .max = 253,
     .help = "given by external-provisioner --extra-create-metadata"},
    {.name = "csi.storage.k8s.io/pv/name",
     .type = FIELD_TEXT,
     .offset = P(pv_name),
     .max = 253,
     .help = "given by external-provisioner --extra-create-metadata"},
};
static const struct fields table = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "parameter"};

void shared_parameters_done(struct shared_parameters *p) {
    fields_done(&table, p);
    node_group_done(&p->group);
}

int shared_parameters_set(struct shared_parameters *p, const char *name, const char *value, struct err *err) {
    if (!fields_find(&table, name) && str_starts(name, "csi.storage.k8s.io/"))
        return 0;
    return node_group_is_setting(name) ? node_group_set(&p->group, name, value, err)
                                       : fields_set(&table, p, name, value, err);
}

// A mounted origin takes the place of the server; its `share` is a directory of it.
static int check_origin(struct shared_parameters *p, struct err *err) {
    if (p->group.origin == ORIGIN_NFS)
        return fields_required(&table, p, err);
    if (p->server || p->nfs_port || p->mount_port || p->nfs_version || p->connections)
        return err_set(err, -EINVAL,
                       "server, nfsPort, mountPort, nfsVersion and connections are of an NFS share; "
                       "remove them, or origin: mount");
    if (str_empty(p->group.origin_name))
        return err_set(err, -EINVAL,
                       "origin: mount needs originName, as stowage-controller --origin has it, so that "
                       "volumes can be made there");
    if (!p->share)
        p->share = mem_strdup("/");
    return p->share ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int check_group(const struct shared_parameters *p, struct err *err) {
    int r = node_group_check(&p->group, err);
    if (r == 0 && p->group.name && p->mount_mode == MOUNT_MODE_KERNEL)
        r = err_set(err, -EINVAL,
                    "mountMode: kernel has no cache of Stowage's; remove it from a class with nodeGroup, "
                    "whose volumes are mounted in user space");
    return r;
}

// "[fd00::5]" and "/data/" are taken as "fd00::5" and "/data", so that one share has one id.
static void normalise(struct shared_parameters *p) {
    size_t len = strlen(p->share);
    while (len > 1 && p->share[len - 1] == '/')
        p->share[--len] = '\0';
    len = p->server ? strlen(p->server) : 0;
    if (len && p->server[0] == '[') {
        memmove(p->server, p->server + 1, len - 2);
        p->server[len - 2] = '\0';
    }
}

int shared_parameters_parse(const struct string_map *parameters, struct shared_parameters *ret, struct err *err) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    int r = fields_defaults(&table, &p, err);
    for (size_t i = 0; r == 0 && i < parameters->count; i++)
        r = shared_parameters_set(&p, parameters->items[i].key, parameters->items[i].value, err);
    if (r == 0)
        r = check_group(&p, err);
    if (r == 0)
        r = check_origin(&p, err);
    if (r == 0 && (p.nfs_version == 1 || p.nfs_version == 2))
        r = err_set(err, -EINVAL, "parameter 'nfsVersion' is %u; give 3 or 4", p.nfs_version);
    if (r < 0)
        return r;
    normalise(&p);
    *ret = p;
    p = (struct shared_parameters){0};
    return 0;
}

void shared_parameters_print_help(void) {
    fields_print_help(&table);
    node_group_print_help();
}

int shared_parameters_location(const struct shared_parameters *p, struct share_location *ret, struct err *err) {
    bool mounted = p->group.origin == ORIGIN_MOUNT;
    struct share_location location cleanup(share_location_done) = {
        .origin = mounted ? mem_strdup(p->group.origin_name) : NULL,
        .server = mounted ? NULL : mem_strdup(p->server),
        .path = mem_strdup(p->share),
        .nfs_port = (uint16_t)p->nfs_port,
        .mount_port = (uint16_t)p->mount_port,
        .version = (int)p->nfs_version,
    };
    if ((!location.server && !location.origin) || !location.path)
        return err_set(err, -ENOMEM, "out of memory");
    if (location.mount_port && !location.nfs_port)
        location.nfs_port = 2049;
    *ret = location;
    location = (struct share_location){0};
    return 0;
}

// One template: its text, its value, and what to do when there is none.
struct template {
    const char *text, *value, *remedy;
};

static int expand_one(struct str *out, const char **at, const struct template *list, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        if (!str_starts(*at, list[i].text))
            continue;
        if (str_empty(list[i].value))
            return err_set(err, -EINVAL, "subDir holds %s, which the request does not give: %s", list[i].text,
                           list[i].remedy);
        if (!str_is_path_component(list[i].value, strlen(list[i].value)))
            return err_set(err, -EINVAL, "the value '%.80s' of %s in subDir is no directory name", list[i].value,
                           list[i].text);
        *at += strlen(list[i].text);
        return str_append(out, list[i].value);
    }
    return err_set(err, -EINVAL,
                   "subDir holds the unknown template '%.40s'; known are ${pvc.metadata.name}, "
                   "${pvc.metadata.namespace}, ${pv.metadata.name}",
                   *at);
}

static int expand(const char *text, const struct template *list, size_t count, struct str *out, struct err *err) {
    while (*text) {
        size_t plain = strcspn(text, "$");
        (void)str_append_bytes(out, text, plain);
        text += plain;
        if (!*text)
            break;
        if (text[1] != '{') {
            (void)str_append_bytes(out, text++, 1);
            continue;
        }
        int r = expand_one(out, &text, list, count, err);
        if (r < 0)
            return r;
    }
    return out->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int check_sub_dir(const char *path, struct err *err) {
    if (strlen(path) > 1024)
        return err_set(err, -EINVAL, "subDir has %zu bytes; the limit is 1024", strlen(path));
    if (path[0] == '/')
        return err_set(err, -EINVAL, "subDir '%.80s' is absolute; give it relative to the share", path);
    for (const char *at = path;; at++) {
        size_t len = strcspn(at, "/");
        if (!str_is_path_component(at, len))
            return err_set(err, -EINVAL,
                           "subDir '%.80s' has the component '%.*s'; each is 1 to 255 bytes of UTF-8, and none is '.' "
                           "or '..'",
                           path, (int)(len < 60 ? len : 60), at);
        if (at == path && len == strlen(".stowage") && memcmp(at, ".stowage", len) == 0)
            return err_set(err, -EINVAL, "subDir '%.80s' is below .stowage, which belongs to the driver", path);
        at += len;
        if (!*at)
            return 0;
    }
}

int shared_sub_dir_resolve(const struct shared_parameters *p, const char *volume_name, char **ret, struct err *err) {
    char hashed[HASH_ID_LEN + 1];
    const char *pv = str_empty(p->pv_name) ? volume_name : p->pv_name;
    if (!str_is_path_component(pv, strlen(pv)) || str_eq(pv, ".stowage")) {
        hash_id(volume_name, strlen(volume_name), hashed);
        pv = hashed;
    }
    static const char remedy[] = "run external-provisioner with --extra-create-metadata";
    const struct template list[] = {
        {"${pvc.metadata.name}", p->pvc_name, remedy},
        {"${pvc.metadata.namespace}", p->pvc_namespace, remedy},
        {"${pv.metadata.name}", pv, remedy},
    };
    struct str out cleanup_str = {0};
    const char *text = str_empty(p->sub_dir) ? "${pv.metadata.name}" : p->sub_dir;
    int r = expand(text, list, ARRAY_SIZE(list), &out, err);
    if (r == 0)
        r = check_sub_dir(str_text(&out), err);
    if (r < 0)
        return r;
    *ret = str_take(&out);
    return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}
