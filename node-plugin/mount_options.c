// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/mount_options.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define OPTIONS_MAX 3072 // bytes in all; mount(2) takes one page and addresses are added
#define OPTION_MAX 255

enum meaning { READ_ONLY, READ_WRITE, VERSION, PORT, MOUNT_PORT, CONNECTIONS, PROTOCOL, SECURITY, TUNING };

static const struct option {
    const char *name;
    enum meaning meaning;
} known[] = {
    {"ro", READ_ONLY},
    {"rw", READ_WRITE},
    {"vers", VERSION},
    {"nfsvers", VERSION},
    {"port", PORT},
    {"mountport", MOUNT_PORT},
    {"nconnect", CONNECTIONS},
    {"proto", PROTOCOL},
    {"mountproto", PROTOCOL},
    {"tcp", TUNING},
    {"sec", SECURITY},
    {"hard", TUNING},
    {"soft", TUNING},
    {"softerr", TUNING},
    {"timeo", TUNING},
    {"retrans", TUNING},
    {"retry", TUNING},
    {"rsize", TUNING},
    {"wsize", TUNING},
    {"ac", TUNING},
    {"noac", TUNING},
    {"actimeo", TUNING},
    {"acregmin", TUNING},
    {"acregmax", TUNING},
    {"acdirmin", TUNING},
    {"acdirmax", TUNING},
    {"lookupcache", TUNING},
    {"cto", TUNING},
    {"nocto", TUNING},
    {"acl", TUNING},
    {"noacl", TUNING},
    {"lock", TUNING},
    {"nolock", TUNING},
    {"local_lock", TUNING},
    {"intr", TUNING},
    {"nointr", TUNING},
    {"fg", TUNING},
    {"bg", TUNING},
    {"rdirplus", TUNING},
    {"nordirplus", TUNING},
    {"resvport", TUNING},
    {"noresvport", TUNING},
    {"atime", TUNING},
    {"noatime", TUNING},
    {"relatime", TUNING},
    {"nodiratime", TUNING},
    {"async", TUNING},
    {"sync", TUNING},
    {"_netdev", TUNING},
    {"sharecache", TUNING},
    {"nosharecache", TUNING},
    {"fsc", TUNING},
    {"nofsc", TUNING},
    {"defaults", TUNING},
    {"max_connect", TUNING},
};

static int number(const char *option, const char *value, uint32_t max, uint32_t *ret, struct err *err) {
    uint64_t parsed = 0;
    if (!value || str_to_u64(value, 1, max, &parsed) < 0)
        return err_set(err, -EINVAL, "mount option '%s' wants a number from 1 to %u", option, max);
    *ret = (uint32_t)parsed;
    return 0;
}

// libnfs speaks 3 and 4.0; a later minor version is served as 4.0, which its server also speaks.
static int version(const char *option, const char *value, uint32_t *ret, struct err *err) {
    if (str_eq(value, "3"))
        *ret = 3;
    else if (str_eq(value, "4") ||
             (str_starts(value ? value : "", "4.") && value[2] >= '0' && value[2] <= '2' && !value[3]))
        *ret = 4;
    else
        return err_set(err, -EINVAL, "mount option '%s': NFS versions are 3, 4, 4.0, 4.1 and 4.2", option);
    return 0;
}

static int only(const char *option, const char *value, const char *served, struct err *err) {
    if (str_eq(value, served))
        return 0;
    return err_set(err, -EINVAL, "mount option '%s' is not served by a FUSE mount; use %s or mountMode kernel", option,
                   served);
}

static const struct option *find(const char *name, size_t len) {
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0)
            return &known[i];
    return NULL;
}

