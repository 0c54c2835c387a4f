// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/cache.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "lib/base/mem.h"
#include "lib/cache/cache.h"

// ---- volumes and their disk

static void heading(struct table *table) {
    table_row(table, 6, (const char *[]){"VOLUME", "RESIDENT", "FILES", "HIT RATIO", "PINNED", "FROM ORIGIN"});
}

static void volume_row(struct table *table, const struct json *volume) {
    char resident[24], files[24], ratio[24] = "", pinned[24], origin[24];
    int64_t opens = json_get_int(volume, "opens", 0);
    (void)snprintf(files, sizeof files, "%" PRId64, json_get_int(volume, "objects", 0));
    if (opens)
        (void)snprintf(ratio, sizeof ratio, "%.1f %%",
                       100.0 * (double)json_get_int(volume, "open_hits", 0) / (double)opens);
    table_row(table, 6,
              (const char *[]){json_get_text(volume, "volume"), cache_bytes(volume, "bytes", resident), files, ratio,
                               cache_bytes(volume, "pinned_bytes", pinned),
                               cache_bytes(volume, "origin_bytes", origin)});
}

static void print_disk(const struct json *disk) {
    char used[24], free_bytes[24], total[24], line[160];
    if (!disk)
        return;
    (void)snprintf(line, sizeof line, "%s cached, %s of %s free", cache_bytes(disk, "cache_bytes", used),
                   cache_bytes(disk, "free_bytes", free_bytes), cache_bytes(disk, "total_bytes", total));
    (void)printf("\n");
    output_field("disk", line);
    if (json_get_bool(disk, "sick", false))
        output_field("suspended", json_get_text(disk, "reason"));
}

static int print_volumes(const struct cli *cli, const struct json *volumes, const struct json *disk, struct err *err) {
    struct table table cleanup_table = {0};
    if (cli->options.json)
        return output_json(volumes, err);
    heading(&table);
    for (size_t i = 0; i < json_length(volumes); i++)
        volume_row(&table, json_at(volumes, i));
    int r = table_print(&table, err);
    if (r == 0)
        print_disk(disk);
    return r;
}

// ---- of a directory of the disk, without any mount

static void set(struct json *json, const char *key, uint64_t value, bool *failed) {
    *failed |= json_set_int(json, key, (int64_t)value) < 0;
}

static struct json *volume_json(const struct cache_figures *f, bool *failed) {
    struct json *json = json_object_new();
    if (!json || json_set_text(json, "volume", f->volume) < 0 || json_set_bool(json, "mounted", f->mounted) < 0)
        *failed = true;
    if (!json)
        return NULL;
    set(json, "limit", f->limit, failed);
    set(json, "bytes", f->bytes, failed);
    set(json, "objects", f->objects, failed);
    set(json, "pinned_bytes", f->pinned_bytes, failed);
    set(json, "opens", f->opens, failed);
    set(json, "open_hits", f->open_hits, failed);
    set(json, "cache_bytes", f->cache_bytes, failed);
    set(json, "origin_bytes", f->origin_bytes, failed);
    set(json, "evicted_bytes", f->evicted_bytes, failed);
    set(json, "errors", f->errors, failed);
    return json;
}

static struct json *disk_json(const struct cache_disk *d, bool *failed) {
    struct json *json = json_object_new();
    if (!json) {
        *failed = true;
        return NULL;
    }
    set(json, "total_bytes", d->total_bytes, failed);
    set(json, "free_bytes", d->free_bytes, failed);
    set(json, "cache_bytes", d->cache_bytes, failed);
    set(json, "cache_objects", d->cache_objects, failed);
    *failed |= json_set_bool(json, "sick", d->sick) < 0 || (d->sick && json_set_text(json, "reason", d->reason) < 0);
    return json;
}

