// SPDX-License-Identifier: Apache-2.0
// One way only, and nothing is removed: what is missing, of another size, or older on the other side is copied.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/output.h"
#include "cli/rows.h"
#include "cli/store/transfer.h"
#include "lib/base/mem.h"

#define DEPTH_MAX 200

struct sync {
    const struct cli *cli;
    struct http_client *client;
    int64_t copied, same, passed_over;
};

struct seen { // a file on one side
    bool there, dir;
    int64_t size, modified_ms;
};

static int look_here(const char *path, struct seen *ret, struct err *err) {
    struct stat st;
    *ret = (struct seen){0};
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(err, -EIO, "%.180s: %s", path, err_name(errno));
    *ret = (struct seen){.there = true,
                         .dir = S_ISDIR(st.st_mode),
                         .size = S_ISREG(st.st_mode) ? st.st_size : -1,
                         .modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000};
    return 0;
}

static struct seen look_there(const struct json *entries, const char *name) {
    for (size_t i = 0; i < json_length(entries); i++) {
        const struct json *entry = json_at(entries, i);
        if (str_eq(json_get_text(entry, "name"), name))
            return (struct seen){.there = true,
                                 .dir = str_eq(json_get_text(entry, "type"), "dir"),
                                 .size = json_get_int(entry, "size", 0),
                                 .modified_ms = json_get_int(entry, "modified_ms", 0)};
    }
    return (struct seen){0};
}

static bool is_same(const struct seen *from, const struct seen *to) {
    return to->there && !to->dir && from->size == to->size && from->modified_ms <= to->modified_ms;
}

static int list_there(struct sync *sync, const char *remote, struct json **ret, struct err *err) {
    struct str path cleanup_str = {0};
    (void)store_files(&path, remote);
    return store_call(sync->client, "GET", &path, NULL, ret, err);
}

static void tell(const struct sync *sync, const char *what) {
    if (!sync->cli->options.json)
        (void)printf("%s\n", what);
}

static int too_deep(const char *path, struct err *err) {
    return err_set(err, -ELOOP, "%.180s lies %d directories deep; that is too deep", path, DEPTH_MAX);
}

// ---- up ----

static int up(struct sync *sync, const char *local, const char *remote, int depth, struct err *err);

static int up_file(struct sync *sync, const char *local, const char *remote, struct err *err) {
    struct str path cleanup_str = {0};
    (void)store_files(&path, remote);
    int r = transfer_up(sync->client, "POST", &path, "file", NULL, local, err);
    if (r == 0) {
        sync->copied++;
        tell(sync, remote);
    }
    return r;
}

static int up_entry(struct sync *sync, const char *local, const char *remote, const char *name,
                    const struct json *entries, int depth, struct err *err) {
    char *from cleanup_free = mem_printf("%s/%s", local, name), *to cleanup_free = mem_printf("%s/%s", remote, name);
    struct seen here, there = look_there(entries, name);
    if (!from || !to)
        return store_no_memory(err);
    int r = look_here(from, &here, err);
    if (r < 0 || !here.there)
        return r;
    if (here.dir)
        return up(sync, from, to, depth + 1, err);
    if (here.size < 0) {
        (void)fprintf(stderr, "stowage: %s is no file or directory: passed over\n", from);
        sync->passed_over++;
        return 0;
    }
    if (!is_same(&here, &there))
        return up_file(sync, from, to, err);
    sync->same++;
    return 0;
}

static int up(struct sync *sync, const char *local, const char *remote, int depth, struct err *err) {
    struct json *entries cleanup(json_freep) = NULL;
    struct str path cleanup_str = {0};
    struct dirent **names = NULL;
    if (depth > DEPTH_MAX)
        return too_deep(local, err);
    int count = scandir(local, &names, NULL, alphasort);
    if (count < 0)
        return err_set(err, errno == ENOENT ? -EINVAL : -errno, "%.180s: %s", local, err_name(errno));
    (void)store_files(&path, remote);
    int r = strchr(remote, '/') ? store_call(sync->client, "PUT", &path, NULL, NULL, err) : 0; // no root is made
    if (r == 0)
        r = list_there(sync, remote, &entries, err);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (r == 0 && !str_eq(name, ".") && !str_eq(name, ".."))
            r = up_entry(sync, local, remote, name, entries, depth, err);
        free(names[i]);
    }
    free(names);
    return r;
}

