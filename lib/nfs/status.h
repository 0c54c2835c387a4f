// SPDX-License-Identifier: Apache-2.0
// NFS status codes of version 3, 4.0 and MOUNT to errnos, in one table.
#pragma once

#include <stdint.h>

// 0 or -errno. -EAGAIN: ask again later (JUKEBOX, DELAY, GRACE); codes that are not known: -EREMOTEIO.
int nfs_status_error(uint32_t status);
