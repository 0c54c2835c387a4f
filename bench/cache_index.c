// SPDX-License-Identifier: Apache-2.0
// How long a cache that holds many objects takes to open, and what the index weighs.
//
// usage: bench-cache-index DIR [OBJECTS]      (default: 10,000,000; DIR: empty, on the disk to be measured)
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/cache/cache.h"
#include "lib/cache/index.h"

static double now_ms(void) {
    return (double)clock_monotonic(&clock_system) / (double)NS_PER_MS;
}

static int fill(int dir_fd, uint64_t objects, struct err *err) {
    struct index *index cleanup(index_freep) = NULL;
    uint16_t volume = 0;
    int r = index_open(&cache_io_system, dir_fd, cache_io_boot(&cache_io_system), true, &index, err);
    if (r == 0)
        r = index_volume_take(index, "bench", 0, &volume, err);
    for (uint64_t i = 0; r == 0 && i < objects; i++) {
        static const unsigned char origin[32];
        struct cache_key key = key_of(origin, &i, sizeof i);
        r = index_put(index, &key, &(struct index_object){.volume = volume, .bytes = 131072});
        if (r < 0)
            (void)err_set(err, r, "object %llu: %s", (unsigned long long)i, err_name(r));
    }
    return r;
}

static void print_memory(const char *when) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            (void)printf("# %s: %s", when, line);
    if (status)
        (void)fclose(status);
}

int main(int argc, char **argv) {
    struct err err = ERR_NONE;
    uint64_t objects = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    int dir_fd cleanup_close = argc > 1 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir_fd < 0 || objects == 0) {
        (void)fprintf(stderr, "usage: bench-cache-index DIR [OBJECTS]\n");
        return 2;
    }
    double start = now_ms();
    if (fill(dir_fd, objects, &err) < 0) {
        (void)fprintf(stderr, "bench-cache-index: %s\n", err_text(&err));
        return 1;
    }
    (void)printf("# %llu objects put and written out in %.0f ms\n", (unsigned long long)objects, now_ms() - start);
    struct stat st;
    if (fstatat(dir_fd, INDEX_NAME, &st, 0) == 0)
        (void)printf("cache.index_bytes_per_object %.1f bytes\n", (double)st.st_blocks * 512 / (double)objects);
    print_memory("before it is opened");
    start = now_ms();
    struct cache *cache cleanup(cache_freep) = NULL;
    if (cache_open(&(struct cache_options){.dir = argv[1], .origin = "o", .volume = "bench"}, &cache, &err) < 0) {
        (void)fprintf(stderr, "bench-cache-index: %s\n", err_text(&err));
        return 1;
    }
    (void)printf("cache.open_10m_ms %.1f ms\n", now_ms() - start);
    print_memory("opened");
    return 0;
}
