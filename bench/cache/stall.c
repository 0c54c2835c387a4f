// SPDX-License-Identifier: Apache-2.0
// Reads all the time and keeps the longest time between two answers: what an application sees while a daemon dies.
//
//   bench-cache-stall hold FILE SECONDS      one descriptor for all of the time
//   bench-cache-stall reopen DIR SECONDS     the files of a directory in turns: open, read, close
//
// Prints "ERRORS LONGEST_MS READS". A reader that never gets an answer never ends: run it under timeout(1).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (64u << 10)
#define NAMES_MAX 4096
#define PAUSE_NS 200000 // without it the readers would take the processors that the daemon needs, and measure that

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void die(const char *what) {
    (void)fprintf(stderr, "bench-cache-stall: %s: %s\n", what, strerror(errno));
    exit(1);
}

static char names[NAMES_MAX][256];
static unsigned name_count;

static void list(const char *path) {
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (!dir)
        die(path);
    while (name_count < NAMES_MAX && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            (void)strcpy(names[name_count++], entry->d_name);
    (void)closedir(dir);
    if (!name_count)
        die("an empty directory");
}

static void failed(uint64_t *errors, const char *what) { // the first is told: which error it was says who failed
    if ((*errors)++ == 0)
        (void)fprintf(stderr, "bench-cache-stall: %s: %s\n", what, strerror(errno));
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool read_next(int dir, uint64_t i, char *buf) {
    int fd = openat(dir, names[i % name_count], O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read(fd, buf, BLOCK) > 0;
    if (fd >= 0 && close(fd) < 0)
        good = false;
    return good;
}

int main(int argc, char **argv) {
    static char buf[BLOCK];
    if (argc != 4 || (strcmp(argv[1], "hold") != 0 && strcmp(argv[1], "reopen") != 0)) {
        (void)fprintf(stderr, "usage: bench-cache-stall hold|reopen PATH SECONDS\n");
        return 2;
    }
    bool hold = strcmp(argv[1], "hold") == 0;
    struct stat st;
    int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(argv[2]);
    if (!hold)
        list(argv[2]);
    uint64_t blocks = (uint64_t)st.st_size / BLOCK + 1, reads = 0, errors = 0;
    double end = now() + atof(argv[3]), last = now(), longest = 0;
    while (last < end) {
        bool good = hold ? pread(fd, buf, BLOCK, (off_t)(reads * 2654435761u % blocks * BLOCK)) >= 0
                         : read_next(fd, reads, buf);
        double t = now();
        if (!good)
            failed(&errors, argv[1]);
        else { // an error is no answer: it makes the gap longer
            if (t - last > longest)
                longest = t - last;
            last = t;
        }
        if (t > end)
            break;
        reads++;
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    if (now() - last > longest)
        longest = now() - last;
    (void)printf("%llu %.1f %llu\n", (unsigned long long)errors, longest * 1e3, (unsigned long long)reads);
    return 0;
}
