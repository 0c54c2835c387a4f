// SPDX-License-Identifier: Apache-2.0
// Allocation "quota": a volume is a directory of the pool's XFS or ext4 with a project and its hard limit; a snapshot is a
// directory without a limit.
//
// Why:     nothing lies between the application and the file system: its full speed, and df shows the volume's size.
// Order:   limit, project, data, name: a directory that counts has its limit. The limit goes when the data is gone.
#pragma once

#include "node-plugin/local/pool.h"

extern const struct allocation allocation_quota;
