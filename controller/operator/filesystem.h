// SPDX-License-Identifier: Apache-2.0
// FileSystem: makes and owns a StorageClass of its own name, and tells what is behind it.
#pragma once

#include "controller/operator/reconciler.h"

#define FILESYSTEM_FINALIZER "stowage.dev/filesystem"

extern const struct reconciler filesystem_reconciler;