static int status_of_dir(const struct cli *cli, struct err *err) {
    struct cache_disk disk;
    struct cache_figures *figures cleanup_free = NULL;
    size_t count = 0;
    bool failed = false;
    int r = cache_read_figures(cli->options.dir, &disk, &figures, &count, err);
    if (r < 0)
        return r;
    struct json *volumes cleanup(json_freep) = json_array_new();
    struct json *on cleanup(json_freep) = disk_json(&disk, &failed);
    for (size_t i = 0; volumes && i < count; i++) {
        struct json *volume = volume_json(&figures[i], &failed);
        failed |= !volume || json_append(volumes, volume) < 0;
    }
    if (!volumes || failed)
        return err_set(err, -ENOMEM, "out of memory");
    if (!cli->options.json)
        return print_volumes(cli, volumes, on, err);
    struct json *all cleanup(json_freep) = json_object_new();
    if (!all || json_set(all, "volumes", take_ptr(volumes)) < 0 || json_set(all, "disk", take_ptr(on)) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return output_json(all, err);
}

// ---- of what is mounted here

static int add_mount(const char *path, const struct json *status, void *arg) {
    (void)path;
    return json_append(arg, json_ref(status));
}

static int status_of_mounts(const struct cli *cli, struct err *err) {
    struct json *volumes cleanup(json_freep) = json_array_new();
    if (!volumes || cache_each_mount(add_mount, volumes) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (json_length(volumes) == 0 && !cli->options.json)
        return err_set(
            err, -ENOENT,
            "no cached volume is mounted here; give --dir CACHE_DIR for what a node's disk holds of those that were");
    return print_volumes(cli, volumes, json_get(json_at(volumes, 0), "disk"), err);
}

// ---- of a path

static void print_file(const struct json *status) {
    char bytes[24], size[24], line[64];
    const char *mode = json_get_text(status, "mode");
    (void)snprintf(line, sizeof line, "%s of %s", cache_bytes(status, "bytes", bytes),
                   cache_bytes(status, "size", size));
    output_field("state", json_get_text(status, "state"));
    output_field("cached", line);
    output_field("pinned", json_get_bool(status, "pinned", false) ? "yes" : "no");
    output_field("read by", str_eq(mode, "passthrough") ? "the kernel, from the cache file (passthrough)"
                            : str_eq(mode, "daemon")    ? "the daemon of the mount"
                                                        : "nobody has it open");
}

static void print_warm_up(const char *path) {
    struct json *work cleanup(json_freep) = NULL;
    char line[160], text[200];
    if (cache_ask(path, "warm", &work, NULL) < 0)
        return;
    cache_describe_work(work, line, sizeof line);
    (void)snprintf(text, sizeof text, "%s, %s", json_get_text(work, "state"), line);
    output_field("warm-up", text);
}

static int status_of_path(const struct cli *cli, struct err *err) {
    char *path cleanup_free = NULL;
    struct json *status cleanup(json_freep) = NULL;
    int r = cache_find(cli, &path, err);
    if (r == 0)
        r = cache_ask(path, "status", &status, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(status, err);
    if (!json_get_text(status, "volume")) {
        print_file(status);
    } else {
        struct table table cleanup_table = {0};
        heading(&table);
        volume_row(&table, status);
        r = table_print(&table, err);
        print_disk(json_get(status, "disk"));
    }
    print_warm_up(path);
    return r;
}

static int run(struct cli *cli, struct err *err) {
    if (cli->options.dir && cli->argc)
        return err_set(err, -EINVAL, "give PATH, VOLUME or --dir, one of them");
    if (cli->options.dir)
        return status_of_dir(cli, err);
    return cli->argc ? status_of_path(cli, err) : status_of_mounts(cli, err);
}

const struct command command_cache_status = {
    .group = "cache",
    .name = "status",
    .arguments = "[PATH|VOLUME]",
    .min = 0,
    .max = 1,
    .summary = "show what is cached, and how often it was of use",
    .detail = "Of a file: how much of it. Of a directory: its volume and the disk. Without either: all volumes mounted "
              "here, or, with\n"
              "--dir, all that the node's disk holds.",
    .flags = (const char *const[]){"path", "dir", NULL},
    .whom = OPTIONS_CACHE,
    .run = run,
};
