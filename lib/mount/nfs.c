// SPDX-License-Identifier: Apache-2.0
// A kernel NFS mount through libmount, without mount.nfs: the kernel takes its options as text (nfs(5)) and lacks only
// the server's address and the search for a version, which are done here.
#include <arpa/inet.h>
#include <errno.h>
#include <libmount.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/mount/verbs.h"

struct request {
    const char *server, *path, *target, *version, *port, *mount_port, *options;
    char address[INET6_ADDRSTRLEN];
};

static int resolve(struct request *request, struct err *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    struct in6_addr literal;
    if (inet_pton(AF_INET, request->server, &literal) == 1 || inet_pton(AF_INET6, request->server, &literal) == 1) {
        (void)snprintf(request->address, sizeof request->address, "%s", request->server);
        return 0;
    }
    int r = getaddrinfo(request->server, NULL, &hints, &found);
    if (r != 0)
        return err_set(err, -EHOSTUNREACH, "cannot resolve the NFS server '%s': %s; check its name and the node's DNS",
                       request->server, gai_strerror(r));
    r = getnameinfo(found->ai_addr, found->ai_addrlen, request->address, sizeof request->address, NULL, 0,
                    NI_NUMERICHOST);
    freeaddrinfo(found);
    return r == 0 ? 0 : err_set(err, -EHOSTUNREACH, "no usable address for the NFS server '%s'", request->server);
}

static bool given(const char *number) {
    return !str_empty(number) && !str_eq(number, "0");
}

static bool option_says_v3(const char *options) {
    char *value = NULL;
    size_t len = 0;
    if (mnt_optstr_get_option(options, "v3", NULL, NULL) == 0)
        return true;
    return (mnt_optstr_get_option(options, "vers", &value, &len) == 0 ||
            mnt_optstr_get_option(options, "nfsvers", &value, &len) == 0) &&
           len == 1 && value[0] == '3';
}

// `version` NULL: the user's options name one.
static int build_options(const struct request *request, const char *version, struct str *out) {
    bool v3 = version ? version[0] == '3' : option_says_v3(request->options);
    (void)str_printf(out, "addr=%s", request->address);
    if (version)
        (void)str_printf(out, ",vers=%s", version);
    if (given(request->port))
        (void)str_printf(out, ",port=%s", request->port);
    if (v3) {
        (void)str_printf(out, ",proto=tcp,mountaddr=%s,mountproto=tcp", request->address);
        if (given(request->mount_port))
            (void)str_printf(out, ",mountport=%s", request->mount_port);
        // Locks through NLM need rpc.statd on the node; without it every lock would fail with ENOLCK.
        if (mnt_optstr_get_option(request->options, "lock", NULL, NULL) != 0)
            (void)str_append(out, ",nolock");
    }
    if (!str_empty(request->options))
        (void)str_printf(out, ",%s", request->options);
    return out->failed ? -ENOMEM : 0;
}

static int set_up(struct libmnt_context *context, const struct request *request, const char *options) {
    struct str source cleanup_str = {0};
    bool v6 = strchr(request->server, ':') != NULL;
    (void)str_printf(&source, v6 ? "[%s]:%s" : "%s:%s", request->server, request->path);
    if (source.failed)
        return -ENOMEM;
    int r = mnt_context_disable_helpers(context, 1);
    if (r == 0)
        r = mnt_context_disable_mtab(context, 1);
    if (r == 0)
        r = mnt_context_disable_canonicalize(context, 1);
    if (r == 0)
        r = mnt_context_set_fstype(context, "nfs");
    if (r == 0)
        r = mnt_context_set_source(context, str_text(&source));
    if (r == 0)
        r = mnt_context_set_target(context, request->target);
    if (r == 0)
        r = mnt_context_set_options(context, options);
    return r;
}

// libmount's result is 0, a negative errno, or positive with the errno of mount(2) beside it.
static int mount_once(const struct request *request, const char *version) {
    struct str options cleanup_str = {0};
    int r = build_options(request, version, &options);
    struct libmnt_context *context = r == 0 ? mnt_new_context() : NULL;
    if (!context)
        return -ENOMEM;
    r = set_up(context, request, str_text(&options));
    if (r == 0) {
        r = mnt_context_mount(context);
        if (r != 0 && mnt_context_syscall_called(context))
            r = -mnt_context_get_syscall_errno(context);
        else if (r > 0)
            r = -EINVAL;
    }
    mnt_free_context(context);
    return r;
}

static int explain(const struct request *request, int code, struct err *err) {
    static const struct {
        int code;
        const char *remedy;
    } remedies[] = {
        {-EACCES, "the server refuses this node; add it to the export"},
        {-EPERM, "the server refuses this node; add it to the export, or mount as root"},
        {-ENOENT, "no such export or directory on the server"},
        {-ECONNREFUSED, "no NFS server listens there; check the address and the port"},
        {-EHOSTUNREACH, "the server cannot be reached; check the address and the network"},
        {-ETIMEDOUT, "the server does not answer; check the address and firewalls"},
        {-EPROTONOSUPPORT, "server and kernel have no NFS version in common; check nfsVersion"},
        {-EINVAL, "the kernel refuses the mount options; check mountOptions"},
        {-ENODEV, "this kernel has no NFS client; use mountMode fuse"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
        if (remedies[i].code == code)
            return err_set(err, code, "NFS mount of %s:%s: %s: %s", request->server, request->path, err_name(code),
                           remedies[i].remedy);
    return err_set(err, code, "NFS mount of %s:%s: %s", request->server, request->path, err_name(code));
}

// Results that an older version of the protocol may cure.
static bool other_version_may_help(int code) {
    return code == -EPROTONOSUPPORT || code == -EPROTO || code == -EINVAL || code == -EOPNOTSUPP || code == -ENOENT;
}

static bool option_names_version(const char *options) {
    static const char *const names[] = {"vers", "nfsvers", "minorversion", "v3", "v4", "v4.0", "v4.1", "v4.2"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (mnt_optstr_get_option(options, names[i], NULL, NULL) == 0)
            return true;
    return false;
}

int verb_nfs(char **args, struct child_reply *reply, struct err *err) {
    (void)reply;
    static const char *const newest_first[] = {"4.2", "4.1", "4.0", "3"};
    struct request request = {.server = args[0],
                              .path = args[1],
                              .target = args[2],
                              .version = args[3],
                              .port = args[4],
                              .mount_port = args[5],
                              .options = args[6]};
    int r = resolve(&request, err);
    if (r < 0)
        return r;
    if (option_names_version(request.options)) {
        r = mount_once(&request, NULL);
        return r < 0 ? explain(&request, r, err) : 0;
    }
    r = -EPROTONOSUPPORT;
    for (size_t i = 0; i < ARRAY_SIZE(newest_first) && r < 0; i++) {
        bool asked = !given(request.version) || newest_first[i][0] == request.version[0];
        if (!asked)
            continue;
        int tried = mount_once(&request, newest_first[i]);
        if (tried == 0 || r == -EPROTONOSUPPORT || tried == -EACCES)
            r = tried; // the first real reason is the one to tell
        if (tried < 0 && !other_version_may_help(tried))
            break;
    }
    return r < 0 ? explain(&request, r, err) : 0;
}
