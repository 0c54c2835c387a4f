// SPDX-License-Identifier: Apache-2.0
// The sidecar of a pod as Kubernetes objects: its container, its volumes, and what the other containers need to use it.
//
// Owns:    what is returned is the caller's.
// Fails:   NULL: out of memory.
#pragma once

#include "controller/webhook/options.h"

#define SIDECAR_NAME "stowage-sidecar"
#define SIDECAR_TOKEN_VOLUME "stowage-token"
#define SIDECAR_FILES_VOLUME "stowage-lepton"
#define SIDECAR_FILES "/run/lepton" // where the SDK's files are, in every container

struct inject_settings { // of the installation; texts are borrowed
    const char *image, *pull_policy;
    const char *store_url;
    const char *store_ca; // ConfigMap with ca.crt, in each pod's namespace; NULL: the system's authorities
    const char *audience; // of the token
    const char *cpu_request;
    int64_t memory_request, memory_limit; // bytes; 0: none
};

struct json *sidecar_container(const struct inject_settings *settings, const struct inject_options *options) must_check;
struct json *sidecar_token_volume(const struct inject_settings *settings,
                                  const struct inject_options *options) must_check;
struct json *sidecar_files_volume(void) must_check;
struct json *sidecar_files_mount(void) must_check;
