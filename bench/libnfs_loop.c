// SPDX-License-Identifier: Apache-2.0
// The named other of `bench/run.sh shared-io`: the same work by libnfs itself, pipelined, one context a thread.
//
//   bench-libnfs-loop SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS DIR MIB FILES ENTRIES
//
// Prints one line per figure, "NAME VALUE UNIT", with the names of bench-shared-io.
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK (1u << 20)
#define DEPTH 16 // requests of 1 MiB in flight, over all connections
#define CONNECTIONS_MAX 16
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

static void check(struct nfs_context *nfs, const char *what, int r) {
    if (r >= 0)
        return;
    (void)fprintf(stderr, "bench-libnfs: %s: %s\n", what, nfs_get_error(nfs));
    exit(1);
}

static uint64_t next_random(uint64_t *state) { // splitmix64, as bench-shared-io
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct nfs_context *open_context(char **argv) {
    char url[512];
    struct nfs_context *nfs = nfs_init_context();
    if (!nfs) {
        (void)fprintf(stderr, "bench-libnfs: no context\n");
        exit(1);
    }
    (void)snprintf(url, sizeof url, "nfs://%s%s/%s?nfsport=%s&mountport=%s&version=3&readahead=0&dircache=0", argv[0],
                   argv[1], argv[5], argv[2], argv[3]);
    struct nfs_url *parsed = nfs_parse_url_dir(nfs, url);
    check(nfs, url, parsed ? 0 : -1);
    check(nfs, "mount", nfs_mount(nfs, parsed->server, parsed->path));
    nfs_destroy_url(parsed);
    return nfs;
}

struct lane { // one connection: every `step`-th chunk from `next` on
    struct nfs_context *nfs;
    struct nfsfh *fh;
    bool write;
    uint64_t next, step, size;
    unsigned depth, in_flight;
    char *data;
};

static void lane_fill(struct lane *lane);

static void lane_done(int result, struct nfs_context *nfs, void *data, void *arg) {
    struct lane *lane = arg;
    (void)data;
    lane->in_flight--;
    check(nfs, "transfer", result);
    if (result != (int)CHUNK) {
        (void)fprintf(stderr, "bench-libnfs: short transfer\n");
        exit(1);
    }
    lane_fill(lane);
}

static void lane_fill(struct lane *lane) {
    while (lane->in_flight < lane->depth && lane->next < lane->size) {
        int r = lane->write ? nfs_pwrite_async(lane->nfs, lane->fh, lane->next, CHUNK, lane->data, lane_done, lane)
                            : nfs_pread_async(lane->nfs, lane->fh, lane->next, CHUNK, lane_done, lane);
        check(lane->nfs, "submit", r);
        lane->in_flight++;
        lane->next += lane->step;
    }
}

static void *lane_run(void *arg) {
    struct lane *lane = arg;
    lane_fill(lane);
    while (lane->in_flight) {
        struct pollfd pfd = {.fd = nfs_get_fd(lane->nfs), .events = (short)nfs_which_events(lane->nfs)};
        if (poll(&pfd, 1, 1000) < 0)
            exit(1);
        check(lane->nfs, "service", nfs_service(lane->nfs, pfd.revents));
    }
    return NULL;
}

static double pipelined(struct nfs_context **nfs, unsigned count, uint64_t size, bool write) {
    struct lane lanes[CONNECTIONS_MAX];
    pthread_t threads[CONNECTIONS_MAX];
    char *data = calloc(1, CHUNK);
    double start = now();
    for (unsigned i = 0; i < count; i++) {
        lanes[i] = (struct lane){.nfs = nfs[i], .write = write, .next = (uint64_t)i * CHUNK, .data = data};
        lanes[i].step = (uint64_t)count * CHUNK;
        lanes[i].size = size;
        lanes[i].depth = DEPTH / count ? DEPTH / count : 1;
        check(nfs[i], "open", nfs_open(nfs[i], "/libnfs.bin", write ? O_WRONLY : O_RDONLY, &lanes[i].fh));
    }
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, lane_run, &lanes[i]) != 0)
            exit(1);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    if (write)
        check(nfs[0], "fsync", nfs_fsync(nfs[0], lanes[0].fh));
    double rate = (double)size / (now() - start) / 1e6;
    for (unsigned i = 0; i < count; i++)
        check(nfs[i], "close", nfs_close(nfs[i], lanes[i].fh));
    free(data);
    return rate;
}

