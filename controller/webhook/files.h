// SPDX-License-Identifier: Apache-2.0
// Keys as files in an injected pod: what the annotations say, and the volumes and mounts that they come to.
//
// Why:     each namespace has a volume of its own, mounted whole: a mount with subPath would stay at the version of files that was there first.
// Owns:    what is returned is the caller's.
// Fails:   -EINVAL with what may be said; NULL: out of memory.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

#define INJECT_FILES_MAX ((size_t)16)
#define INJECT_FILES_DIR "/etc/stowage/" // and the namespace's name, where nothing else is said
#define INJECT_FILES_VOLUME "stowage-files-"
#define INJECT_FILES_HERE "/run/stowage-files/" // and its number: where the sidecar has them

struct inject_file { // NAMESPACE[=PATH][:optional]
    char *ns, *path;
    bool optional;
};
struct inject_files {
    struct inject_file *items;
    size_t count;
    int64_t max_bytes; // of each
};

// `text`: with commas between them.
int inject_files_parse(const char *text, struct inject_files *ret, struct err *err) must_check;
int inject_notify_check(const char *url, struct err *err) must_check;
void inject_files_done(struct inject_files *files);

struct json *inject_files_volume(const struct inject_files *files, size_t i) must_check;
struct json *inject_files_mount(const struct inject_files *files, size_t i) must_check; // in a container that reads
void inject_files_append_mounts(const struct inject_files *files,
                                struct str *out); // of the sidecar, each behind a comma
void inject_files_append_projects(const struct inject_files *files, struct str *out); // as --project has it
bool inject_files_wait(const struct inject_files *files); // is any of them to be there first?
