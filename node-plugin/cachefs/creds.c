// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/creds.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static bool read_status(const struct creds *creds, pid_t pid, char *text, size_t size) {
    char path[288];
    (void)snprintf(path, sizeof path, "%s/%d/status", creds->proc, (int)pid);
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

static void read_groups(const struct creds *creds, pid_t pid, struct nfs_cred *cred) {
    char text[4096];
    const char *at = pid > 0 && read_status(creds, pid, text, sizeof text) ? strstr(text, "\nGroups:") : NULL;
    if (!at)
        return;
    at += strlen("\nGroups:");
    while (cred->group_count < NFS_GROUPS_MAX) {
        char *end;
        at += strspn(at, " \t");
        unsigned long gid = strtoul(at, &end, 10);
        if (end == at)
            return;
        cred->groups[cred->group_count++] = (uint32_t)gid;
        at = end;
    }
}

void creds_get(struct creds *creds, pid_t pid, uid_t uid, gid_t gid, struct nfs_cred *ret) {
    struct creds_slot *slot = &creds->slots[(uint32_t)pid % CREDS_SLOTS];
    int64_t now = clock_monotonic(creds->clock);
    {
        LOCK_SCOPE(&creds->lock);
        if (pid > 0 && slot->pid == pid && slot->cred.uid == uid && slot->cred.gid == gid &&
            now - slot->read_at < CREDS_TTL_NS) {
            *ret = slot->cred;
            return;
        }
    }
    struct nfs_cred cred = {.uid = uid, .gid = gid};
    read_groups(creds, pid, &cred);
    LOCK_SCOPE(&creds->lock);
    *slot = (struct creds_slot){.pid = pid, .read_at = now, .cred = cred};
    *ret = cred;
}

static uint64_t signal_set(const char *text, const char *name) {
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

bool creds_is_dying(const struct creds *creds, pid_t pid) {
    char text[4096];
    if (pid <= 0)
        return true; // nothing can be known about it; an interrupt is all there is
    if (!read_status(creds, pid, text, sizeof text))
        return true;
    uint64_t pending = signal_set(text, "\nSigPnd:") | signal_set(text, "\nShdPnd:");
    uint64_t kept_off = signal_set(text, "\nSigBlk:") | signal_set(text, "\nSigIgn:") | signal_set(text, "\nSigCgt:");
    static const int harmless[] = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
        kept_off |= UINT64_C(1) << (harmless[i] - 1);
    return (pending & ~kept_off) != 0;
}
