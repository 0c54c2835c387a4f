// SPDX-License-Identifier: Apache-2.0
#include "controller/shares_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

#define FILE_NAME "shares.json"
#define FILE_SIZE_MAX (1024 * 1024)

static int read_all(const char *path, struct str *ret, struct err *err) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT : err_set(err, -errno, "cannot open %s: %s", path, err_name(errno));
    char part[4096];
    for (;;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n == 0)
            return 0;
        if (n < 0)
            return err_set(err, -errno, "cannot read %s: %s", path, err_name(errno));
        if (ret->len + (size_t)n > FILE_SIZE_MAX)
            return err_set(err, -EBADMSG, "%s has more than %d bytes; remove it", path, FILE_SIZE_MAX);
        if (str_append_bytes(ret, part, (size_t)n) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
}

int shares_file_read(const char *state_dir, int (*add)(void *arg, const char *text, struct err *err), void *arg,
                     struct err *err) {
    char *path cleanup_free = mem_printf("%s/%s", state_dir, FILE_NAME);
    if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make the state directory %s: %s", state_dir, err_name(errno));
    struct str text cleanup_str = {0};
    struct json *json cleanup(json_freep) = NULL;
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = read_all(path, &text, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = json_parse(str_text(&text), text.len, FILE_SIZE_MAX, &json, err);
    const struct json *list = r == 0 ? json_get(json, "shares") : NULL;
    if (r == 0 && (json_get_int(json, "version", 0) != 1 || !list))
        r = err_set(err, -EBADMSG, "no version 1 list of shares");
    for (size_t i = 0; r == 0 && i < json_length(list); i++) {
        const char *location = json_text(json_at(list, i));
        r = location ? add(arg, location, err) : err_set(err, -EBADMSG, "an entry is no text");
    }
    return r < 0 ? err_wrap(err, r, "%s cannot be used (remove it; --share names shares as well)", path) : 0;
}

static char *encode(const struct field_list *texts) {
    struct json *json cleanup(json_freep) = json_object_new();
    struct json *list cleanup(json_freep) = json_array_new();
    int r = json && list ? json_set_int(json, "version", 1) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < texts->count; i++)
        r = json_append_text(list, texts->items[i]);
    if (r == 0)
        r = json_set(json, "shares", take_ptr(list));
    return r == 0 ? json_dump(json, true) : NULL;
}

static int write_file(const char *path, const char *text) {
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(text);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, len);
    if (n < 0 || (size_t)n != len)
        return n < 0 ? -errno : -EIO;
    return fsync(fd) < 0 ? -errno : 0;
}

static int sync_dir(const char *path) {
    int fd cleanup_close = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int shares_file_write(const char *state_dir, const struct field_list *texts, struct err *err) {
    char *path cleanup_free = mem_printf("%s/%s", state_dir, FILE_NAME);
    char *tmp cleanup_free = mem_printf("%s/%s.tmp", state_dir, FILE_NAME);
    char *text cleanup_free = encode(texts);
    if (!path || !tmp || !text)
        return err_set(err, -ENOMEM, "out of memory");
    int r = write_file(tmp, text);
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r == 0)
        r = sync_dir(state_dir);
    return r < 0 ? err_set(err, r, "cannot write %s: %s", path, err_name(r)) : 0;
}
