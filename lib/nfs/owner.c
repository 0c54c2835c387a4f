// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/owner.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"

enum { NAME_MAX_BYTES = 63, CACHE_SLOTS = 64, LOOKUP_BYTES = 16 * 1024 };

static struct owner_slot {
    char name[NAME_MAX_BYTES + 1]; // "": free
    bool group;
    uint32_t id;
} cache[CACHE_SLOTS];
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t look_up(const char *name, bool group) {
    char buf[LOOKUP_BYTES];
    if (group) {
        struct group entry, *found = NULL;
        return getgrnam_r(name, &entry, buf, sizeof buf, &found) == 0 && found ? found->gr_gid : NFS_OWNER_NOBODY;
    }
    struct passwd entry, *found = NULL;
    return getpwnam_r(name, &entry, buf, sizeof buf, &found) == 0 && found ? found->pw_uid : NFS_OWNER_NOBODY;
}

static uint32_t look_up_cached(const char *name, bool group) {
    unsigned hash = group ? 17 : 5;
    for (const char *c = name; *c; c++)
        hash = hash * 31 + (unsigned char)*c;
    struct owner_slot *slot = &cache[hash % CACHE_SLOTS];
    LOCK_SCOPE(&cache_lock);
    if (slot->group == group && strcmp(slot->name, name) == 0)
        return slot->id;
    slot->id = look_up(name, group);
    slot->group = group;
    (void)stpcpy(slot->name, name);
    return slot->id;
}

uint32_t nfs_owner_parse(const uint8_t *text, size_t len, bool group) {
    char name[NAME_MAX_BYTES + 1] = "";
    const uint8_t *at = memchr(text, '@', len);
    size_t n = at ? (size_t)(at - text) : len;
    if (n == 0 || n > NAME_MAX_BYTES || memchr(text, 0, n))
        return NFS_OWNER_NOBODY;
    memcpy(name, text, n);
    uint64_t id = 0;
    if (str_to_u64(name, 0, UINT32_MAX, &id) == 0)
        return (uint32_t)id;
    return strcmp(name, "root") == 0 ? 0 : look_up_cached(name, group);
}
