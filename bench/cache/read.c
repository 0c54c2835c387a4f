// SPDX-License-Identifier: Apache-2.0
// The readers of bench/cache.sh, the same for every side: a shell or a tool with hints of its own (fadvise) would distort.
//
//   bench-cache-read seq|rand|mmap FILE SECONDS [direct]   MB/s of 1 MiB reads; 4 KiB reads/s at depth 1; page faults/s
//   bench-cache-read small DIR SECONDS                     files/s: open, read, close, one thread, always the same order
//   bench-cache-read all DIR THREADS SEED                  files/s: each file once, in a random order
//
// Prints one number. SECONDS 0: once through the file (rand, mmap: COLD_TOUCHES times).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define CHUNK (1u << 20)
#define PAGE 4096u
#define WINDOW (64u << 10) // what the kernel maps around a fault: one touch in each is one fault
#define COLD_TOUCHES 4096u
#define THREADS_MAX 64

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void die(const char *what) {
    (void)fprintf(stderr, "bench-cache-read: %s: %s\n", what, strerror(errno));
    exit(1);
}
static uint64_t next_random(uint64_t *state) { // splitmix64: the same offsets on all sides
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int open_file(const char *path, int flags, uint64_t *ret_size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(path);
    *ret_size = (uint64_t)st.st_size;
    if (*ret_size < CHUNK) {
        errno = EINVAL;
        die(path);
    }
    return fd;
}

static double seq(const char *path, double seconds, int flags) {
    uint64_t size, offset = 0, total = 0;
    char *buf = aligned_alloc(PAGE, CHUNK);
    int fd = open_file(path, flags, &size);
    if (!buf)
        die("memory");
    double start = now();
    do {
        ssize_t n = pread(fd, buf, CHUNK, (off_t)offset);
        if (n <= 0)
            die(path);
        total += (uint64_t)n;
        offset = offset + (uint64_t)n < size ? offset + (uint64_t)n : 0;
    } while (seconds > 0 ? now() - start < seconds : offset != 0);
    double rate = (double)total / (now() - start) / 1e6;
    (void)close(fd);
    free(buf);
    return rate;
}

static double random_reads(const char *path, double seconds, int flags) {
    uint64_t size, done = 0, state = 1;
    char *buf = aligned_alloc(PAGE, PAGE);
    int fd = open_file(path, flags, &size);
    if (!buf)
        die("memory");
    double start = now();
    do {
        off_t offset = (off_t)(next_random(&state) % (size / PAGE) * PAGE);
        if (pread(fd, buf, PAGE, offset) != PAGE)
            die(path);
        done++;
    } while (seconds > 0 ? now() - start < seconds : done < COLD_TOUCHES);
    double rate = (double)done / (now() - start);
    (void)close(fd);
    free(buf);
    return rate;
}

static uint32_t *shuffled(uint32_t count, uint64_t seed) {
    uint32_t *order = mem_array(count, sizeof *order);
    if (!order)
        die("memory");
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)(next_random(&seed) % i), other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
    return order;
}

static double faults(const char *path, double seconds) {
    uint64_t size, done = 0;
    int fd = open_file(path, 0, &size);
    uint32_t windows = (uint32_t)(size / WINDOW);
    uint32_t *order = shuffled(windows, 1);
    double spent = 0;
    do { // mapped anew, or there would be nothing to fault; that is not timed
        unsigned char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            die("mmap");
        double start = now();
        for (uint32_t i = 0; i < windows && (seconds > 0 || i < COLD_TOUCHES); i++, done++)
            (void)*(volatile unsigned char *)(map + (size_t)order[i] * WINDOW + (order[i] * 7u % 16u) * PAGE);
        spent += now() - start;
        (void)munmap(map, size);
    } while (spent < seconds);
    free(order);
    (void)close(fd);
    return (double)done / spent;
}

// ---- small files

struct files {
    int dir;
    char (*names)[32];
    uint32_t count;
};

static void files_list(const char *path, struct files *ret) {
    DIR *dir = opendir(path);
    uint32_t room = 0;
    struct dirent *entry;
    if (!dir)
        die(path);
    *ret = (struct files){.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof *ret->names)
            continue;
        if (ret->count == room) {
            room = room ? room * 2 : 1024;
            ret->names = mem_realloc(ret->names, room, sizeof *ret->names);
        }
        if (!ret->names)
            die("memory");
        (void)strcpy(ret->names[ret->count++], entry->d_name);
    }
    (void)closedir(dir);
    if (ret->dir < 0 || ret->count == 0)
        die(path);
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

static void read_file(const struct files *files, uint32_t index, char *buf) {
    int fd = openat(files->dir, files->names[index], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(files->names[index]);
    ssize_t n = read(fd, buf, CHUNK);
    if (n <= 0)
        die(files->names[index]);
    (void)close(fd);
}

static double small(const char *path, double seconds) {
    struct files files;
    uint64_t done = 0;
    char *buf = mem_zalloc(CHUNK);
    files_list(path, &files);
    qsort(files.names, files.count, sizeof *files.names, by_name);
    double start = now();
    do
        read_file(&files, (uint32_t)(done % files.count), buf);
    while (++done % 16 || now() - start < seconds);
    double rate = (double)done / (now() - start);
    free(files.names);
    free(buf);
    return rate;
}

struct readers {
    struct files files;
    const uint32_t *order;
    atomic_uint next;
};

static void *reader(void *arg) {
    struct readers *all = arg;
    char *buf = mem_zalloc(CHUNK);
    uint32_t i;
    while ((i = atomic_fetch_add(&all->next, 1)) < all->files.count)
        read_file(&all->files, all->order[i], buf);
    free(buf);
    return NULL;
}

static double each_once(const char *path, unsigned threads, uint64_t seed) {
    struct readers all = {.order = NULL};
    pthread_t thread[THREADS_MAX];
    files_list(path, &all.files);
    qsort(all.files.names, all.files.count, sizeof *all.files.names, by_name);
    uint32_t *order = shuffled(all.files.count, seed);
    all.order = order;
    double start = now();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, reader, &all) != 0)
            die("thread");
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    double rate = all.files.count / (now() - start);
    free(order);
    free(all.files.names);
    return rate;
}

int main(int argc, char **argv) {
    const char *what = argc >= 4 ? argv[1] : "";
    int flags = argc > 4 && strcmp(argv[4], "direct") == 0 ? O_DIRECT : 0;
    double rate = -1;
    if (strcmp(what, "seq") == 0)
        rate = seq(argv[2], atof(argv[3]), flags);
    else if (strcmp(what, "rand") == 0)
        rate = random_reads(argv[2], atof(argv[3]), flags);
    else if (strcmp(what, "mmap") == 0)
        rate = faults(argv[2], atof(argv[3]));
    else if (strcmp(what, "small") == 0)
        rate = small(argv[2], atof(argv[3]));
    else if (strcmp(what, "all") == 0 && argc == 5 && atoi(argv[3]) > 0 && atoi(argv[3]) <= THREADS_MAX)
        rate = each_once(argv[2], (unsigned)atoi(argv[3]), (uint64_t)atoll(argv[4]));
    if (rate < 0) {
        (void)fprintf(stderr, "usage: bench-cache-read seq|rand|mmap FILE SECONDS [direct]\n"
                              "       bench-cache-read small DIR SECONDS\n"
                              "       bench-cache-read all DIR THREADS(1-64) SEED\n");
        return 2;
    }
    (void)printf("%.1f\n", rate);
    return 0;
}
