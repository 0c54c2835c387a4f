// SPDX-License-Identifier: Apache-2.0
// The named other of cold reads: libnfs itself, on the same server, on files that are there already.
//
//   bench-cache-libnfs seq SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS FILE     MB/s: 1 MiB reads, pipelined
//   bench-cache-libnfs small SERVER PATH NFS_PORT MOUNT_PORT THREADS DIR        files/s: open, read, close, a context a thread
//
// Prints one number.
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CHUNK (1u << 20)
#define DEPTH 16 // requests of 1 MiB in flight, over all connections, as bench-libnfs-loop
#define THREADS_MAX 64
#define FILES_MAX 65536

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void check(struct nfs_context *nfs, const char *what, int r) {
    if (r >= 0)
        return;
    (void)fprintf(stderr, "bench-cache-libnfs: %s: %s\n", what, nfs ? nfs_get_error(nfs) : "no memory");
    exit(1);
}

static struct nfs_context *open_context(char **argv) { // SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS
    char url[512];
    struct nfs_context *nfs = nfs_init_context();
    check(NULL, "context", nfs ? 0 : -1);
    (void)snprintf(url, sizeof url, "nfs://%s%s?nfsport=%s&mountport=%s&version=3&readahead=0", argv[0], argv[1],
                   argv[2], argv[3]);
    struct nfs_url *parsed = nfs_parse_url_dir(nfs, url);
    check(nfs, url, parsed ? 0 : -1);
    check(nfs, "mount", nfs_mount(nfs, parsed->server, parsed->path));
    nfs_destroy_url(parsed);
    return nfs;
}

// ---- one large file

struct lane { // one connection: every `step`-th chunk from `next` on
    struct nfs_context *nfs;
    struct nfsfh *fh;
    uint64_t next, step, size;
    unsigned depth, in_flight;
};

static void lane_fill(struct lane *lane);

static void lane_done(int result, struct nfs_context *nfs, void *data, void *arg) {
    struct lane *lane = arg;
    (void)data;
    lane->in_flight--;
    check(nfs, "short read", result == (int)CHUNK ? 0 : -1);
    lane_fill(lane);
}

static void lane_fill(struct lane *lane) {
    for (; lane->in_flight < lane->depth && lane->next < lane->size; lane->in_flight++, lane->next += lane->step)
        check(lane->nfs, "read", nfs_pread_async(lane->nfs, lane->fh, lane->next, CHUNK, lane_done, lane));
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

static double seq(char **argv, unsigned connections, const char *file) {
    struct lane lanes[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    struct nfs_stat_64 st;
    for (unsigned i = 0; i < connections; i++)
        lanes[i] = (struct lane){.nfs = open_context(argv), .next = (uint64_t)i * CHUNK};
    double start = now();
    for (unsigned i = 0; i < connections; i++) {
        struct lane *lane = &lanes[i];
        check(lane->nfs, file, nfs_open(lane->nfs, file, O_RDONLY, &lane->fh));
        check(lane->nfs, file, nfs_fstat64(lane->nfs, lane->fh, &st));
        lane->step = (uint64_t)connections * CHUNK;
        lane->size = st.nfs_size / CHUNK * CHUNK; // whole chunks: their count is what is compared
        lane->depth = DEPTH / connections ? DEPTH / connections : 1;
    }
    for (unsigned i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, lane_run, &lanes[i]) != 0)
            exit(1);
    for (unsigned i = 0; i < connections; i++)
        (void)pthread_join(threads[i], NULL);
    double rate = (double)lanes[0].size / (now() - start) / 1e6;
    for (unsigned i = 0; i < connections; i++) {
        check(lanes[i].nfs, "close", nfs_close(lanes[i].nfs, lanes[i].fh));
        nfs_destroy_context(lanes[i].nfs);
    }
    return rate;
}

// ---- many small files

static char paths[FILES_MAX][256];
static unsigned path_count;
static atomic_uint next_path;

static void list(struct nfs_context *nfs, const char *name) {
    struct nfsdir *dir;
    struct nfsdirent *entry;
    check(nfs, name, nfs_opendir(nfs, name, &dir));
    while (path_count < FILES_MAX && (entry = nfs_readdir(nfs, dir)))
        if (entry->name[0] != '.')
            (void)snprintf(paths[path_count++], sizeof *paths, "%s/%s", name, entry->name);
    nfs_closedir(nfs, dir);
}

static void *reader(void *arg) {
    struct nfs_context *nfs = arg;
    char *buf = calloc(1, CHUNK);
    unsigned i;
    while (buf && (i = atomic_fetch_add(&next_path, 1)) < path_count) {
        struct nfsfh *fh;
        check(nfs, paths[i], nfs_open(nfs, paths[i], O_RDONLY, &fh));
        check(nfs, paths[i], nfs_read(nfs, fh, CHUNK, buf) > 0 ? 0 : -1);
        check(nfs, paths[i], nfs_close(nfs, fh));
    }
    free(buf);
    return NULL;
}

static double small(char **argv, unsigned threads, const char *dir) {
    struct nfs_context *nfs[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++)
        nfs[i] = open_context(argv);
    list(nfs[0], dir);
    double start = now();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, reader, nfs[i]) != 0)
            exit(1);
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    double rate = path_count / (now() - start);
    for (unsigned i = 0; i < threads; i++)
        nfs_destroy_context(nfs[i]);
    return rate;
}

int main(int argc, char **argv) {
    unsigned count = argc == 8 ? (unsigned)atoi(argv[6]) : 0;
    if (count < 1 || count > THREADS_MAX || (strcmp(argv[1], "seq") != 0 && strcmp(argv[1], "small") != 0)) {
        (void)fprintf(stderr, "usage: bench-cache-libnfs seq SERVER PATH NFS_PORT MOUNT_PORT CONNECTIONS FILE\n"
                              "       bench-cache-libnfs small SERVER PATH NFS_PORT MOUNT_PORT THREADS DIR\n");
        return 2;
    }
    (void)printf("%.1f\n", (argv[1][1] == 'e' ? seq : small)(argv + 2, count, argv[7]));
    return 0;
}