// ---- down ----

static int down(struct sync *sync, const char *remote, const char *local, int depth, struct err *err);

static int down_entry(struct sync *sync, const char *remote, const char *local, const struct json *entries,
                      const char *name, int depth, struct err *err) {
    // The server is not trusted with where files go on this machine.
    if (str_empty(name) || strchr(name, '/') || str_eq(name, ".") || str_eq(name, ".."))
        return err_set(err, -EIO, "the server lists an entry '%.100s', which is no name", name ? name : "");
    char *from cleanup_free = mem_printf("%s/%s", remote, name), *to cleanup_free = mem_printf("%s/%s", local, name);
    struct str path cleanup_str = {0};
    struct seen there = look_there(entries, name), here;
    if (!from || !to)
        return store_no_memory(err);
    if (there.dir)
        return down(sync, from, to, depth + 1, err);
    int r = look_here(to, &here, err);
    if (r == 0 && is_same(&there, &here)) {
        sync->same++;
        return 0;
    }
    (void)store_files(&path, from);
    if (r == 0)
        r = transfer_down(sync->client, &path, to, err);
    if (r == 0) {
        sync->copied++;
        tell(sync, to);
    }
    return r;
}

static int down(struct sync *sync, const char *remote, const char *local, int depth, struct err *err) {
    struct json *entries cleanup(json_freep) = NULL;
    struct stat st;
    if (depth > DEPTH_MAX)
        return too_deep(local, err);
    int r = list_there(sync, remote, &entries, err);
    if (r == 0 && mkdir(local, 0777) < 0 && (errno != EEXIST || lstat(local, &st) < 0 || !S_ISDIR(st.st_mode)))
        r = err_set(err, -EIO, "%.180s: %s", local, err_name(errno));
    for (size_t i = 0; r == 0 && i < json_length(entries); i++)
        r = down_entry(sync, remote, local, entries, json_get_text(json_at(entries, i), "name"), depth, err);
    return r;
}

// ---- the command ----

static int print_sum(const struct sync *sync, struct err *err) {
    if (!sync->cli->options.json) {
        (void)fflush(stdout); // the files come first
        (void)fprintf(stderr, "%" PRId64 " copied, %" PRId64 " were the same\n", sync->copied, sync->same);
        return 0;
    }
    struct json *sum cleanup(json_freep) = json_object_new();
    if (json_set_int(sum, "copied", sync->copied) < 0 || json_set_int(sum, "same", sync->same) < 0 ||
        json_set_int(sum, "passed_over", sync->passed_over) < 0)
        return store_no_memory(err);
    return output_json(sum, err);
}

static char *without_slash(const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    return mem_strndup(path, len);
}

static int sync_tree(struct cli *cli, struct err *err) {
    struct http_client *client cleanup(http_client_freep) = NULL;
    char *from cleanup_free = without_slash(cli->argv[0]), *to cleanup_free = without_slash(cli->argv[1]);
    if (!from || !to)
        return store_no_memory(err);
    int r = store_open(cli, &client, err);
    struct sync sync = {.cli = cli, .client = client};
    if (r == 0)
        r = cli->options.download ? down(&sync, from, to, 0, err) : up(&sync, from, to, 0, err);
    return r < 0 ? r : print_sum(&sync, err);
}

const struct command command_fs_sync = {
    .group = "fs",
    .name = "sync",
    .arguments = "FROM TO",
    .min = 2,
    .max = 2,
    .summary = "copy what is new or changed in a directory tree; nothing is removed",
    .detail = "FROM is a directory here and TO is FS/DIR, or the other way round with --download. A file is copied "
              "when the other side has none, one of another size, or an older one. Interrupted, it "
              "goes on when it is "
              "run again. Links and devices are passed over.",
    .flags = (const char *const[]){"download", NULL},
    .whom = OPTIONS_STORE,
    .run = sync_tree,
};
