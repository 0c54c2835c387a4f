// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/options.h"

#include <errno.h>

#include "lib/base/fields.h"
#include "lib/base/mem.h"
#include "lib/projection/limits.h"

const char *const inject_log_levels[] = {"debug", "info", "warning", "error", NULL};

#define O(member) offsetof(struct inject_options, member)
static const struct field rows[] = {
    {.name = INJECT_ANNOTATION, .type = FIELD_BOOL, .offset = O(inject)},
    {.name = INJECT_ANNOTATION "-port",
     .type = FIELD_U32,
     .offset = O(port),
     .fallback = "3500",
     .min = 1024, // the sidecar is no root
     .max = 65535},
    {.name = INJECT_ANNOTATION "-cache",
     .type = FIELD_BYTES,
     .offset = O(cache),
     .fallback = "0",
     .max = INT64_C(1) << 30},
    {.name = INJECT_ANNOTATION "-local-links", .type = FIELD_BOOL, .offset = O(local_links)},
    {.name = INJECT_ANNOTATION "-log-level",
     .type = FIELD_CHOICE,
     .offset = O(log_level),
     .fallback = "info",
     .choices = inject_log_levels},
    {.name = INJECT_ANNOTATION "-files", .type = FIELD_TEXT, .offset = O(files_text), .max = 8192},
    {.name = INJECT_ANNOTATION "-files-max-bytes",
     .type = FIELD_BYTES,
     .offset = O(files_max_bytes),
     .fallback = PROJECTION_BYTES_DEFAULT,
     .min = PROJECTION_BYTES_MIN,
     .max = PROJECTION_BYTES_MAX},
    {.name = INJECT_ANNOTATION "-files-notify", .type = FIELD_TEXT, .offset = O(files_notify), .max = 512},
    {.name = INJECT_ANNOTATION "-store-ca", .type = FIELD_TEXT, .offset = O(store_ca), .max = 253},
};
static const struct fields table = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "annotation", .exact_case = true};

struct reading {
    struct inject_options *options;
    struct err *err;
};

// Other annotations of stowage.dev are none of the sidecar's; of its own, one that is not known is a typing error.
static int read_one(const char *name, const struct json *value, void *arg) {
    const struct reading *reading = arg;
    const char *text = json_text(value);
    bool own = str_starts(name, INJECT_ANNOTATION "-") || str_eq(name, INJECT_ANNOTATION);
    return own && text ? fields_set(&table, reading->options, name, text, reading->err) : 0;
}

void inject_options_done(struct inject_options *options) {
    fields_done(&table, options);
    inject_files_done(&options->files);
}

static int read_files(struct inject_options *options, struct err *err) {
    options->files.max_bytes = options->files_max_bytes;
    int r = options->files_text ? inject_files_parse(options->files_text, &options->files, err) : 0;
    if (r < 0)
        return err_wrap(err, r, "annotation '" INJECT_ANNOTATION "-files'");
    if (!options->files_notify)
        return 0;
    if (!options->files.count)
        return err_set(err, -EINVAL,
                       "annotation '" INJECT_ANNOTATION "-files-notify' tells of files: say which, by the annotation "
                       "'" INJECT_ANNOTATION "-files'");
    r = inject_notify_check(options->files_notify, err);
    return r < 0 ? err_wrap(err, r, "annotation '" INJECT_ANNOTATION "-files-notify'") : 0;
}

int inject_options_read(const struct json *pod, struct inject_options *ret, struct err *err) {
    struct inject_options options cleanup(inject_options_done) = {0};
    const struct json *metadata = json_get(pod, "metadata"), *annotations = json_get(metadata, "annotations");
    const char *asked = json_get_text(annotations, INJECT_ANNOTATION);
    int r = fields_defaults(&table, &options, err);
    if (r == 0 && asked)
        r = fields_set(&table, &options, INJECT_ANNOTATION, asked, err);
    if (r == 0 && options.inject)
        r = json_each(annotations, read_one, &(struct reading){.options = &options, .err = err});
    if (r == 0 && options.inject)
        r = read_files(&options, err);
    if (r < 0)
        return r;
    *ret = options;
    options = (struct inject_options){0};
    return 0;
}
