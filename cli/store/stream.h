// SPDX-License-Identifier: Apache-2.0
// Bytes between the store and a file, standard input or standard output, with progress for who watches.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/command.h"
#include "lib/base/str.h"

// Shown on standard error, only when that is a terminal.
struct progress {
    const char *name;
    int64_t total, done; // total -1: not known
    int64_t shown_ns;
    bool visible;
};
void progress_start(struct progress *progress, const char *name, int64_t total);
void progress_add(struct progress *progress, int64_t bytes);
void progress_end(struct progress *progress); // leaves no trace

struct stream {
    int fd;
    const char *name; // for errors
    int64_t size;     // of a regular file, else -1
    struct progress progress;
};

// A file to read; NULL or "-": standard input. -EISDIR for a directory.
int stream_open(const char *file, struct stream *ret, struct err *err) must_check;
void stream_close(struct stream *stream);
// Callbacks of struct http_exchange, whose arg is a struct stream.
int64_t stream_read(void *arg, char *buf, size_t max, struct err *err);
int stream_write(void *arg, const char *data, size_t len, struct err *err);

// A file that appears under its name when all of it is there; NULL or "-": standard output.
struct target {
    struct stream stream;
    char *path, *temporary; // NULL: standard output
};
int target_open(const char *file, struct target *ret, struct err *err) must_check;
int target_commit(struct target *target, struct err *err) must_check;
void target_done(struct target *target); // removes what was not committed
#define cleanup_target cleanup(target_done)
#define cleanup_stream cleanup(stream_close)

// All of a file or standard input, at most `max` bytes (-E2BIG).
int input_read(const char *file, size_t max, struct str *ret, struct err *err) must_check;
// Raw bytes to standard output; on a terminal a line feed follows where none ends them.
int output_raw(const char *data, size_t len, struct err *err) must_check;
// A name on a line of its own, or ended by NUL. On a terminal control characters become '?'.
void output_name(const char *name, bool end_with_null);
