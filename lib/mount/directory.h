// SPDX-License-Identifier: Apache-2.0
// Directory trees of local file systems, copied and removed by the system's cp and rm.
//
// Why:     cp knows what a file can be (holes, links, attributes, access lists) and shares blocks where it can.
// Threads: any; one call a tree at a time.
// Fails:   as lib/mount/tool.h.
#pragma once

#include "lib/mount/tool.h"

// All that is in `from`, and its own owner, mode and attributes, into the existing directory `to`.
int directory_copy(const char *from, const char *to, int64_t deadline_ns, const atomic_bool *cancel,
                   struct err *err) must_check;
// Never leaves its file system. Missing: 0. Ended at the deadline, what is gone stays gone.
int directory_remove(const char *path, int64_t deadline_ns, struct err *err) must_check;
