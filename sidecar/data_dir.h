// SPDX-License-Identifier: Apache-2.0
// The folder where a store keeps everything, and the secrets in it.
//
//   store/        the engine's        files/WORKSPACE/   file systems of workspaces that have no other
//   token         made when no file of tokens is given        admin-token    for /admin
//   signing-key   of presigned URLs   backups/NAME/      unless they go elsewhere
#pragma once

#include "lib/base/clock.h"
#include "sidecar/sigv4.h"

// Makes the folder and those above it, mode 0700. -EACCES names what cannot be made.
int data_dir_make(const char *path, struct err *err) must_check;
// Reads the key, or makes one.
int data_dir_signer(const char *path, const struct clock *clock, struct signer *ret, struct err *err) must_check;
