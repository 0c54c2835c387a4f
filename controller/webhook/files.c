// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/files.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controller/webhook/sidecar.h"
#include "lib/base/mem.h"
#include "lib/projection/limits.h"
#include "lib/projection/spec.h"

#define PATH_MAX_BYTES 512

// ---- what the annotations say -------------------------------------------------------------------------------------------

static void file_done(struct inject_file *file) {
    free(file->ns);
    free(file->path);
}

void inject_files_done(struct inject_files *files) {
    for (size_t i = 0; i < files->count; i++)
        file_done(&files->items[i]);
    free(files->items);
    files->items = NULL;
    files->count = 0;
}

static bool is_inside(const char *path, const char *dir) {
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (!path[len] || path[len] == '/');
}

static int check_path(const struct inject_files *files, const char *path, struct err *err) {
    static const char *const taken[] = {SIDECAR_FILES, "/var/run/secrets", "/proc", "/sys", "/dev"};
    size_t len = strlen(path);
    if (path[0] != '/' || len < 2 || len > PATH_MAX_BYTES || strchr(path, ':') || strstr(path, "/../") ||
        (len > 2 && str_eq(path + len - 3, "/..")))
        return err_set(err, -EINVAL, "'%.100s' is no path to mount files at: give one such as /etc/settings", path);
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        if (is_inside(path, taken[i]))
            return err_set(err, -EINVAL, "'%.100s' has other files: give a path such as /etc/settings", path);
    for (size_t i = 0; i < files->count; i++)
        if (is_inside(path, files->items[i].path) || is_inside(files->items[i].path, path))
            return err_set(err, -EINVAL, "'%.80s' and '%.80s' are in each other's way: give paths side by side", path,
                           files->items[i].path);
    return 0;
}

static int parse_one(const char *text, size_t len, struct inject_file *ret, struct err *err) {
    struct project_spec spec cleanup(project_spec_done) = {0};
    int r = project_spec_parse(text, len, &spec);
    if (r == -EINVAL)
        return err_set(err, r,
                       "'%.*s' names no namespace of keys: give NAMESPACE, NAMESPACE=/PATH, or either with :optional",
                       (int)(len > 100 ? 100 : len), text);
    if (r == 0 && !spec.dir)
        spec.dir = mem_printf(INJECT_FILES_DIR "%s", spec.ns);
    if (r < 0 || !spec.dir)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = (struct inject_file){.ns = take_ptr(spec.ns), .path = take_ptr(spec.dir), .optional = spec.optional};
    for (size_t n = strlen(ret->path); n > 1 && ret->path[n - 1] == '/'; n--)
        ret->path[n - 1] = '\0';
    return 0;
}

static int add(struct inject_files *files, const char *text, size_t len, struct err *err) {
    struct inject_file file cleanup(file_done) = {0};
    int r = parse_one(text, len, &file, err);
    if (r == 0)
        r = check_path(files, file.path, err);
    if (r == 0 && files->count == INJECT_FILES_MAX)
        r = err_set(err, -EINVAL, "more than %zu namespaces as files: take some away", INJECT_FILES_MAX);
    if (r < 0)
        return r;
    files->items[files->count++] = file;
    file = (struct inject_file){0};
    return 0;
}

int inject_files_parse(const char *text, struct inject_files *ret, struct err *err) {
    struct inject_files files cleanup(inject_files_done) = {.max_bytes = ret->max_bytes};
    files.items = mem_array(INJECT_FILES_MAX, sizeof *files.items);
    int r = files.items ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (const char *at = text; r == 0 && *at;) {
        at += strspn(at, ", \t\n");
        size_t len = strcspn(at, ", \t\n");
        if (len)
            r = add(&files, at, len, err);
        at += len;
    }
    if (r < 0)
        return r;
    *ret = files;
    files = (struct inject_files){0};
    return 0;
}

// The sidecar asks its own pod only; here by the address that stands in the docs.
int inject_notify_check(const char *url, struct err *err) {
    struct notify_spec spec cleanup(notify_spec_done) = {0};
    struct err why = ERR_NONE;
    int r = str_starts(url, "http://127.0.0.1:") ? notify_spec_parse(url, &spec, &why) : -EINVAL;
    if (r == -EINVAL)
        return err_set(err, r, "'%.100s' is no address in the pod: give http://127.0.0.1:PORT/PATH", url);
    return r < 0 ? err_set(err, r, "out of memory") : 0;
}

bool inject_files_wait(const struct inject_files *files) {
    for (size_t i = 0; i < files->count; i++)
        if (!files->items[i].optional)
            return true;
    return false;
}

// ---- what they come to ----------------------------------------------------------------------------------------------------

static struct json *parsed(struct str *text) {
    struct json *ret = NULL;
    return !text->failed && json_parse(str_text(text), text->len, 4096, &ret, NULL) == 0 ? ret : NULL;
}

struct json *inject_files_volume(const struct inject_files *files, size_t i) {
    struct str out cleanup_str = {0};
    (void)str_printf(&out,
                     "{\"name\":\"" INJECT_FILES_VOLUME
                     "%zu\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"%" PRId64 "\"}}",
                     i, projection_volume_bytes(files->max_bytes));
    return parsed(&out);
}

struct json *inject_files_mount(const struct inject_files *files, size_t i) {
    struct str out cleanup_str = {0};
    (void)str_printf(&out, "{\"name\":\"" INJECT_FILES_VOLUME "%zu\",\"readOnly\":true,\"mountPath\":", i);
    (void)json_append_quoted(&out, files->items[i].path);
    (void)str_append(&out, "}");
    return parsed(&out);
}

void inject_files_append_mounts(const struct inject_files *files, struct str *out) {
    for (size_t i = 0; i < files->count; i++)
        (void)str_printf(out, ",{\"name\":\"" INJECT_FILES_VOLUME "%zu\",\"mountPath\":\"" INJECT_FILES_HERE "%zu\"}",
                         i, i);
}

void inject_files_append_projects(const struct inject_files *files, struct str *out) {
    for (size_t i = 0; i < files->count; i++)
        (void)str_printf(out, "%s%s=" INJECT_FILES_HERE "%zu%s", i ? "," : "", files->items[i].ns, i,
                         files->items[i].optional ? ":optional" : "");
}
