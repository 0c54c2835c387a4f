// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/str.h"

// Arguments: source, target, "ro" or "rw". A read-only bind needs a second call (mount(2), "Remounting an existing
// mount"); when that fails the first is undone.
static int verb_bind(char **args, struct child_reply *reply, struct err *err) {
    (void)reply;
    if (mount(args[0], args[1], NULL, MS_BIND, NULL) < 0)
        return err_set(err, -errno, "bind mount of %s on %s: %s", args[0], args[1], err_name(errno));
    if (!str_eq(args[2], "ro") || mount(NULL, args[1], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0)
        return 0;
    int code = -errno;
    (void)umount2(args[1], MNT_DETACH | UMOUNT_NOFOLLOW);
    return err_set(err, code, "read-only bind mount of %s on %s: %s", args[0], args[1], err_name(code));
}

// Arguments: target, "plain" or "detach".
static int verb_unmount(char **args, struct child_reply *reply, struct err *err) {
    (void)reply;
    int flags = UMOUNT_NOFOLLOW | (str_eq(args[1], "detach") ? MNT_DETACH : 0);
    if (umount2(args[0], flags) < 0)
        return err_set(err, -errno, "umount of %s: %s", args[0], err_name(errno));
    return 0;
}

static int64_t clamp(unsigned long long blocks, unsigned long long unit) {
    unsigned long long bytes = 0;
    if (__builtin_mul_overflow(blocks, unit, &bytes) || bytes > INT64_MAX)
        return INT64_MAX;
    return (int64_t)bytes;
}

// Arguments: path. Numbers: bytes total, free, available; files total, free, available.
static int verb_statfs(char **args, struct child_reply *reply, struct err *err) {
    struct statvfs st;
    if (statvfs(args[0], &st) < 0)
        return err_set(err, -errno, "statfs of %s: %s", args[0], err_name(errno));
    int64_t numbers[CHILD_NUMBERS] = {
        clamp(st.f_blocks, st.f_frsize),
        clamp(st.f_bfree, st.f_frsize),
        clamp(st.f_bavail, st.f_frsize),
        clamp(st.f_files, 1),
        clamp(st.f_ffree, 1),
        clamp(st.f_favail, 1),
    };
    memcpy(reply->numbers, numbers, sizeof numbers);
    return 0;
}

static const struct verb {
    const char *name;
    int args;
    int (*run)(char **args, struct child_reply *reply, struct err *err);
} verbs[] = {
    {"nfs", 7, verb_nfs},       {"device", 4, verb_device}, {"bind", 3, verb_bind}, {"unmount", 2, verb_unmount},
    {"statfs", 1, verb_statfs}, {"origin", 4, verb_origin}, {"path", 4, verb_path},
};

bool child_is_wanted(int argc, char **argv) {
    return argc >= 3 && str_eq(argv[1], "--child");
}

// The answer goes to descriptor 3: see process_spawn.
int child_main(int argc, char **argv) {
    struct child_reply reply = {.code = -EINVAL};
    struct err err = ERR_NONE;
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (str_eq(argv[2], verbs[i].name) && argc == 3 + verbs[i].args)
            reply.code = verbs[i].run(&argv[3], &reply, &err);
    if (reply.code < 0)
        (void)snprintf(reply.msg, sizeof reply.msg, "%s", err_text(&err));
    return write(3, &reply, sizeof reply) == (ssize_t)sizeof reply ? 0 : 1;
}
