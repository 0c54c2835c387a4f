// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/nodes.h"
#include "node-plugin/cachefs/spool.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

// Room, not memory: pages that were never touched take none.
static const struct region {
    size_t bytes, record;
} regions[STATE_REGION_COUNT] = {
    [STATE_HEAD] = {PAGE, sizeof(struct state_head)},        [STATE_FILES] = {128 * MIB, sizeof(struct file_record)},
    [STATE_DIRS] = {32 * MIB, sizeof(struct dir_record)},    [STATE_CALLS] = {4 * MIB, sizeof(struct call_record)},
    [STATE_SILLY] = {32 * MIB, sizeof(struct silly_record)}, [STATE_PIECES] = {8 * MIB, sizeof(struct piece_record)},
};

static size_t offset_of(enum state_region region) {
    size_t offset = 0;
    for (size_t i = 0; i < (size_t)region; i++)
        offset += regions[i].bytes;
    return offset;
}

void state_version(char ret[static 64]) {
    uint64_t sizes = 0;
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        sizes = sizes * 1000003 + regions[i].record + regions[i].bytes;
    (void)snprintf(ret, 64, "%d-%016" PRIx64 "-%016" PRIx64, STATE_LAYOUT, sizes, nodes_layout());
}

static int make_fds(struct state *s) {
    static const char *const names[STATE_FD_COUNT] = {NULL, "stowage-tables", "stowage-nodes", "stowage-spool"};
    s->own_fds = true;
    for (size_t i = STATE_TABLES; i < STATE_FD_COUNT; i++) {
        s->fds[i] = memfd_create(names[i], MFD_CLOEXEC);
        if (s->fds[i] < 0)
            return -errno;
    }
    return 0;
}

static int map_tables(struct state *s) {
    size_t size = offset_of(STATE_REGION_COUNT);
    if (!s->resumed && ftruncate(s->fds[STATE_TABLES], (off_t)size) < 0)
        return -errno;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->fds[STATE_TABLES], 0);
    if (at == MAP_FAILED)
        return -errno;
    (void)madvise(at, size, MADV_DONTDUMP); // a core would fill the gaps
    s->head = at;
    return 0;
}

int state_open(const int *fds, bool resume, struct state **ret, struct err *err) {
    struct state *s cleanup(state_freep) = mem_zalloc(sizeof *s);
    if (!s)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < STATE_FD_COUNT; i++)
        s->fds[i] = fds ? fds[i] : -1;
    s->resumed = resume;
    int r = fds ? 0 : make_fds(s);
    if (r == 0)
        r = map_tables(s);
    if (r < 0)
        return err_set(err, r, "cannot make the memory for the mount's state: %s", err_name(r));
    char version[64];
    state_version(version);
    if (!resume)
        memcpy(s->head->version, version, sizeof version);
    else if (memcmp(s->head->version, version, strlen(version) + 1) != 0)
        return err_set(err, -EPROTO, "the mount's state has layout %.60s, this program knows %s", s->head->version,
                       version);
    *ret = take_ptr(s);
    return 0;
}

struct state *state_free(struct state *s) {
    if (!s)
        return NULL;
    if (s->head)
        (void)munmap(s->head, offset_of(STATE_REGION_COUNT));
    for (size_t i = STATE_TABLES; s->own_fds && i < STATE_FD_COUNT; i++)
        if (s->fds[i] >= 0)
            (void)close(s->fds[i]);
    free(s);
    return NULL;
}

void *state_region(const struct state *s, enum state_region region, size_t *ret_bytes, size_t *ret_record) {
    *ret_bytes = regions[region].bytes;
    *ret_record = regions[region].record;
    return (char *)s->head + offset_of(region);
}
