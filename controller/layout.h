// SPDX-License-Identifier: Apache-2.0
// The directories below `.stowage/` on a share: found, or made on first use, and their format checked.
#pragma once

#include "controller/share.h"

extern const char *const layout_dir_names[SHARE_DIR_COUNT];

// Fills share->layout and share->dirs. -ENOENT: there is no layout and `create` is not wanted.
// -EPROTO: made by a newer version. Bears repetition after a crash at any point.
int layout_open(struct share *share, bool create, int64_t deadline_ns, struct err *err) must_check;
