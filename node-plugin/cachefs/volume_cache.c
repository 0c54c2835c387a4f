// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/volume_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/cachefs/copy.h"

#define MEMORY_DEFAULT (UINT64_C(256) << 20)

// Every copy in use or kept open has a descriptor.
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_debug("the number of descriptors stays small", LOG_S("error", err_name(errno)));
}

int volume_cache_open(const struct volume_cache_flags *flags, const char *origin, struct copy_options *ret,
                      struct err *err) {
    *ret = (struct copy_options){.trust = (enum copy_trust)flags->trust,
                                 .ttl_ns = (int64_t)flags->ttl_s * NS_PER_S,
                                 .settle_s = flags->settle_s,
                                 // a quarter is for everything that is not a buffer
                                 .memory_limit = 3 * (flags->memory ? (uint64_t)flags->memory : MEMORY_DEFAULT) / 4,
                                 .passthrough = !flags->no_passthrough};
    if (str_empty(flags->dir)) {
        ret->trust = TRUST_STRICT;
        return 0;
    }
    raise_descriptors();
    ret->dir = mem_strdup(flags->dir);
    ret->volume = mem_strdup(str_empty(flags->tag) ? origin : flags->tag);
    if (!ret->dir || !ret->volume)
        return err_set(err, -ENOMEM, "out of memory");
    const struct cache_options options = {.dir = ret->dir,
                                          .origin = origin,
                                          .volume = ret->volume,
                                          .volume_limit = (uint64_t)flags->size,
                                          .keep_free_percent = flags->keep_free};
    return cache_open(&options, &ret->cache, err);
}

void volume_cache_close(struct copy_options *options) {
    options->cache = cache_free(options->cache);
    free(take_ptr(options->dir));
    free(take_ptr(options->volume));
}

void volume_cache_probe(struct fs *fs, const char *dir) {
    struct err err = ERR_NONE;
    if (!fs->copies.cache)
        return;
    if (fs->copies.passthrough) {
        int fd cleanup_close = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        int r = fd < 0 ? err_set(&err, -errno, "no file can be made in '%s': %s", dir, err_name(errno))
                       : copy_probe(fs, fd, &err);
        fs->copies.passthrough = r == 0;
    } else {
        (void)err_set(&err, -ENOTSUP, "--no-passthrough is given");
    }
    bool passed = fs->copies.passthrough;
    log_info("complete files are read",
             LOG_S("by", passed ? "the kernel, from the cache file (passthrough)" : "this process"),
             LOG_S("because", passed ? "it can" : err_text(&err)));
}
