// SPDX-License-Identifier: Apache-2.0
// The peer of the FUSE mount: the same work straight on lib/nfs, as many requests in flight as are useful.
//
//   bench-shared-io raw SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS DIR MIB FILES ENTRIES
//   bench-shared-io posix DIR MIB FILES ENTRIES
//
// Both print one line per figure: "NAME VALUE UNIT". `raw` works in directory DIR of the share, `posix` in DIR of a mount.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/nfs/nfs.h"

#define CHUNK (1u << 20)
#define DEPTH 16 // requests of 1 MiB in flight

#define RANDOM_READS 20000u

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void figure(const char *name, double value, const char *unit) {
    (void)printf("%s %.1f %s\n", name, value, unit);
    (void)fflush(stdout);
}
static void die(const char *what, int r) {
    (void)fprintf(stderr, "bench-shared-io: %s: %s\n", what, strerror(r < 0 ? -r : r));
    exit(1);
}
static int check(const char *what, int r) {
    if (r < 0)
        die(what, r == -1 ? errno : r);
    return r;
}
static uint64_t next_random(uint64_t *state) { // splitmix64: the same offsets on both sides
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// ---- raw

struct raw {
    struct nfs_share *share;
    struct nfs_fh dir, file;
    uint64_t size;
    atomic_ullong next, finished;
    enum nfs_op op;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool all_done;
};
struct slot {
    struct raw *raw;
    struct nfs_call call;
    uint8_t *buf;
};

static void slot_next(struct slot *s);

static void slot_done(struct nfs_call *call) {
    struct slot *s = call->arg;
    struct raw *raw = s->raw;
    check(nfs_op_name(call->op), call->result);
    if (call->count != CHUNK)
        die("short transfer", EIO);
    if (atomic_fetch_add(&raw->finished, CHUNK) + CHUNK == raw->size) {
        LOCK_SCOPE(&raw->lock);
        raw->all_done = true;
        (void)pthread_cond_signal(&raw->done);
    }
    slot_next(s);
}

static void slot_next(struct slot *s) {
    struct raw *raw = s->raw;
    uint64_t offset = atomic_fetch_add(&raw->next, CHUNK);
    if (offset >= raw->size)
        return;
    s->call = (struct nfs_call){.op = raw->op, .fh = raw->file, .offset = offset, .count = CHUNK, .data = s->buf};
    s->call.done = slot_done;
    s->call.arg = s;
    nfs_submit(raw->share, &s->call);
}

static double pipelined(struct raw *raw, enum nfs_op op) {
    static struct slot slots[DEPTH];
    double start = now();
    raw->op = op;
    raw->all_done = false;
    atomic_store(&raw->next, 0);
    atomic_store(&raw->finished, 0);
    for (size_t i = 0; i < DEPTH; i++) {
        slots[i].raw = raw;
        if (!slots[i].buf)
            slots[i].buf = memset(mem_alloc(CHUNK), (int)i + 1, CHUNK);
        slot_next(&slots[i]);
    }
    {
        LOCK_SCOPE(&raw->lock);
        while (!raw->all_done)
            (void)pthread_cond_wait(&raw->done, &raw->lock);
    }
    if (op == NFS_WRITE) {
        struct nfs_call commit = {.op = NFS_COMMIT, .fh = raw->file};
        check("COMMIT", nfs_run(raw->share, &commit));
    }
    return (double)raw->size / (now() - start) / 1e6;
}

static void raw_name(struct raw *raw, enum nfs_op op, const char *name, struct nfs_fh *ret) {
    struct nfs_call call = {.op = op, .fh = raw->dir, .name = name, .exclusive = true, .want_attr = true};
    call.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = 0644};
    check(name, nfs_run(raw->share, &call));
    if (ret)
        *ret = call.out_fh;
}

static void raw_random(struct raw *raw) {
    static uint8_t buf[4096];
    uint64_t state = 1;
    double start = now();
    for (unsigned i = 0; i < RANDOM_READS; i++) {
        struct nfs_call call = {.op = NFS_READ, .fh = raw->file, .data = buf, .count = sizeof buf};
        call.offset = next_random(&state) % (raw->size / sizeof buf) * sizeof buf;
        check("READ", nfs_run(raw->share, &call));
    }
    figure("rand_read", RANDOM_READS / (now() - start), "op/s");
}

static void raw_small_files(struct raw *raw, unsigned files) {
    static const char *const names[] = {"create", "stat", "unlink"};
    static const enum nfs_op ops[] = {NFS_CREATE, NFS_LOOKUP, NFS_REMOVE};
    for (size_t o = 0; o < ARRAY_SIZE(ops); o++) {
        double start = now();
        for (unsigned i = 0; i < files; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "small-%06u", i);
            raw_name(raw, ops[o], name, NULL);
        }
        figure(names[o], files / (now() - start), "op/s");
    }
}

static void raw_list(struct raw *raw, unsigned entries) {
    struct nfs_call call = {.op = NFS_LOOKUP, .fh = raw->dir, .name = "many"};
    check("LOOKUP many", nfs_run(raw->share, &call));
    struct nfs_call page = {.op = NFS_READDIR, .fh = call.out_fh, .want_attr = true};
    double start = now();
    unsigned seen = 0;
    for (bool end = false; !end; end = page.eof) {
        check("READDIR", nfs_run(raw->share, &page));
        seen += (unsigned)page.entry_count;
        free(page.entries);
        page.entries = NULL;
    }
    if (seen != entries)
        die("entries are missing", EIO);
    figure("list", entries / (now() - start), "entry/s");
}

