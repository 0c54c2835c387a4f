// SPDX-License-Identifier: Apache-2.0
// What a container needs so that the unmodified leptonai SDK in it finds the sidecar: variables, and the files of LEPTON_CACHE_DIR.
//
// Why:     the variables alone do for leptonai.KV and the `lep` command; leptonai.Queue and the ObjectStore classes read the files only.
//          Proxies must not be asked for localhost, and Python's requests would.
// Fails:   as the patch does.
#pragma once

#include "controller/webhook/files.h"
#include "controller/webhook/patch.h"

struct environment {
    const char *workspace;
    uint32_t port;
    const struct inject_files *files;
};

// And the keys that it is to have as files. What a container sets itself, or has mounted at such a path, stays, but that NO_PROXY is added to; `at` is the container's path.
void environment_add(const struct environment *environment, struct patch *patch, const char *at,
                     const struct json *container);
