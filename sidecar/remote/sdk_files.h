// SPDX-License-Identifier: Apache-2.0
// The files that let the unmodified leptonai SDK find the sidecar (its folder LEPTON_CACHE_DIR).
//
// Why:     leptonai.Queue and the ObjectStore classes read workspace_info.yaml only, whatever the environment says; and every
//          `lep` command asks PyPI for the latest version unless latest_version_check says that this was done.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// Writes both, readable by everybody, replacing at once what is there. The folder is made if it is missing.
int sdk_files_write(const char *folder, const char *workspace, const char *url, struct err *err) must_check;
