// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fuse_kit_server.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/fuse_kit.h"

enum { MAX_WRITE = 65536, HELD_MAX = 8, VALID_S = 3600, OUR_MINOR = 40 };

struct request {
    struct fuse_in_header head;
    char body[MAX_WRITE + 4096];
};

static struct request request, held[HELD_MAX];
static unsigned held_count;

static void reply(const struct fuse_kit *kit, const struct request *r, int error, const void *body, size_t size) {
    struct fuse_out_header head = {.unique = r->head.unique, .error = -error, .len = (uint32_t)(sizeof head + size)};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)body, size}};
    (void)!writev(kit->device, parts, size ? 2 : 1); // ENOENT: interrupted
}

static struct fuse_attr attributes_of(const struct fuse_kit *kit, uint64_t node) {
    if (node == FUSE_ROOT_ID)
        return (struct fuse_attr){.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2, .blksize = 4096};
    return (struct fuse_attr){
        .ino = node, .mode = S_IFREG | 0644, .nlink = 1, .blksize = 4096, .size = kit->shared->nodes[node].size};
}

static void on_init(struct fuse_kit *kit, const struct request *r) {
    const struct fuse_init_in *in = (const void *)r->body;
    uint64_t flags = kit->options.init_flags;
    kit->shared->offered = in->flags | (in->flags & FUSE_INIT_EXT ? (uint64_t)in->flags2 << 32 : 0);
    const struct fuse_abi_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = in->minor < OUR_MINOR ? in->minor : OUR_MINOR,
        .max_readahead = 131072,
        .flags = (uint32_t)flags | FUSE_INIT_EXT,
        .flags2 = (uint32_t)(flags >> 32),
        .max_background = kit->options.max_background,
        .congestion_threshold = kit->options.max_background,
        .max_write = MAX_WRITE,
        .time_gran = 1,
        .max_stack_depth = kit->options.max_stack_depth,
    };
    reply(kit, r, 0, &out, sizeof out);
}

static void on_lookup(const struct fuse_kit *kit, const struct request *r) {
    unsigned file = (unsigned char)r->body[0] - 'a';
    uint64_t node = file < FUSE_KIT_FILES && r->body[1] == '\0' ? kit->shared->node_of[file] : 0;
    if (node == 0) {
        reply(kit, r, ENOENT, NULL, 0);
        return;
    }
    const struct fuse_entry_out out = {
        .nodeid = node, .entry_valid = VALID_S, .attr_valid = VALID_S, .attr = attributes_of(kit, node)};
    reply(kit, r, 0, &out, sizeof out);
}

static void on_getattr(const struct fuse_kit *kit, const struct request *r) {
    const struct fuse_attr_out out = {.attr_valid = VALID_S, .attr = attributes_of(kit, r->head.nodeid)};
    reply(kit, r, 0, &out, sizeof out);
}

static void on_open(const struct fuse_kit *kit, const struct request *r) {
    const struct fuse_kit_node *node = &kit->shared->nodes[r->head.nodeid];
    const struct fuse_abi_open_out out = {
        .fh = r->head.unique, .open_flags = node->flags, .backing_id = node->backing_id};
    reply(kit, r, node->open_error, &out, node->open_error ? 0 : sizeof out);
}

static void on_read(const struct fuse_kit *kit, const struct request *r) {
    static char bytes[1 << 20];
    const struct fuse_read_in *in = (const void *)r->body;
    uint64_t size = kit->shared->nodes[r->head.nodeid].size;
    uint64_t n = in->offset < size ? size - in->offset : 0;
    n = n < in->size ? n : in->size;
    memset(bytes, FUSE_KIT_BYTE, sizeof bytes);
    reply(kit, r, 0, bytes, n < sizeof bytes ? n : sizeof bytes);
}

static void on_write(const struct fuse_kit *kit, const struct request *r) {
    const struct fuse_write_in *in = (const void *)r->body;
    const struct fuse_write_out out = {.size = in->size};
    reply(kit, r, 0, &out, sizeof out);
}

static void on_statfs(const struct fuse_kit *kit, const struct request *r) {
    const struct fuse_statfs_out out = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
    reply(kit, r, 0, &out, sizeof out);
}

static void answer(struct fuse_kit *kit, const struct request *r) {
    switch (r->head.opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return; // these have no reply
    case FUSE_INIT:
        on_init(kit, r);
        return;
    case FUSE_LOOKUP:
        on_lookup(kit, r);
        return;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        on_getattr(kit, r);
        return;
    case FUSE_OPEN:
        on_open(kit, r);
        return;
    case FUSE_READ:
        on_read(kit, r);
        return;
    case FUSE_WRITE:
        on_write(kit, r);
        return;
    case FUSE_STATFS:
        on_statfs(kit, r);
        return;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_FSYNC:
        reply(kit, r, 0, NULL, 0);
        return;
    default:
        reply(kit, r, ENOSYS, NULL, 0);
    }
}

static void take(struct fuse_kit *kit, const struct request *r) {
    struct fuse_kit_shared *shared = kit->shared;
    uint32_t opcode = r->head.opcode;
    if (opcode == shared->held && held_count < HELD_MAX)
        held[held_count++] = *r;
    if (opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INIT && shared->logged < FUSE_KIT_LOG) {
        shared->log[shared->logged].opcode = opcode;
        shared->log[shared->logged].node = r->head.nodeid;
        shared->logged++;
    }
    if (opcode != shared->held)
        answer(kit, r);
}

static void answer_held(struct fuse_kit *kit) {
    uint64_t count;
    (void)!read(kit->wake, &count, sizeof count);
    for (unsigned i = 0; i < held_count; i++)
        answer(kit, &held[i]);
    held_count = 0;
}

void fuse_kit_server(struct fuse_kit *kit) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct pollfd fds[] = {{.fd = kit->device, .events = POLLIN}, {.fd = kit->wake, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (fds[1].revents)
            answer_held(kit);
        if (!fds[0].revents)
            continue;
        ssize_t n = read(kit->device, &request, sizeof request);
        if (n >= (ssize_t)sizeof request.head)
            take(kit, &request);
        else if (n < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
            _exit(errno == ENODEV ? 0 : 1);
    }
}
