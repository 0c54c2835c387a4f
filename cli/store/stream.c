// SPDX-License-Identifier: Apache-2.0
#include "cli/store/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define SHOW_EVERY_NS (200 * NS_PER_MS)

// ---- progress ----

void progress_start(struct progress *progress, const char *name, int64_t total) {
    *progress = (struct progress){
        .name = name, .total = total, .shown_ns = clock_monotonic(&clock_system), .visible = isatty(STDERR_FILENO)};
}

void progress_add(struct progress *progress, int64_t bytes) {
    char done[24], total[24];
    progress->done += bytes;
    if (!progress->visible || clock_monotonic(&clock_system) - progress->shown_ns < SHOW_EVERY_NS)
        return;
    progress->shown_ns = clock_monotonic(&clock_system);
    str_from_bytes(progress->done, done);
    if (progress->total <= 0) {
        (void)fprintf(stderr, "\r\033[K%.60s  %s", progress->name, done);
        return;
    }
    str_from_bytes(progress->total, total);
    (void)fprintf(stderr, "\r\033[K%.60s  %s of %s, %d %%", progress->name, done, total,
                  (int)((double)progress->done * 100 / (double)progress->total));
}

void progress_end(struct progress *progress) {
    if (progress->visible)
        (void)fprintf(stderr, "\r\033[K");
    progress->visible = false;
}

// ---- reading ----

static bool is_standard(const char *file) {
    return !file || str_eq(file, "-");
}

int stream_open(const char *file, struct stream *ret, struct err *err) {
    struct stat st;
    *ret = (struct stream){.fd = STDIN_FILENO, .name = is_standard(file) ? "standard input" : file, .size = -1};
    if (!is_standard(file))
        ret->fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (ret->fd < 0 || fstat(ret->fd, &st) < 0) {
        int r = -errno;
        stream_close(ret);
        return err_set(err, r == -ENOENT ? -EINVAL : r, "%.180s: %s", ret->name, err_name(r));
    }
    if (S_ISDIR(st.st_mode)) {
        stream_close(ret);
        return err_set(err, -EISDIR, "%.180s is a directory", ret->name);
    }
    if (S_ISREG(st.st_mode) && !is_standard(file)) // what is left of standard input is not known
        ret->size = st.st_size;
    progress_start(&ret->progress, ret->name, ret->size);
    return 0;
}

void stream_close(struct stream *stream) {
    progress_end(&stream->progress);
    if (stream->fd > STDERR_FILENO)
        (void)close(stream->fd);
    stream->fd = -1;
}

int64_t stream_read(void *arg, char *buf, size_t max, struct err *err) {
    struct stream *stream = arg;
    ssize_t n;
    do
        n = read(stream->fd, buf, max);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(err, -EIO, "%.180s: %s", stream->name, err_name(errno));
    if (n == 0 && stream->size >= 0 && stream->progress.done < stream->size)
        return err_set(err, -EIO, "%.180s became shorter while it was sent", stream->name);
    progress_add(&stream->progress, n);
    return n;
}

int input_read(const char *file, size_t max, struct str *ret, struct err *err) {
    struct stream stream cleanup_stream = {.fd = -1};
    char buf[64 * 1024];
    int r = stream_open(file, &stream, err);
    while (r == 0) {
        int64_t n = stream_read(&stream, buf, sizeof buf, err);
        if (n <= 0)
            return (int)n;
        if (ret->len + (size_t)n > max)
            r = err_set(err, -E2BIG, "%.180s holds more than %zu bytes", stream.name, max);
        else if (str_append_bytes(ret, buf, (size_t)n) < 0)
            r = err_set(err, -ENOMEM, "out of memory");
    }
    return r;
}

// ---- writing ----

int stream_write(void *arg, const char *data, size_t len, struct err *err) {
    struct stream *stream = arg;
    progress_add(&stream->progress, (int64_t)len);
    while (len) {
        ssize_t n = write(stream->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, -EIO, "%.180s: %s", stream->name, err_name(errno));
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static bool is_device(const char *path) { // /dev/null and named pipes are written, not replaced
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int target_open(const char *file, struct target *ret, struct err *err) {
    *ret = (struct target){.stream = {.fd = STDOUT_FILENO, .name = is_standard(file) ? "standard output" : file}};
    if (is_standard(file)) {
        (void)fflush(stdout);
    } else if (is_device(file)) {
        ret->stream.fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    } else {
        ret->path = mem_strdup(file);
        ret->temporary = mem_printf("%s.XXXXXX", file);
        if (!ret->path || !ret->temporary) {
            free(take_ptr(ret->temporary)); // never made
            return err_set(err, -ENOMEM, "out of memory");
        }
        ret->stream.fd = mkostemp(ret->temporary, O_CLOEXEC);
    }
    if (ret->stream.fd < 0) {
        int r = -errno;
        free(take_ptr(ret->temporary));
        return err_set(err, r == -ENOENT ? -EINVAL : r, "%.180s: %s", file, err_name(r));
    }
    progress_start(&ret->stream.progress, ret->stream.name, -1);
    return 0;
}

int target_commit(struct target *target, struct err *err) {
    mode_t mask = umask(0);
    (void)umask(mask);
    if (!target->temporary)
        return 0;
    if (fchmod(target->stream.fd, 0666 & ~mask) < 0 || rename(target->temporary, target->path) < 0)
        return err_set(err, -EIO, "%.180s: %s", target->path, err_name(errno));
    free(take_ptr(target->temporary));
    return 0;
}

void target_done(struct target *target) {
    stream_close(&target->stream);
    if (target->temporary)
        (void)unlink(target->temporary);
    free(target->temporary);
    free(target->path);
    *target = (struct target){.stream = {.fd = -1}};
}

int output_raw(const char *data, size_t len, struct err *err) {
    struct stream out = {.fd = STDOUT_FILENO, .name = "standard output"};
    (void)fflush(stdout);
    int r = stream_write(&out, data ? data : "", len, err);
    if (r == 0 && isatty(STDOUT_FILENO) && (len == 0 || data[len - 1] != '\n'))
        r = stream_write(&out, "\n", 1, err);
    return r;
}

void output_name(const char *name, bool end_with_null) {
    bool terminal = isatty(STDOUT_FILENO);
    for (const char *p = name; *p; p++)
        (void)putchar(terminal && ((unsigned char)*p < 0x20 || *p == 0x7F) ? '?' : *p);
    (void)putchar(end_with_null ? '\0' : '\n');
}