static int apply(const char *option, struct mount_options *out, struct err *err) {
    size_t len = strcspn(option, "=");
    const char *value = option[len] ? option + len + 1 : NULL;
    const struct option *found = find(option, len);
    if (found)
        switch (found->meaning) {
        case READ_ONLY:
        case READ_WRITE:
            out->read_only = found->meaning == READ_ONLY;
            return 0;
        case VERSION:
            return version(option, value, &out->version, err);
        case PORT:
            return number(option, value, UINT16_MAX, &out->port, err);
        case MOUNT_PORT:
            return number(option, value, UINT16_MAX, &out->mount_port, err);
        case CONNECTIONS:
            return number(option, value, 16, &out->connections, err);
        case PROTOCOL:
            return only(option, value, "tcp", err);
        case SECURITY:
            return only(option, value, "sys", err);
        case TUNING:
            log_debug("mount option has no meaning for a FUSE mount", LOG_S("option", option));
            return 0;
        }
    return err_set(err, -EINVAL, "mount option '%s' is not known to a FUSE mount; remove it or use mountMode kernel",
                   option);
}

// The kernel's client judges its own options. Refused is what would mount something else than the volume (addr, bind) or
// make libmount do more than mount (X-mount.mkdir).
static int look(const char *option, struct mount_options *out, struct err *err) {
    static const char *const refused[] = {"addr",    "mountaddr", "bind",   "rbind",   "move",
                                          "remount", "loop",      "helper", "uhelper", "offset"};
    size_t len = strcspn(option, "=");
    bool bad = str_starts(option, "X-mount.");
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        bad = bad || (strlen(refused[i]) == len && strncmp(option, refused[i], len) == 0);
    if (bad)
        return err_set(err, -EINVAL, "mount option '%s' cannot be given for a volume; remove it", option);
    if (str_eq(option, "ro"))
        out->read_only = true;
    else if (str_eq(option, "rw"))
        out->read_only = false;
    return 0;
}

static int check_characters(const char *flag, struct err *err) {
    for (const char *c = flag; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return err_set(err, -EINVAL, "mount option '%.60s' holds a space or a control character", flag);
    return 0;
}

// One flag may hold several options separated by commas.
static int take_flag(const char *flag, enum mount_mode mode, struct str *all, struct mount_options *out,
                     struct err *err) {
    int r = check_characters(flag, err);
    for (const char *at = flag; r == 0 && *at;) {
        size_t len = strcspn(at, ",");
        char option[OPTION_MAX + 1];
        if (len > OPTION_MAX || all->len + len > OPTIONS_MAX)
            return err_set(err, -EINVAL, "mount options are too long: at most %d bytes each and %d together",
                           OPTION_MAX, OPTIONS_MAX);
        (void)memcpy(option, at, len);
        option[len] = '\0';
        at += len + (at[len] == ',');
        if (len == 0)
            continue;
        (void)str_printf(all, "%s%s", all->len ? "," : "", option);
        if (mode == MOUNT_MODE_FUSE)
            r = apply(option, out, err);
        else
            r = look(option, out, err);
    }
    return r;
}

int mount_options_parse(const char *const *flags, size_t count, enum mount_mode mode, struct mount_options *ret,
                        struct err *err) {
    struct mount_options options = {0};
    struct str all cleanup_str = {0};
    for (size_t i = 0; i < count; i++) {
        int r = take_flag(flags[i], mode, &all, &options, err);
        if (r < 0)
            return r;
    }
    options.kernel = all.failed ? NULL : mem_strdup(str_text(&all));
    if (!options.kernel)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = options;
    return 0;
}

int mount_options_check_names(const char *flags, struct err *err) {
    int r = check_characters(flags, err);
    for (const char *at = flags; r == 0 && *at;) {
        size_t len = strcspn(at, ","), name = strcspn(at, "=,");
        if (len > 0 && !find(at, name))
            return err_set(err, -EINVAL, "mount option '%.*s' cannot be given here; remove it", (int)name, at);
        at += len + (at[len] == ',');
    }
    return r;
}

void mount_options_done(struct mount_options *options) {
    free(options->kernel);
    *options = (struct mount_options){0};
}