static void random_reads(struct nfs_context *nfs, uint64_t size) {
    static char buf[4096];
    struct nfsfh *fh;
    uint64_t state = 1;
    check(nfs, "open", nfs_open(nfs, "/libnfs.bin", O_RDONLY, &fh));
    double start = now();
    for (unsigned i = 0; i < RANDOM_READS; i++)
        check(nfs, "pread",
              nfs_pread(nfs, fh, next_random(&state) % (size / sizeof buf) * sizeof buf, sizeof buf, buf));
    figure("rand_read", RANDOM_READS / (now() - start), "op/s");
    check(nfs, "close", nfs_close(nfs, fh));
}

static void small_files(struct nfs_context *nfs, unsigned files) {
    static const char *const names[] = {"create", "stat", "unlink"};
    for (unsigned o = 0; o < 3; o++) {
        double start = now();
        for (unsigned i = 0; i < files; i++) {
            char name[40];
            struct nfs_stat_64 st;
            struct nfsfh *fh;
            (void)snprintf(name, sizeof name, "/libnfs-%06u", i);
            if (o == 0) {
                check(nfs, "create", nfs_create(nfs, name, O_WRONLY | O_EXCL, 0644, &fh));
                check(nfs, "close", nfs_close(nfs, fh));
            } else {
                check(nfs, names[o], o == 1 ? nfs_stat64(nfs, name, &st) : nfs_unlink(nfs, name));
            }
        }
        figure(names[o], files / (now() - start), "op/s");
    }
}

static void list(struct nfs_context *nfs, unsigned entries) {
    struct nfsdir *dir;
    unsigned seen = 0;
    double start = now();
    check(nfs, "opendir", nfs_opendir(nfs, "/many", &dir));
    while (nfs_readdir(nfs, dir))
        seen++;
    nfs_closedir(nfs, dir);
    if (seen < entries) {
        (void)fprintf(stderr, "bench-libnfs: %u of %u entries\n", seen, entries);
        exit(1);
    }
    figure("list", entries / (now() - start), "entry/s");
}

int main(int argc, char **argv) {
    unsigned connections = argc == 10 ? (unsigned)atoi(argv[5]) : 0;
    if (connections < 1 || connections > CONNECTIONS_MAX) {
        (void)fprintf(
            stderr,
            "usage: bench-libnfs-loop SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS(1-16) DIR MIB FILES ENTRIES\n");
        return 2;
    }
    struct nfs_context *nfs[CONNECTIONS_MAX];
    for (unsigned i = 0; i < connections; i++)
        nfs[i] = open_context(argv + 1);
    uint64_t size = (uint64_t)atoi(argv[7]) * CHUNK;
    struct nfsfh *fh;
    check(nfs[0], "create", nfs_create(nfs[0], "/libnfs.bin", O_WRONLY, 0644, &fh));
    check(nfs[0], "close", nfs_close(nfs[0], fh));
    figure("seq_write", pipelined(nfs, connections, size, true), "MB/s");
    figure("seq_read", pipelined(nfs, connections, size, false), "MB/s");
    random_reads(nfs[0], size);
    check(nfs[0], "unlink", nfs_unlink(nfs[0], "/libnfs.bin"));
    small_files(nfs[0], (unsigned)atoi(argv[8]));
    list(nfs[0], (unsigned)atoi(argv[9]));
    for (unsigned i = 0; i < connections; i++)
        nfs_destroy_context(nfs[i]);
    return 0;
}