static int raw_main(char **argv) {
    struct err err = ERR_NONE;
    struct raw raw = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    struct nfs_options options = {.server = argv[0], .path = argv[1], .version = 3};
    options.nfs_port = (uint16_t)atoi(argv[2]);
    options.mount_port = (uint16_t)atoi(argv[3]);
    options.connections = (unsigned)atoi(argv[4]);
    if (nfs_share_open(&options, &raw.share, &err) < 0) {
        (void)fprintf(stderr, "bench-shared-io: %s\n", err_text(&err));
        return 1;
    }
    raw.dir = nfs_share_info(raw.share)->root;
    raw_name(&raw, NFS_LOOKUP, argv[5], &raw.dir);
    raw_name(&raw, NFS_CREATE, "raw.bin", &raw.file);
    raw.size = (uint64_t)atoi(argv[6]) * CHUNK;
    figure("seq_write", pipelined(&raw, NFS_WRITE), "MB/s");
    figure("seq_read", pipelined(&raw, NFS_READ), "MB/s");
    raw_random(&raw);
    raw_name(&raw, NFS_REMOVE, "raw.bin", NULL);
    raw_small_files(&raw, (unsigned)atoi(argv[7]));
    raw_list(&raw, (unsigned)atoi(argv[8]));
    (void)nfs_share_free(raw.share);
    return 0;
}

// ---- posix

static void *fresh_buffer(void) {
    void *buf = mem_alloc(CHUNK);
    if (!buf)
        die("memory", ENOMEM);
    return memset(buf, 7, CHUNK);
}

static void posix_write(uint64_t size) {
    uint8_t *buf cleanup_free = fresh_buffer();
    double start = now();
    int fd = check("posix.bin", open("posix.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    for (uint64_t at = 0; at < size; at += CHUNK)
        if (write(fd, buf, CHUNK) != CHUNK)
            die("write", errno);
    check("fsync", fsync(fd));
    check("close", close(fd));
    figure("seq_write", (double)size / (now() - start) / 1e6, "MB/s");
}

static int open_cold(int flags) { // nothing of it in the page cache
    int fd = check("posix.bin", open("posix.bin", flags | O_CLOEXEC));
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return fd;
}

static void posix_read(uint64_t size) {
    uint8_t *buf cleanup_free = fresh_buffer();
    int fd = open_cold(O_RDONLY);
    double start = now();
    for (uint64_t at = 0; at < size; at += CHUNK)
        if (read(fd, buf, CHUNK) != CHUNK)
            die("read", errno);
    figure("seq_read", (double)size / (now() - start) / 1e6, "MB/s");
    check("close", close(fd));
}

static void posix_random(uint64_t size) {
    static _Alignas(4096) uint8_t buf[4096];
    uint64_t state = 1;
    int fd = open_cold(O_RDONLY | O_DIRECT);
    double start = now();
    for (unsigned i = 0; i < RANDOM_READS; i++)
        if (pread(fd, buf, sizeof buf, (off_t)(next_random(&state) % (size / sizeof buf) * sizeof buf)) !=
            (ssize_t)sizeof buf)
            die("pread", errno);
    figure("rand_read", RANDOM_READS / (now() - start), "op/s");
    check("close", close(fd));
}

static void posix_small_files(unsigned files) {
    static const char *const names[] = {"create", "stat", "unlink"};
    for (size_t o = 0; o < ARRAY_SIZE(names); o++) {
        double start = now();
        for (unsigned i = 0; i < files; i++) {
            char name[32];
            struct stat st;
            (void)snprintf(name, sizeof name, "small-%06u", i);
            int r = o == 0   ? close(check(name, open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)))
                    : o == 1 ? stat(name, &st)
                             : unlink(name);
            check(name, r);
        }
        figure(names[o], files / (now() - start), "op/s");
    }
}

static void posix_list(unsigned entries) {
    double start = now();
    DIR *dir = opendir("many");
    if (!dir)
        die("many", errno);
    unsigned seen = 0;
    while (readdir(dir))
        seen++;
    (void)closedir(dir);
    if (seen != entries + 2)
        die("entries are missing", EIO);
    figure("list", entries / (now() - start), "entry/s");
}

static int posix_main(char **argv) {
    uint64_t size = (uint64_t)atoi(argv[1]) * CHUNK;
    check(argv[0], chdir(argv[0]));
    posix_write(size);
    posix_read(size);
    posix_random(size);
    check("unlink", unlink("posix.bin"));
    posix_small_files((unsigned)atoi(argv[2]));
    posix_list((unsigned)atoi(argv[3]));
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 11 && strcmp(argv[1], "raw") == 0)
        return raw_main(argv + 2);
    if (argc == 6 && strcmp(argv[1], "posix") == 0)
        return posix_main(argv + 2);
    (void)fprintf(stderr,
                  "usage: bench-shared-io raw SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS DIR MIB FILES ENTRIES\n"
                  "       bench-shared-io posix DIR MIB FILES ENTRIES\n");
    return 2;
}
