// SPDX-License-Identifier: Apache-2.0
// What a pod asks for by its annotations: whether it gets a sidecar, and which one.
//
// Fails:   -EINVAL with the annotation, what is wrong with it, and what it may be.
#pragma once

#include <stdbool.h>

#include "controller/webhook/files.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"

#define INJECT_ANNOTATION "stowage.dev/inject"

struct inject_options {
    bool inject;
    uint32_t port;
    int64_t cache; // bytes; 0: none
    bool local_links;
    int log_level;  // index into inject_log_levels
    char *store_ca; // ConfigMap of the pod's namespace; NULL: what the installation says
    char *files_text, *files_notify;
    int64_t files_max_bytes;
    struct inject_files files; // of files_text
};
extern const char *const inject_log_levels[];

// `pod` NULL or without annotations: nothing is asked for. Of a pod without INJECT_ANNOTATION, or with "false", nothing else is looked at.
int inject_options_read(const struct json *pod, struct inject_options *ret, struct err *err) must_check;
void inject_options_done(struct inject_options *options);
