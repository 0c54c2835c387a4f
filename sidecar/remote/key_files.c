// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/key_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/projection/atomic_dir.h"
#include "lib/projection/key_name.h"
#include "lib/projection/limits.h"

#define KEEP_NS NS_PER_S           // versions that were replaced
#define CHANGED_MAX ((size_t)1000) // names told

struct shown {
    char *name;  // of its file; NULL: the key has none
    char *value; // until it is written; NULL: it is
    size_t len;
};

struct key_files {
    struct atomic_dir *dir;
    struct key_files_options options;
    struct strmap keys;
    struct key_files_counts counts;
    struct json *changed; // an object, so that each is in it once
    bool changed_all;
};

int key_files_open(const struct key_files_options *options, struct key_files **ret, struct err *err) {
    struct key_files *files = mem_zalloc(sizeof *files);
    if (!files)
        return err_set(err, -ENOMEM, "out of memory");
    const struct atomic_dir_options dir = {.path = options->dir,
                                           .file_mode = options->mode,
                                           .keep_ns = KEEP_NS,
                                           .keep_bytes = projection_version_bytes(options->bytes_max)};
    files->options = *options;
    int r = atomic_dir_open(&dir, &files->dir, err);
    if (r < 0) {
        free(files);
        return r;
    }
    files->changed_all = true;
    *ret = files;
    return 0;
}

// ---- what is to be shown ----------------------------------------------------------------------------------------------

static void drop(struct key_files *files, const char *key) {
    struct shown *old = strmap_remove(&files->keys, key);
    if (!old)
        return;
    files->counts.keys--;
    files->counts.skipped -= !old->name;
    files->counts.bytes -= (int64_t)(strlen(key) + old->len);
    free(old->name);
    free(old->value);
    free(old);
}

void key_files_forget(struct key_files *files) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&files->keys, &i));) {
        struct shown *shown = slot->value;
        free(shown->name);
        free(shown->value);
        free(shown);
    }
    strmap_done(&files->keys);
    files->keys = (struct strmap){0};
    files->counts = (struct key_files_counts){0};
    files->changed = json_free(files->changed);
    files->changed_all = true;
}

struct key_files *key_files_free(struct key_files *files) {
    if (!files)
        return NULL;
    key_files_forget(files);
    files->dir = atomic_dir_free(files->dir);
    free(files);
    return NULL;
}

bool key_files_any(const struct key_files *files) {
    return atomic_dir_has_version(files->dir);
}

static void note_change(struct key_files *files, const char *name) {
    if (files->changed_all)
        return;
    if (!files->changed)
        files->changed = json_object_new();
    if (json_length(files->changed) < CHANGED_MAX && json_set_bool(files->changed, name, true) == 0)
        return;
    files->changed = json_free(files->changed);
    files->changed_all = true;
}

struct json *key_files_take_changed(struct key_files *files) {
    bool all = files->changed_all;
    files->changed_all = false;
    if (!all && !files->changed)
        return json_object_new();
    return take_ptr(files->changed);
}

// Takes the value out of the change.
static int show(struct key_files *files, const char *key, struct change *change) {
    char name[KEY_NAME_MAX + 1];
    struct shown *shown = mem_zalloc(sizeof *shown);
    size_t named = key_name_encode(key, strlen(key), name);
    drop(files, key);
    if (named)
        note_change(files, name);
    if (shown && named)
        shown->name = mem_strdup(name);
    if (!shown || (named && !shown->name) || strmap_put(&files->keys, key, shown) < 0) {
        free(shown ? shown->name : NULL);
        free(shown);
        return -ENOMEM;
    }
    shown->len = change->len;
    shown->value = take_ptr(change->value);
    files->counts.keys++;
    files->counts.bytes += (int64_t)(strlen(key) + shown->len);
    if (!named) {
        files->counts.skipped++;
        (void)snprintf(files->counts.skipped_key, sizeof files->counts.skipped_key, "%s", key);
        free(take_ptr(shown->value));
    }
    return 0;
}

static void hide(struct key_files *files, const char *key) {
    const struct shown *shown = strmap_get(&files->keys, key);
    if (shown && shown->name)
        note_change(files, shown->name);
    drop(files, key);
}

static int check_limits(const struct key_files *files, struct err *err) {
    const struct key_files_counts *counts = &files->counts;
    int64_t max = files->options.bytes_max, keys_max = projection_keys_max(max);
    if (max && counts->bytes > max)
        return err_set(err, -E2BIG, "it has %lld bytes, and the limit is %lld: allow more, or take keys away",
                       (long long)counts->bytes, (long long)max);
    if (max && (int64_t)counts->keys > keys_max)
        return err_set(err, -E2BIG,
                       "it has %zu keys, and with a limit of %lld bytes %lld can be shown: allow more bytes",
                       counts->keys, (long long)max, (long long)keys_max);
    return 0;
}

int key_files_apply(struct key_files *files, struct batch *batch, struct err *err) {
    const struct strmap_slot *slot;
    int r = 0;
    if (batch->whole)
        key_files_forget(files);
    for (size_t i = 0; r == 0 && (slot = strmap_next(&batch->changes, &i));) {
        struct change *change = slot->value;
        if (change->value)
            r = show(files, slot->key, change);
        else
            hide(files, slot->key);
    }
    batch_done(batch);
    return r < 0 ? err_set(err, r, "out of memory") : check_limits(files, err);
}

// ---- showing it ----------------------------------------------------------------------------------------------------------

int key_files_write(struct key_files *files, bool *ret_changed, struct err *err) {
    struct atomic_file *list cleanup_free = mem_array(files->keys.len + 1, sizeof *list);
    const struct strmap_slot *slot;
    size_t count = 0;
    if (!list)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; (slot = strmap_next(&files->keys, &i));) {
        const struct shown *shown = slot->value;
        if (shown->name)
            list[count++] = (struct atomic_file){shown->name, shown->value, shown->len};
    }
    int r = atomic_dir_write(files->dir, list, count, ret_changed, err);
    for (size_t i = 0; r == 0 && (slot = strmap_next(&files->keys, &i));)
        free(take_ptr(((struct shown *)slot->value)->value));
    return r;
}

int64_t key_files_tidy(struct key_files *files) {
    return atomic_dir_tidy(files->dir);
}

const struct key_files_counts *key_files_counts(const struct key_files *files) {
    return &files->counts;
}
