// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/creds.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP_BIT(cap) (UINT64_C(1) << (cap))

static int read_caps(uint64_t *ret_permitted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    *ret_permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

static int set_effective(uint64_t permitted, uint64_t effective) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted},
        {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32)},
    };
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

bool posix_cred_eq(const struct nfs_cred *a, const struct nfs_cred *b) {
    return a->uid == b->uid && a->gid == b->gid && a->group_count == b->group_count &&
           memcmp(a->groups, b->groups, a->group_count * sizeof *a->groups) == 0;
}

int posix_creds_init(struct posix_creds *creds) {
    *creds = (struct posix_creds){0};
    int r = read_caps(&creds->permitted);
    if (r < 0)
        return r;
    const uint64_t needed = CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID);
    return (creds->permitted & needed) == needed ? 0 : -EPERM;
}

// setfsuid(2) and setfsgid(2) do not fail, they do nothing; asking for an invalid id tells what is so.
static int set_ids(const struct nfs_cred *cred) {
    if (syscall(SYS_setgroups, (size_t)cred->group_count, cred->groups) < 0)
        return -errno;
    (void)syscall(SYS_setfsgid, cred->gid);
    (void)syscall(SYS_setfsuid, cred->uid);
    bool done = (uint32_t)syscall(SYS_setfsgid, -1) == cred->gid && (uint32_t)syscall(SYS_setfsuid, -1) == cred->uid;
    return done ? 0 : -EPERM;
}

int posix_creds_become(struct posix_creds *creds, const struct nfs_cred *cred) {
    if (creds->known && !creds->raised && posix_cred_eq(&creds->now, cred))
        return 0;
    bool capable = creds->known && (creds->raised || creds->now.uid == 0);
    creds->known = creds->raised = false;
    int r = capable ? 0 : set_effective(creds->permitted, creds->permitted);
    if (r == 0)
        r = set_ids(cred);
    // Leaving root dropped the file system's capabilities already, but not those that lift quotas and limits.
    if (r == 0 && cred->uid != 0)
        r = set_effective(creds->permitted, 0);
    if (r < 0)
        return r;
    creds->now = *cred;
    creds->known = true;
    return 0;
}

int posix_creds_raise(struct posix_creds *creds) {
    if (!creds->known)
        return -EPERM;
    if (creds->now.uid == 0)
        return 0;
    int r = set_effective(creds->permitted, creds->permitted);
    creds->raised = r == 0;
    return r;
}

void posix_creds_lower(struct posix_creds *creds) {
    if (creds->raised && set_effective(creds->permitted, 0) < 0)
        creds->known = false;
    creds->raised = false;
}
